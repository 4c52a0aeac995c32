"""Rows of samples: sparse before t0, every bin from t0 on."""

import numpy as np
from omnifuse.pipeline.series.rows import BinRows, bin_before_or_after


def test_bins_are_open_on_the_left_on_both_sides_of_t0() -> None:
    hours = np.array([-4.1, -4.0, -2.0, -0.5, 0.0, 0.1, 2.0, 2.1])
    assert bin_before_or_after(hours, 2.0).tolist() == [-3, -3, -2, -1, 0, 0, 0, 1]


def test_before_t0_only_bins_with_an_event_have_a_row() -> None:
    sample, bins = np.array([0, 0, 0, 1, 2, 2]), np.array([-50, 1, -3, 0, -1, -1])
    rows = BinRows.of(sample, bins, np.array([2, 3, 1]), 2.0)
    assert rows.lengths.tolist() == [4, 3, 2]
    assert rows.ends.tolist() == [-98, -4, 2, 4, 2, 4, 6, 0, 2]
    assert rows.row(sample, bins).tolist() == [0, 3, 1, 4, 7, 7]
    assert (rows.ends[rows.row(sample, bins)] == (bins + 1) * 2).all()
