"""What happened in a bin as one number: the last value, the mean, how many, and so on; with what is known of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from .bins import Floats, Integers, carry_forward
from .ordering import stable_order
from .rows import BinRows

Reduce = Callable[[Floats, Integers, Floats], Floats]
"""Values ``[n]`` of cells that begin at ``[k]``, and shares ``[n]`` -> one value for each cell ``[k]``."""


def _last(values: Floats, starts: Integers, _: Floats) -> Floats:
    last: Floats = values[np.append(starts[1:], len(values)) - 1]
    return last


def _count(values: Floats, starts: Integers, _: Floats) -> Floats:
    return np.diff(np.append(starts, len(values))).astype(np.float64)


def _mean(values: Floats, starts: Integers, shares: Floats) -> Floats:
    mean: Floats = np.add.reduceat(values, starts) / _count(values, starts, shares)
    return mean


REDUCE: Mapping[str, Reduce] = {
    "last": _last,
    "mean": _mean,
    "min": lambda values, starts, _: np.minimum.reduceat(values, starts),
    "max": lambda values, starts, _: np.maximum.reduceat(values, starts),
    "sum": lambda values, starts, shares: np.add.reduceat(values * shares, starts),
    "any": lambda values, starts, _: np.maximum.reduceat((values > 0).astype(np.float64), starts),
    "count": _count,
}

SINCE_LAST = "time_since_last"
OF_THE_NEWEST = ("last", SINCE_LAST)


@dataclass(frozen=True)
class Summary:
    """One column: an aggregate of a series.

    ``level``: whether the value is this category, as 1 or 0. ``empty``: what stands in a bin from t0 on in which
    nothing happened: the last value, carried forward; 0; or NaN, which stands in the others.
    """

    series: int
    aggregate: str
    level: int | None = None
    empty: Literal["carried", "zero", "unknown"] = "unknown"


@dataclass(frozen=True)
class Observations:
    """What happened, in the order in which the last of a bin is the last: all arrays ``[n]``.

    ``hours`` is when, since t0, and ``share`` what part of the value counts in a sum. ``newest`` are those before which
    nothing later of the series was known: a value that comes to be known late is not the last one.
    """

    sample: Integers
    bins: Integers
    series: Integers
    value: Floats
    hours: Floats
    share: Floats
    newest: npt.NDArray[np.bool_]


def summarise(seen: Observations, rows: BinRows, summaries: Sequence[Summary]) -> tuple[Floats, Floats]:
    """Return the columns ``[R, C]`` of all rows, and for each whether something happened in the bin ``[R, C]``."""
    values = np.full((len(rows.ends), len(summaries)), np.nan, order="F")  # it is worked on by columns
    masks = np.zeros_like(values)
    row = rows.row(seen.sample, seen.bins)
    order = stable_order(seen.series * len(rows.ends) + row)
    series = seen.series[order]
    since = rows.ends > 0
    for column, summary in enumerate(summaries):
        part = order[np.searchsorted(series, summary.series) : np.searchsorted(series, summary.series, "right")]
        part = part[seen.newest[part]] if summary.aggregate in OF_THE_NEWEST else part
        if len(part):
            starts = np.flatnonzero(np.diff(row[part], prepend=-1))
            cells = row[part[starts]]
            masks[cells, column] = 1
            values[cells, column] = _reduced(seen, part, starts, summary)
        if summary.empty == "carried":
            values[:, [column]] = carry_forward(values[:, [column]], rows.lengths)
        elif summary.empty == "zero":
            values[since & np.isnan(values[:, column]), column] = 0
        if summary.aggregate == SINCE_LAST:
            values[:, column] = rows.ends - values[:, column]
    return values, masks


def _reduced(seen: Observations, part: Integers, starts: Integers, summary: Summary) -> Floats:
    """Return one value for each cell of a series; of the time since the last observation, when that was."""
    if summary.aggregate == SINCE_LAST:
        return REDUCE["max"](seen.hours[part], starts, seen.share[part])
    value = seen.value[part]
    if summary.level is not None:
        value = (value == summary.level).astype(np.float64)
    return REDUCE[summary.aggregate](value, starts, seen.share[part])
