"""When what a sample has was recorded, as far as the cache that a run was trained on is still there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from ...cache_schema import FeatureCache, OmniFuseError
from ..inputs.batches import Cohort, Source
from ..inputs.loading import select
from ..runs.run import Run
from ..training.predictions import HOURS
from ..words import SPACE, plural

LISTED = 4
"""With more times than this, how many they are and the first and last are given."""


def cohort_of(run: Run) -> Cohort | None:
    """Return the cohort that a run was trained on, numbers in place of its rows; None if its cache is not there."""
    made_of = run.metrics.cache
    try:
        cache = FeatureCache.open(Path(made_of.path))
        if cache.digest != made_of.digest:
            return None
        return select(cache, run.metrics.task, run.metrics.modalities).cohort
    except OmniFuseError:
        return None


def recorded(cohort: Cohort | None, table: pl.DataFrame) -> dict[str, list[str]] | None:
    """Return of each modality, for every row [N] of a table of predictions, the hours of what it was made of, in words.

    Rows of one time, such as the words of a report, count once. None without a cohort, or if it lacks some of them.
    """
    if cohort is None:
        return None
    ids, wanted = cohort.sample_id.tolist(), table["sample_id"].to_list()
    if cohort.queries is not None:
        ids, wanted = (
            list(zip(ids, cohort.queries.hours.tolist(), strict=True)),
            table.select("sample_id", HOURS).rows(),
        )
    place = {name: n for n, name in enumerate(ids)}
    if not place.keys() >= set(wanted):
        return None
    rows = [place[name] for name in wanted]
    return {name: [_in_words(source, n) for n in rows] for name, source in cohort.sources.items()}


def _in_words(source: Source, n: int) -> str:
    """Return ``2.1, 14.0 h``, or ``24 times, 0.0 to 46.0 h``; nothing for a sample without rows."""
    begin, length = int(source.seen.starts[n]), int(source.seen.lengths[n])
    times = np.unique(source.rows.time[begin : begin + length])
    known = times[np.isfinite(times)]
    if not len(known):
        return "without a time" if len(times) else ""
    if len(known) > LISTED:
        return f"{plural(len(known), 'time')}, {known[0]:.1f} to {known[-1]:.1f}{SPACE}h"
    return f"{', '.join(f'{hours:.1f}' for hours in known)}{SPACE}h"
