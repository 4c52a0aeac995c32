"""When what a sample has was recorded, as far as the cache that a run was trained on is still there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import FeatureCache, OmniFuseError, RaggedArray
from ..inputs.loading import select
from ..runs.run import Run
from ..words import SPACE, plural

LISTED = 4
"""With more times than this, how many they are and the first and last are given."""


def recorded(run: Run, ids: npt.NDArray[Any]) -> dict[str, list[str]] | None:
    """Return of each modality, for every sample id [N], the hours of its rows that the task may see, in words.

    Rows of one time, such as the words of a report, count once. None if the cache is not there, or is another by now.
    """
    made_of = run.metrics.cache
    try:
        cache = FeatureCache.open(Path(made_of.path))
        if cache.digest != made_of.digest:
            return None
        cohort = select(cache, run.metrics.task, run.metrics.modalities).cohort
    except OmniFuseError:
        return None
    place = {sample_id: n for n, sample_id in enumerate(cohort.sample_id.tolist())}
    if not place.keys() >= set(ids.tolist()):
        return None
    wanted = [place[sample_id] for sample_id in ids.tolist()]
    return {name: [_in_words(source.rows, n) for n in wanted] for name, source in cohort.sources.items()}


def _in_words(rows: RaggedArray, sample: int) -> str:
    """Return ``2.1, 14.0 h``, or ``24 times, 0.0 to 46.0 h``; nothing for a sample without rows."""
    times = np.unique(rows.time[rows.offsets[sample] : rows.offsets[sample + 1]])
    known = times[np.isfinite(times)]
    if not len(known):
        return "without a time" if len(times) else ""
    if len(known) > LISTED:
        return f"{plural(len(known), 'time')}, {known[0]:.1f} to {known[-1]:.1f}{SPACE}h"
    return f"{', '.join(f'{hours:.1f}' for hours in known)}{SPACE}h"
