"""Intervals of time cut into bins."""

import numpy as np

from .bins import EPSILON, Floats, Integers
from .rows import bin_before_or_after


def cut(start: Floats, end: Floats, bin_hours: float) -> tuple[Integers, Integers]:
    """Return the pieces ``[m]`` of intervals (hours ``[n]``): which interval, and which bin.

    An interval without length has one piece.
    """
    first = np.floor(start / bin_hours + EPSILON).astype(np.int64)
    last = np.ceil(end / bin_hours - EPSILON).astype(np.int64) - 1
    instant = last < first
    first = np.where(instant, bin_before_or_after(end, bin_hours), first)
    pieces = np.where(instant, 1, last - first + 1)
    interval = np.repeat(np.arange(len(start)), pieces)
    bins: Integers = first[interval] + np.arange(len(interval)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return interval, bins


def overlap(start: Floats, end: Floats, bins: Integers, bin_hours: float) -> Floats:
    """Return how many hours of each interval lie in its bin, all ``[m]``."""
    hours: Floats = np.minimum(end, (bins + 1) * bin_hours) - np.maximum(start, bins * bin_hours)
    return np.maximum(hours, 0.0)
