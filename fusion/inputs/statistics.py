"""Statistics of the values of one variable over time, for many samples at once.

There are two ways to the same numbers: through a mask over rows that several variables share, and, several times
faster, of observed values that lie one after the other. Their sums are taken in another order: last digits differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

STATISTICS = (
    "mean", "min", "max", "first", "last", "sd", "late_mean", "log_count",
    "mean_1", "mean_2", "mean_3", "mean_4", "slope", "change", "last_time", "late_min", "late_max",
)  # fmt: skip
"""Of each variable; ``late`` is the second half of the window, ``mean_1`` to ``mean_4`` its quarters."""


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
    first_row, last_row = first_and_last(observed, segments)
    first, last = pick(values, first_row, count), pick(values, last_row, count)
    last_time = pick(time, last_row, count)
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


def first_and_last(where: BoolArray, segments: Segments) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and last row index of each sample where the mask holds; nonsense where it never does."""
    row = np.arange(len(where))
    first = np.minimum.reduceat(np.where(where, row, len(row) - 1), segments.starts)
    return first, np.maximum.reduceat(np.where(where, row, 0), segments.starts)


def pick(values: FloatArray, rows: npt.NDArray[np.int64], count: FloatArray) -> FloatArray:
    """Return the values [R] at one row of each sample [n]; NaN where the sample has a count of 0."""
    return np.where(count > 0, values[rows], np.nan)


def statistics_of_observed(values: FloatArray, time: FloatArray, horizon: FloatArray, segments: Segments) -> FloatArray:
    """Return `STATISTICS` of n segments of observed values [R], [n, 17]: `variable_statistics` where all are observed.

    Sums are taken once for each quarter, and those of the whole and of its late half are theirs: several times faster.
    """
    count, starts = len(segments.lengths), segments.starts
    if not count:
        return np.empty((0, len(STATISTICS)))
    segment = np.repeat(np.arange(count), segments.lengths)  # [R]
    share = time / horizon[segment]
    quarter = 4 * segment + np.clip(np.ceil(share * 4), 1, 4).astype(np.int64) - 1
    late = share > 0.5
    of_quarter, known = (
        np.bincount(quarter, weights, 4 * count).reshape(count, 4) for weights in (values, None)
    )  # [n, 4]
    means = _ratio(of_quarter, known)
    mean = of_quarter.sum(axis=1) / segments.lengths
    late_mean = _ratio(of_quarter[:, 2:].sum(axis=1), known[:, 2:].sum(axis=1))
    deviation = values - mean[segment]
    lead = time - (np.bincount(segment, time, count) / segments.lengths)[segment]
    pairs = ((deviation, deviation), (lead, deviation), (lead, lead))
    variance, moment, leverage = (np.bincount(segment, one * other, count) for one, other in pairs)
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    late_low = np.minimum.reduceat(np.where(late, values, np.inf), starts)
    late_high = np.maximum.reduceat(np.where(late, values, -np.inf), starts)
    nothing_late = known[:, 2:].sum(axis=1) == 0
    late_low[nothing_late] = late_high[nothing_late] = np.nan
    last_row = starts + segments.lengths - 1
    first, last, sd = values[starts], values[last_row], np.sqrt(variance / segments.lengths)
    head = [mean, low, high, first, last, sd, late_mean, np.log1p(segments.lengths)]
    tail = [_ratio(moment, leverage), last - first, time[last_row], late_low, late_high]
    return np.stack([*head, *means.T, *tail], axis=1)


def _ratio(total: npt.NDArray[Any], count: npt.NDArray[Any]) -> FloatArray:
    """Divide; NaN where there is nothing to divide by."""
    ratio: FloatArray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return ratio
