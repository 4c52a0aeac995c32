"""Bins of time: which one an event lies in, and the last observation carried forward from bin to bin.

A bin is open on the left and closed on the right: with 2-hour bins an event at exactly 2 h lies in the first.
"""

import numpy as np
import numpy.typing as npt

from ...cache_schema import offsets_of

EPSILON = 1e-6
"""Hours, and fractions of a bin: the tolerance of the benchmark."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def bin_count(los_hours: Floats, bin_hours: float) -> Integers:
    """Return the number of bins of stays that last ``los_hours`` ``[n]``; 0 where that is unknown."""
    count = np.floor(np.round(los_hours, 6) / bin_hours + 1 - EPSILON)
    return np.where(np.isfinite(count) & (count > 0), count, 0).astype(np.int64)


def bin_index(hours: Floats, bin_hours: float) -> Integers:
    """Return the bin of times inside a stay ``[n]``, from 0."""
    return np.trunc(hours / bin_hours - EPSILON).astype(np.int64)


def inside(hours: Floats, los_hours: Floats) -> npt.NDArray[np.bool_]:
    """Return which times ``[n]`` lie within stays of the given lengths ``[n]``, both ends included."""
    return (hours > -EPSILON) & (hours < los_hours + EPSILON) & (hours <= np.round(los_hours, 6) + EPSILON)


def carry_forward(values: Floats, lengths: Integers) -> Floats:
    """Return ``values`` ``[R, V]`` with every gap filled by the last observation of the same stay."""
    rows = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, rows), axis=0)  # [R, V]
    start = np.repeat(offsets_of(lengths)[:-1], lengths)[:, None]
    return np.where(last >= start, np.take_along_axis(values, np.maximum(last, 0), axis=0), np.nan)


def bin_ends(lengths: Integers, bin_hours: float) -> Floats:
    """Return the time of every row ``[R]``: the end of its bin in hours since the start of the stay."""
    within = np.arange(lengths.sum()) - np.repeat(offsets_of(lengths)[:-1], lengths)
    ends: Floats = (within + 1) * bin_hours
    return ends
