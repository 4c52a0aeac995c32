"""Intervals cut into bins: the pieces cover the interval and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.pipeline.series.intervals import cut, overlap


def pieces(start: float, end: float, bin_hours: float) -> list[tuple[int, float]]:
    """Return bin and hours of each piece of one interval."""
    interval, bins = cut(np.array([start]), np.array([end]), bin_hours)
    hours = overlap(np.array([start])[interval], np.array([end])[interval], bins, bin_hours)
    return [(int(number), float(length)) for number, length in zip(bins, hours, strict=True)]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0.0, 2.0, [(0, 2.0)]),
        (1.0, 5.0, [(0, 1.0), (1, 2.0), (2, 1.0)]),
        (2.0, 4.0, [(1, 2.0)]),  # a bin is open on the left
        (3.0, 3.0, [(1, 0.0)]),
        (4.0, 4.0, [(1, 0.0)]),  # and closed on the right
        (-1.0, 1.0, [(-1, 1.0), (0, 1.0)]),
        (-2.0, 0.0, [(-1, 2.0)]),
        (0.0, 0.0, [(0, 0.0)]),
    ],
)
def test_pieces_of_two_hours(start: float, end: float, expected: list[tuple[int, float]]) -> None:
    assert pieces(start, end, 2.0) == expected


@given(st.integers(-300, 300), st.integers(0, 500), st.sampled_from([1.0, 2.0, 8.0]))
def test_the_pieces_are_as_long_as_the_interval(start: int, minutes: int, bin_hours: float) -> None:
    found = pieces(start / 60, (start + minutes) / 60, bin_hours)
    assert sum(hours for _, hours in found) == pytest.approx(minutes / 60)
    assert [number for number, _ in found] == list(range(found[0][0], found[-1][0] + 1))
