"""Bins, carrying forward and columns, on hours that sit on the boundaries."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.pipeline.series.bins import bin_count, bin_ends, bin_index, carry_forward, inside
from omnifuse.pipeline.sources.mimic.benchmark.grid import (
    Grid,
    grid_of,
    largest_at_each_time,
    rows_by_subject,
    to_columns,
)
from omnifuse.pipeline.sources.mimic.benchmark.variables import columns, variables

HEART, EYE = 8, 3
NAN = np.nan


def cells(*rows: tuple[int, int, int, float]) -> pl.DataFrame:
    """Return cells (stay, second, variable, number) of subject 0."""
    frame = pl.DataFrame(
        list(rows),
        schema={"stay": pl.Int64, "second": pl.Int64, "variable": pl.UInt8, "number": pl.Float64},
        orient="row",
    )
    return frame.with_columns(subject=pl.lit(0, pl.Int64), order="number")


def stays(*los_hours: float | None, intime: int = 0) -> pl.DataFrame:
    """Return stays 0, 1, ... of subject 0, one after the other without a gap."""
    hours = [los or 0 for los in los_hours]
    start = intime + 3600 * np.cumsum([0, *hours[:-1]])
    return pl.DataFrame(
        {"stay": range(len(hours)), "subject": [0] * len(hours), "los_hours": pl.Series(los_hours, dtype=pl.Float64)}
    ).with_columns(intime=pl.Series(start).cast(pl.Int64), outtime=pl.Series(start + 3600 * np.array(hours)).cast(int))


@pytest.mark.parametrize(
    ("los", "hours", "bins"),
    [(50.0, 2, 25), (50.1, 2, 26), (48.0, 2, 24), (48.0, 1, 48), (0.5, 2, 1), (0.0, 2, 0), (49.9999996, 2, 25)],
)
def test_number_of_bins(los: float, hours: float, bins: int) -> None:
    assert bin_count(np.array([los]), hours) == [bins]


def test_a_stay_of_unknown_length_has_no_bins() -> None:
    assert bin_count(np.array([NAN]), 2.0) == [0]


@pytest.mark.parametrize(
    ("second", "bin_of_2h", "bin_of_1h"),
    [(0, 0, 0), (1, 0, 0), (3600, 0, 0), (3601, 0, 1), (7200, 0, 1), (7201, 1, 2), (48 * 3600, 23, 47)],
)
def test_bins_are_open_on_the_left_and_closed_on_the_right(second: int, bin_of_2h: int, bin_of_1h: int) -> None:
    hours = np.array([second / 60 / 60])
    assert bin_index(hours, 2.0) == [bin_of_2h]
    assert bin_index(hours, 1.0) == [bin_of_1h]


@given(st.integers(0, 10**7), st.sampled_from([1, 2, 4]))
def test_the_bin_of_a_whole_second_needs_no_tolerance(second: int, hours: int) -> None:
    assert bin_index(np.array([second / 60 / 60]), hours) == [max(second - 1, 0) // (3600 * hours)]


def test_a_stay_includes_both_its_ends() -> None:
    hours = np.array([-1 / 3600, 0, 10, 10 + 1 / 3600])
    assert inside(hours, np.full(4, 10.0)).tolist() == [False, True, True, False]


def test_the_last_value_of_a_bin_wins_and_is_carried_forward() -> None:
    grid = grid_of(cells((0, 600, HEART, 80), (0, 7200, HEART, 90), (0, 20000, HEART, 70)), stays(8.0), 2.0)
    assert grid.values[:, HEART].tolist() == pytest.approx([90, NAN, 70, NAN], nan_ok=True)
    assert carry_forward(grid.values, grid.lengths)[:, HEART].tolist() == [90, 90, 70, 70]
    assert grid.first_hours == pytest.approx([600 / 3600])


def test_nothing_is_carried_into_the_next_stay() -> None:
    values = np.array([[1.0], [NAN], [NAN], [2.0]])
    carried = carry_forward(values, np.array([2, 0, 2]))
    assert carried[:, 0].tolist() == pytest.approx([1, 1, NAN, 2], nan_ok=True)


def test_events_before_and_after_the_stay_are_left_out() -> None:
    grid = grid_of(cells((0, -1, HEART, 80), (0, 4 * 3600 + 1, HEART, 90)), stays(4.0), 2.0)
    assert grid.lengths.tolist() == [0]
    assert np.isnan(grid.first_hours).all()


def test_a_stay_without_known_length_has_no_rows() -> None:
    assert grid_of(cells((0, 10, HEART, 80)), stays(None), 2.0).lengths.tolist() == [0]


def test_before_the_first_observation_stands_nan_or_the_normal_value() -> None:
    values = np.full((2, 17), NAN)
    values[1, HEART], values[1, EYE] = 95, 0
    grid = Grid(np.array([0]), np.array([2]), values, np.array([3.0]))
    names = [column.name for column in columns()]
    heart, eye = names.index("Heart Rate"), [i for i, name in enumerate(names[:59]) if "eye opening" in name]
    unknown, normal = to_columns(grid, normal_values=False), to_columns(grid, normal_values=True)
    assert unknown[:, heart].tolist() == pytest.approx([NAN, 95], nan_ok=True)
    assert normal[:, heart].tolist() == [86, 95]
    assert np.isnan(unknown[0, eye]).all()
    assert unknown[1, eye].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert normal[0, eye].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]  # 4 Spontaneously
    for matrix in (unknown, normal):
        assert matrix[:, 59 + HEART].tolist() == [0, 1]
        assert matrix[:, 59:].sum() == 2


def test_the_time_of_a_row_is_the_end_of_its_bin() -> None:
    assert bin_ends(np.array([2, 0, 1]), 2.0).tolist() == [2, 4, 2]


def test_of_several_values_at_one_time_the_largest_order_is_kept() -> None:
    events = cells((0, 5, HEART, 1), (0, 5, HEART, 3), (0, 5, HEART, 2), (0, 5, EYE, 0), (0, 4, HEART, 9))
    kept = largest_at_each_time(events, "stay")
    assert kept.select("second", "variable", "number").rows() == [(4, HEART, 9), (5, EYE, 0), (5, HEART, 3)]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2), st.integers(0, 9)), max_size=40))
def test_the_kept_values_are_the_maxima_of_their_groups(rows: list[tuple[int, int, int, float]]) -> None:
    events = cells(*((stay, second, variable, float(number)) for stay, second, variable, number in rows))
    keys = ["stay", "second", "variable"]
    expected = events.group_by(keys).agg(pl.col("number").max()).sort(keys)
    assert largest_at_each_time(events, "stay").select(*keys, "number").sort(keys).equals(expected)


def test_in_the_benchmark_stays_share_the_values_of_an_instant() -> None:
    two = stays(10.0, 10.0)
    inside_first = 3600
    events = cells((1, inside_first, HEART, 80), (0, inside_first, EYE, 3), (0, 15 * 3600, HEART, 60))
    kept = (
        rows_by_subject(events, two).select("stay", "second", "variable", "number").sort("stay", "second", "variable")
    )
    assert kept.rows() == [
        (0, inside_first, EYE, 3),
        (0, inside_first, HEART, 80),
        (0, 15 * 3600, HEART, 60),  # its own event, after the stay
        (1, 15 * 3600, HEART, 60),  # of the first stay, but within the second
    ]


event_lists = st.lists(
    st.tuples(st.integers(-7200, 80 * 3600), st.integers(0, 16), st.integers(0, 1)), min_size=1, max_size=60
)


@given(event_lists, st.sampled_from([1.0, 2.0, 4.0]), st.booleans())
def test_the_first_48_hours_of_the_stay_are_what_48_hours_alone_give(
    events: list[tuple[int, int, int]], bin_hours: float, normal_values: bool
) -> None:
    rows = sorted((0, second, variable, float(number)) for second, variable, number in events)
    whole = grid_of(cells(*rows), stays(71.3), bin_hours)
    alone = grid_of(cells(*rows), stays(48.0), bin_hours)
    matrix, time = to_columns(whole, normal_values=normal_values), bin_ends(whole.lengths, bin_hours)
    first = matrix[time <= 48.0]
    if alone.lengths[0]:
        np.testing.assert_array_equal(first, to_columns(alone, normal_values=normal_values))
    else:
        assert not first[:, 59:].any()


@given(event_lists)
def test_masks_say_what_was_observed_and_one_hots_name_one_category(events: list[tuple[int, int, int]]) -> None:
    rows = sorted((0, second, variable, float(number)) for second, variable, number in events)
    grid = grid_of(cells(*rows), stays(71.3), 2.0)
    matrix = to_columns(grid, normal_values=False)
    np.testing.assert_array_equal(matrix[:, 59:], ~np.isnan(grid.values))
    for number, variable in enumerate(variables()):
        if variable.categories:
            of_variable = [i for i, column in enumerate(columns()[:59]) if column.variable == variable.name]
            total = matrix[:, of_variable].sum(axis=1)
            assert set(total[~np.isnan(total)]) <= {1.0}
            assert (np.cumsum(matrix[:, 59 + number]) > 0).tolist() == (~np.isnan(total)).tolist()
