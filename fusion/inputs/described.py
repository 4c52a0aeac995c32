"""What the columns of a cohort look like: how many samples know each, and mean and spread over samples.

Nothing is fitted by it: it lets one cohort be compared with another, by whoever has this table and not the records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .batches import Source
from .series import observed_cells
from .statistics import Segments

ROWS = "rows a sample"
"""Stands for a column where what is described is how many rows a sample has."""

SCHEMA = {
    "modality": pl.String, "column": pl.String, "unit": pl.String, "samples": pl.Int64, "with_modality": pl.Int64,
    "known": pl.Int64, "mean": pl.Float64, "sd": pl.Float64, "low": pl.Float64, "high": pl.Float64,
}  # fmt: skip


def describe_columns(sources: Mapping[str, Source], samples: npt.NDArray[np.int64]) -> pl.DataFrame:
    """Return a row for each value column of the modalities that are no embeddings, and one for the rows of each.

    ``samples`` [n] are positions in the cohort; where a sample has several predictions it counts with all that is
    stored of it. Of each sample the mean of what was measured counts: ``known`` samples have one, ``mean``, ``sd``,
    ``low`` and ``high`` are over these; ``with_modality`` have the modality at all.
    """
    rows = [row for name, source in sources.items() for row in _described(name, _stored(source, samples))]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _stored(source: Source, samples: npt.NDArray[np.int64]) -> Source:
    """Return the source of the given samples alone; where rows are shared, of everybody who is stored."""
    return source.take(samples) if source.spans is None else Source(source.kind, source.columns, source.rows)


def _described(modality: str, source: Source) -> Iterator[tuple[Any, ...]]:
    rows, present = source.rows, source.rows.present
    counts = len(present), int(present.sum())
    yield (modality, ROWS, "", *counts, counts[1], *spread(rows.lengths[present].astype(np.float64)))
    if source.kind == "embedding" or not present.any():
        return
    segments = Segments(rows.offsets[:-1][present], rows.lengths[present])
    observed = observed_cells(source)
    named = source.columns or ()
    for position in range(rows.values.shape[1]):
        if named and named[position].role != "value":
            continue
        means = segments.mean_where(rows.values[:, position].astype(np.float64), observed[:, position])  # [n]
        means = means[~np.isnan(means)]
        name, unit = (named[position].name, named[position].unit) if named else (f"column {position}", "")
        yield (modality, name, unit, *counts, len(means), *spread(means))


def spread(values: npt.NDArray[np.float64]) -> tuple[float | None, ...]:
    """Return mean, standard deviation, least and greatest of some values; None without any."""
    if not len(values):
        return None, None, None, None
    return float(values.mean()), float(values.std()), float(values.min()), float(values.max())
