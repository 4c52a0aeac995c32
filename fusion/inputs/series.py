"""Statistics of a time series, one vector a sample: what the fast default encoder reads instead of the bins.

They are taken over observed cells only and do not depend on the fold, so they are computed once a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import Column, InputError, RaggedArray
from .batches import Source

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

STATISTICS = (
    "mean", "min", "max", "first", "last", "sd", "late_mean", "log_count",
    "mean_1", "mean_2", "mean_3", "mean_4", "slope", "change", "last_time", "late_min", "late_max",
)  # fmt: skip
"""Of each variable; ``late`` is the second half of the window, ``mean_1`` to ``mean_4`` its quarters."""


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


@dataclass(frozen=True)
class Segments:
    """Which rows belong to which sample, for the n samples that have rows: ``starts`` [n], ``lengths`` [n]."""

    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def sum(self, values: npt.NDArray[Any]) -> FloatArray:
        """Sum of values [R] per sample, [n]."""
        total: FloatArray = np.add.reduceat(values, self.starts, dtype=np.float64)
        return total

    def min(self, values: FloatArray) -> FloatArray:
        """Minimum of values [R] per sample, [n]."""
        lowest: FloatArray = np.minimum.reduceat(values, self.starts)
        return lowest

    def max(self, values: FloatArray) -> FloatArray:
        """Maximum of values [R] per sample, [n]."""
        highest: FloatArray = np.maximum.reduceat(values, self.starts)
        return highest

    def spread(self, per_sample: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Repeat a value per sample [n] for each of its rows, [R]."""
        return np.repeat(per_sample, self.lengths)

    def mean_where(self, values: FloatArray, where: BoolArray) -> FloatArray:
        """Mean of values [R] over the rows where the mask holds, [n]; NaN without such rows."""
        total, count = self.sum(np.where(where, values, 0.0)), self.sum(where)
        mean: FloatArray = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
        return mean


def variable_statistics(
    values: FloatArray, observed: BoolArray, time: FloatArray, horizon: FloatArray, segments: Segments
) -> FloatArray:
    """Return `STATISTICS` of one variable for n samples, [n, 17]; NaN where one has nothing to stand on.

    ``values`` [R], ``observed`` [R] bool, ``time`` [R] hours, ``horizon`` [n] hours: length of the time looked at.
    The standard deviation is that of the population; the slope (per hour) is that of least squares.
    """
    share = time / segments.spread(horizon)  # [R] in (0, 1]
    quarter = np.clip(np.ceil(share * 4), 1, 4)
    late = observed & (share > 0.5)
    count = segments.sum(observed)
    mean = segments.mean_where(values, observed)
    low, high = _extremes(values, observed, segments)
    late_low, late_high = _extremes(values, late, segments)
    first_row, last_row = _first_and_last(observed, segments)
    first, last = _pick(values, first_row, count), _pick(values, last_row, count)
    last_time = _pick(time, last_row, count)
    deviation = np.where(observed, values - segments.spread(mean), 0.0)
    lead = np.where(observed, time - segments.spread(segments.mean_where(time, observed)), 0.0)
    variance, moment, leverage = (segments.sum(product) for product in (deviation**2, lead * deviation, lead**2))
    unknown = np.full(len(count), np.nan)
    sd = np.sqrt(np.divide(variance, count, out=unknown.copy(), where=count > 0))
    slope = np.divide(moment, leverage, out=unknown.copy(), where=leverage > 0)
    quarters = [segments.mean_where(values, observed & (quarter == part)) for part in (1, 2, 3, 4)]
    late_mean = segments.mean_where(values, late)
    head = [mean, low, high, first, last, sd, late_mean, np.log1p(count)]
    return np.stack([*head, *quarters, slope, last - first, last_time, late_low, late_high], axis=1)


def _extremes(values: FloatArray, where: BoolArray, segments: Segments) -> tuple[FloatArray, FloatArray]:
    low = segments.min(np.where(where, values, np.inf))
    high = segments.max(np.where(where, values, -np.inf))
    return np.where(np.isfinite(low), low, np.nan), np.where(np.isfinite(high), high, np.nan)


def _first_and_last(where: BoolArray, segments: Segments) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and last row index of each sample where the mask holds; nonsense where it never does."""
    row = np.arange(len(where))
    first = np.minimum.reduceat(np.where(where, row, len(row) - 1), segments.starts)
    return first, np.maximum.reduceat(np.where(where, row, 0), segments.starts)


def _pick(values: FloatArray, rows: npt.NDArray[np.int64], count: FloatArray) -> FloatArray:
    return np.where(count > 0, values[rows], np.nan)


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
    _, last = _first_and_last(known, segments)
    mean = segments.mean_where(np.nan_to_num(values), known)
    return np.stack([mean, _pick(values, last, segments.sum(known))], axis=1)


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
