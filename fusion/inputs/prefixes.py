"""Vectors of what is known at each prediction time, made from shared rows when they are asked for.

A vector is what a cache cut at that time would give: :func:`~.series.series_summary` of the time series up to then with
a window that ends there, the mean of the known rows of an embedding, the known row of features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ...cache_schema import InputError, offsets_of
from .batches import Source
from .queries import Spans
from .series import Summary, observed_cells, row_times
from .statistics import STATISTICS, FloatArray, Segments, statistics_of_observed

Positions = npt.NDArray[np.int64]

AT_ONCE = 1024
"""Predictions whose vectors are made at once, so that what is needed in between stays small."""

LOG_COUNT = STATISTICS.index("log_count")


class Prefixes(Protocol):
    """Makes the vectors of predictions: F quantities and G shares, the ``widths``."""

    @property
    def widths(self) -> tuple[int, int]:
        """F and G."""

    def of(self, samples: Positions) -> Summary:
        """Return the vectors of some predictions, positions [n]."""


class SeriesPrefixes:
    """Statistics of a time series up to each prediction.

    Kept are the observed values of each variable one after the other, and how many of them lie before each row: what a
    prediction knows of a variable lies together.
    """

    def __init__(self, source: Source, hours: npt.NDArray[np.float32]) -> None:
        if not source.columns:
            raise InputError(
                "A time series needs named columns; statistics cannot tell values from masks without them."
            )
        self.spans, self.values = source.seen, source.rows.values
        self.horizon = np.maximum(hours.astype(np.float64), 1e-6)
        numbers, self.onehot, self.variables = _columns(source)
        cells, time = observed_cells(source), row_times(source.rows)
        seen = np.stack([*cells[:, numbers].T, *(cells[:, columns].any(axis=1) for columns in self.variables)], axis=1)
        self.before = np.zeros((len(seen) + 1, seen.shape[1]), dtype=np.int32)
        np.cumsum(seen, axis=0, out=self.before[1:])
        rows = [np.flatnonzero(seen[:, number]) for number in range(len(numbers))]
        self.first = offsets_of(np.array([len(of_one) for of_one in rows], dtype=np.int64))[:-1]  # [V]
        observed = [self.values[of_one, column] for of_one, column in zip(rows, numbers, strict=True)]
        self.observed = np.concatenate([*observed, np.empty(0)]).astype(np.float32)
        self.time = np.concatenate([*(time[of_one] for of_one in rows), np.empty(0)])

    @property
    def widths(self) -> tuple[int, int]:
        """17 V quantities, and 2 C + U shares."""
        return len(STATISTICS) * len(self.first), 2 * len(self.onehot) + len(self.variables)

    def of(self, samples: Positions) -> Summary:
        """Return the statistics of some predictions, positions [n]."""
        return _in_blocks(samples, self._of, self.widths)

    def _of(self, samples: Positions) -> Summary:
        spans, horizon, variables = self.spans.take(samples), self.horizon[samples], len(self.first)
        low, high = self.before[spans.starts], self.before[spans.starts + spans.lengths]  # [n, V + U]
        known = Spans((low[:, :variables] + self.first).ravel(), (high - low)[:, :variables].ravel().astype(np.int64))
        index, segments, some = _laid_out(known)
        values = self.observed[index].astype(np.float64)
        each = statistics_of_observed(values, self.time[index], np.repeat(horizon, variables)[some], segments)
        quantities = np.full((len(some), len(STATISTICS)), np.nan, dtype=np.float32)
        quantities[:, LOG_COUNT] = np.where(np.repeat(spans.lengths, variables) > 0, 0.0, np.nan)
        quantities[some] = each
        measured = (high > low)[:, variables:]
        shares = np.concatenate([self._categories(spans), measured], axis=1, dtype=np.float32)
        return Summary(quantities.reshape(len(samples), -1), shares)

    def _categories(self, spans: Spans) -> npt.NDArray[np.float64]:
        """Return mean and last value of every one-hot column, [n, 2 C].

        Predictions of one sample begin with the same row, and the longest of them has the rows of all: values between 0
        and 1 may be summed up over everything and subtracted again.
        """
        begins, sample = np.unique(spans.starts, return_inverse=True)  # [S], [n]
        longest = np.zeros(len(begins), dtype=np.int64)
        np.maximum.at(longest, sample, spans.lengths)
        index, _, _ = _laid_out(Spans(begins, longest))
        cells = self.values[index][:, self.onehot]  # [R, C]
        known = ~np.isnan(cells)
        first = offsets_of(longest)[sample]
        stops = first + spans.lengths
        count, latest = spans.lengths[:, None], stops[:, None] - 1  # where every cell is known
        if not known.all():
            before = _sums_before(known)
            count = before[stops] - before[first]  # [n, C]
            rows = np.where(known, np.arange(len(cells))[:, None], -1)
            latest = np.maximum.accumulate(rows, axis=0)[stops - 1]
            cells = np.where(known, cells, 0)
        total = _sums_before(cells)
        mean = (total[stops] - total[first]) / np.maximum(count, 1)
        last = np.where(count > 0, cells[latest, np.arange(cells.shape[1])], 0) if len(cells) else mean
        return np.stack([mean, last], axis=2).reshape(len(stops), -1)


def _sums_before(values: npt.NDArray[Any]) -> FloatArray:
    """Return the sum of the values [R, C] before each row, and of all of them: [R + 1, C]."""
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=sums[1:], dtype=np.float64)
    return sums


class MeanPrefixes:
    """Mean of the rows of an embedding that are known at each prediction."""

    def __init__(self, source: Source) -> None:
        self.spans, self.values = source.seen, source.rows.values

    @property
    def widths(self) -> tuple[int, int]:
        """All columns are quantities."""
        return self.values.shape[1], 0

    def of(self, samples: Positions) -> Summary:
        """Return the means of some predictions, positions [n]; NaN where nothing is known."""
        return _in_blocks(samples, self._of, self.widths)

    def _of(self, samples: Positions) -> Summary:
        index, segments, some = _laid_out(self.spans.take(samples))
        means = np.full((len(samples), self.values.shape[1]), np.nan, dtype=np.float32)
        if len(index):
            total = np.add.reduceat(self.values[index], segments.starts, axis=0, dtype=np.float32)
            means[some] = total / segments.lengths[:, None]
        return Summary(means, np.zeros((len(samples), 0), dtype=np.float32))


class RowPrefixes:
    """The row of features that is known at each prediction, given those [R, F] of all rows."""

    def __init__(self, source: Source, rows: Summary) -> None:
        self.spans, self.rows = source.seen, rows

    @property
    def widths(self) -> tuple[int, int]:
        """Those of a row."""
        return self.rows.widths

    def of(self, samples: Positions) -> Summary:
        """Return the last known rows of some predictions, positions [n]; NaN where nothing is known."""
        spans = self.spans.take(samples)
        known, last = spans.lengths > 0, spans.starts + spans.lengths - 1
        found = self.rows.of(np.where(known, last, 0))
        found.quantities[~known] = np.nan
        found.shares[~known] = 0
        return found


def _columns(source: Source) -> tuple[list[int], list[int], list[list[int]]]:
    """Return the positions of value columns [V], of one-hot columns [C], and of both by variable [U]."""
    positions: dict[str, list[int]] = {}
    for position, column in enumerate(source.columns):
        if column.role != "mask":
            positions.setdefault(column.variable or column.name, []).append(position)
    of_role = ([i for i, column in enumerate(source.columns) if column.role == role] for role in ("value", "onehot"))
    return (*of_role, list(positions.values()))  # type: ignore[return-value]


def _in_blocks(samples: Positions, make: Callable[[Positions], Summary], widths: tuple[int, int]) -> Summary:
    """Return the vectors of some predictions, made so many at once."""
    laid_out = Summary(*(np.empty((len(samples), width), dtype=np.float32) for width in widths))
    for part in _parts(len(samples)):
        made = make(samples[part])
        laid_out.quantities[part], laid_out.shares[part] = made.quantities, made.shares
    return laid_out


def _parts(count: int) -> Iterator[slice]:
    for first in range(0, count, AT_ONCE):
        yield slice(first, first + AT_ONCE)


def _laid_out(spans: Spans) -> tuple[Positions, Segments, npt.NDArray[np.bool_]]:
    """Return the rows of spans one after the other, which belong to which, and which spans [n] have any."""
    some: npt.NDArray[Any] = spans.lengths > 0
    starts, lengths = spans.starts[some], spans.lengths[some]
    segments = Segments(offsets_of(lengths)[:-1], lengths)
    return np.arange(lengths.sum()) + np.repeat(starts - segments.starts, lengths), segments, some
