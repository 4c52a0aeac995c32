"""Statistics of a time series, one vector a sample: what the fast default encoder reads instead of the bins.

They are taken over observed cells only and do not depend on the fold, so they are computed once a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...cache_schema import Column, InputError, RaggedArray
from .batches import Source
from .statistics import BoolArray, FloatArray, Segments, first_and_last, pick, variable_statistics


@dataclass(frozen=True)
class Summary:
    """Vectors of all samples before normalisation.

    ``quantities`` [N, F] are mapped to normal quantiles, NaN where undefined; ``shares`` [N, G] lie in [0, 1] and stay
    as they are.
    """

    quantities: npt.NDArray[np.float32]
    shares: npt.NDArray[np.float32]

    @property
    def widths(self) -> tuple[int, int]:
        """F and G."""
        return self.quantities.shape[1], self.shares.shape[1]

    def of(self, samples: npt.NDArray[np.int64]) -> Summary:
        """Return the vectors of some samples [n]."""
        return Summary(self.quantities[samples], self.shares[samples])


def row_times(rows: RaggedArray) -> FloatArray:
    """Return the hours of every row [R]; the row's number, from 1 on, where it has no time."""
    number = np.arange(len(rows.time)) - np.repeat(rows.offsets[:-1], rows.lengths) + 1
    return np.where(np.isnan(rows.time), number, rows.time).astype(np.float64)


def observed_cells(source: Source) -> BoolArray:
    """Return [R, D] bool: cells measured in their own bin, as the variable's mask column says; else cells not NaN."""
    masks = {c.variable: i for i, c in enumerate(source.columns) if c.role == "mask"}
    known: BoolArray = ~np.isnan(source.rows.values)
    for position, column in enumerate(source.columns):
        if column.variable in masks:
            known[:, position] &= source.rows.values[:, masks[column.variable]] > 0
    return known


def series_summary(source: Source, window_hours: float | None) -> Summary:
    """Return statistics of every variable, mean and last share of every category, and what was ever measured.

    ``quantities`` [N, 17 V] for V value columns; ``shares`` [N, 2 C + U] for C one-hot columns and U variables.
    Time is divided by the window, or without one by the time of the sample's last row.
    """
    if not source.columns:
        raise InputError("A time series needs named columns; statistics cannot tell values from masks without them.")
    rows, present = source.rows, source.rows.present
    segments = Segments(rows.offsets[:-1][present], rows.lengths[present])
    time, observed = row_times(rows), observed_cells(source)
    horizon = segments.max(time) if window_hours is None else np.full(len(segments.starts), window_hours)
    horizon = np.maximum(horizon, 1e-6)
    quantities, shares = [], []
    for position, column in enumerate(source.columns):
        values = rows.values[:, position].astype(np.float64)
        if column.role == "value":
            filled = np.nan_to_num(values)
            quantities.append(variable_statistics(filled, observed[:, position], time, horizon, segments))
        elif column.role == "onehot":
            shares.append(_category_shares(values, segments))
    shares.append(_ever_measured(source.columns, observed, segments))
    return Summary(_place(quantities, present), np.nan_to_num(_place(shares, present)))


def _category_shares(values: FloatArray, segments: Segments) -> FloatArray:
    """Return the mean and the last value of a one-hot column over rows where its variable is known, [n, 2]."""
    known: BoolArray = ~np.isnan(values)
    _, last = first_and_last(known, segments)
    mean = segments.mean_where(np.nan_to_num(values), known)
    return np.stack([mean, pick(values, last, segments.sum(known))], axis=1)


def _ever_measured(columns: Sequence[Column], observed: BoolArray, segments: Segments) -> FloatArray:
    """Return [n, U] 0 or 1: whether any cell of a variable was observed; a column without variable is its own."""
    positions: dict[str, list[int]] = {}
    for position, column in enumerate(columns):
        if column.role != "mask":
            positions.setdefault(column.variable or column.name, []).append(position)
    counts = [segments.sum(observed[:, where].sum(axis=1)) for where in positions.values()]
    return (np.stack(counts, axis=1) > 0).astype(np.float64)


def _place(parts: list[FloatArray], present: BoolArray) -> npt.NDArray[np.float32]:
    """Join columns computed for the present samples and lay them out for all, [N, F]; NaN for the others."""
    width = sum(part.shape[1] for part in parts)
    laid_out = np.full((len(present), width), np.nan, dtype=np.float32)
    if width:
        laid_out[present] = np.concatenate(parts, axis=1)
    return laid_out


def series_steps(source: Source) -> npt.NDArray[np.float32]:
    """Return what the recurrent encoder reads, [R, D + V]: the columns as stored and, per value column, recency.

    Recency is exp(-hours since the last observation / 6), 0 before the first one.
    """
    rows = source.rows
    time, observed = row_times(rows), observed_cells(source)
    start = np.repeat(rows.offsets[:-1], rows.lengths)
    recency = []
    for position, column in enumerate(source.columns):
        if column.role == "value":
            last = np.maximum.accumulate(np.where(observed[:, position], np.arange(len(time)), -1))
            gap = np.where(last >= start, time - time[last], np.inf)
            recency.append(np.exp(-gap / 6))
    return np.concatenate([rows.values, *(column[:, None] for column in recency)], axis=1).astype(np.float32)
