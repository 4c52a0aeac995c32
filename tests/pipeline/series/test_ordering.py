"""Orders, against sorting by several columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.pipeline.series.ordering import order_by, packed, running_maximum, stable_order

small = st.integers(-3, 3)
rows = st.lists(st.tuples(small, small, small), max_size=12)


@given(rows, st.sampled_from([1, 1 << 58]))
def test_events_are_ordered_as_by_all_columns_and_equal_ones_stay(events: list[tuple[int, int, int]], far: int) -> None:
    key, hours, row = (np.array([event[i] for event in events], dtype=np.int64) for i in range(3))
    expected = sorted(range(len(events)), key=lambda place: events[place])
    assert order_by((key + 3) * far, hours.astype(float), row).tolist() == expected
    assert stable_order((key + 3) * far).tolist() == sorted(range(len(events)), key=lambda place: events[place][0])


@given(rows, st.sampled_from([1, 1 << 58]))
def test_packed_columns_sort_as_their_rows(events: list[tuple[int, int, int]], far: int) -> None:
    columns = [np.array([event[i] for event in events], dtype=np.int64) * far for i in range(3)]
    key = packed(*columns)
    assert np.argsort(key, kind="stable").tolist() == np.lexsort(columns[::-1]).tolist()
    assert len(np.unique(key)) == len(set(events))
    assert (key >= 0).all()


@pytest.mark.parametrize("values", [[1.0, 3.0, 2.0, -1.0, -5.0, -0.5], [-2.0, -3.0, -1.0, 9.0, 9.0, 8.0]])
def test_the_running_maximum_begins_again_with_each_group(values: list[float]) -> None:
    expected = [*np.maximum.accumulate(values[:3]), *np.maximum.accumulate(values[3:])]
    assert running_maximum(np.array(values), np.array([0, 0, 0, 4, 4, 4])).tolist() == expected
