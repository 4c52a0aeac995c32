"""What a bin is as one number, in closed form."""

import numpy as np
import pytest
from omnifuse.pipeline.series.aggregates import Observations, Summary, summarise
from omnifuse.pipeline.series.rows import BinRows

NAN = np.nan


def seen(*rows: tuple[int, int, int, float, float]) -> Observations:
    """Return observations (sample, bin, series, value, hours), all of them new."""
    sample, bins, series, value, hours = (np.array(column) for column in zip(*rows, strict=True))
    return Observations(
        sample, bins, series, value.astype(float), hours.astype(float), np.ones(len(rows)), np.ones(len(rows), bool)
    )


OBSERVED = seen((0, 0, 0, 3, 0.5), (0, 0, 0, 1, 1.5), (0, 2, 0, 0, 5.0), (0, 1, 1, 9, 2.5))
ROWS = BinRows.of(OBSERVED.sample, OBSERVED.bins, np.array([4]), 2.0)


@pytest.mark.parametrize(
    ("aggregate", "empty", "expected"),
    [
        ("last", "carried", [1, 1, 0, 0]),
        ("last", "unknown", [1, NAN, 0, NAN]),
        ("mean", "unknown", [2, NAN, 0, NAN]),
        ("min", "unknown", [1, NAN, 0, NAN]),
        ("max", "unknown", [3, NAN, 0, NAN]),
        ("sum", "unknown", [4, NAN, 0, NAN]),
        ("any", "zero", [1, 0, 0, 0]),
        ("count", "zero", [2, 0, 1, 0]),
        ("time_since_last", "carried", [0.5, 2.5, 1, 3]),
    ],
)
def test_an_aggregate_of_four_bins(aggregate: str, empty: str, expected: list[float]) -> None:
    values, masks = summarise(OBSERVED, ROWS, [Summary(0, aggregate, None, empty)])  # type: ignore[arg-type]
    np.testing.assert_array_equal(values[:, 0], expected)
    np.testing.assert_array_equal(masks[:, 0], [1, 0, 1, 0])


def test_series_do_not_mix() -> None:
    values, masks = summarise(OBSERVED, ROWS, [Summary(1, "last", None, "carried"), Summary(2, "count", None, "zero")])
    np.testing.assert_array_equal(values, [[NAN, 0], [9, 0], [9, 0], [9, 0]])
    np.testing.assert_array_equal(masks, [[0, 0], [1, 0], [0, 0], [0, 0]])


def test_a_level_is_one_or_zero_and_is_carried() -> None:
    values, _ = summarise(OBSERVED, ROWS, [Summary(0, "last", 1, "carried"), Summary(0, "last", 0, "carried")])
    np.testing.assert_array_equal(values, [[1, 0], [1, 0], [0, 1], [0, 1]])


def test_an_older_value_that_is_known_late_is_not_the_last_one() -> None:
    late = seen((0, 0, 0, 5, 1.0), (0, 1, 0, 7, 0.5))
    late = Observations(*list(vars(late).values())[:-1], np.array([True, False]))
    rows = BinRows.of(late.sample, late.bins, np.array([2]), 2.0)
    values, masks = summarise(late, rows, [Summary(0, "last", None, "carried"), Summary(0, "count", None, "zero")])
    np.testing.assert_array_equal(values, [[5, 1], [5, 1]])
    np.testing.assert_array_equal(masks, [[1, 1], [0, 1]])


def test_nothing_is_filled_in_before_t0() -> None:
    early = seen((0, -1, 0, 5, -1.0), (0, 0, 1, 5, 1.0))
    rows = BinRows.of(early.sample, early.bins, np.array([1]), 2.0)
    values, _ = summarise(early, rows, [Summary(0, "last", None, "carried"), Summary(1, "any", None, "zero")])
    np.testing.assert_array_equal(values, [[5, NAN], [5, 1]])


def test_samples_do_not_mix() -> None:
    two = seen((0, 0, 0, 5, 1.0), (1, 1, 0, 6, 3.0))
    rows = BinRows.of(two.sample, two.bins, np.array([2, 2]), 2.0)
    values, _ = summarise(two, rows, [Summary(0, "last", None, "carried")])
    np.testing.assert_array_equal(values[:, 0], [5, 5, NAN, 6])
