"""Intervals of time cut into bins."""

import numpy as np

from .bins import EPSILON, Floats, Integers
from .rows import bin_before_or_after


def cut(start: Floats, end: Floats, bin_hours: float) -> tuple[Integers, Integers, Floats]:
    """Return the pieces of intervals (hours ``[n]``): which interval, which bin, and how many hours ``[m]``.

    An interval without length has one piece, of 0 hours.
    """
    first = np.floor(start / bin_hours + EPSILON).astype(np.int64)
    last = np.ceil(end / bin_hours - EPSILON).astype(np.int64) - 1
    instant = last < first
    first = np.where(instant, bin_before_or_after(end, bin_hours), first)
    pieces = np.where(instant, 1, last - first + 1)
    interval = np.repeat(np.arange(len(start)), pieces)
    bins = first[interval] + np.arange(len(interval)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    left = np.maximum(start[interval], bins * bin_hours)
    right = np.minimum(end[interval], (bins + 1) * bin_hours)
    return interval, bins, np.maximum(right - left, 0.0)
