"""Which items a task sees: the first, the last or all of those in its window, and at most so many."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError, Modality, ModalitySpec, Task, offsets_of
from omnifuse.cache_schema.selection import input_rows, known_rows

HOURS = [1.0, 2.0, 3.0, 4.0, 50.0]


def modality(hours: list[float], *, rows: int = 2) -> Modality:
    """Return one sample with an item of ``rows`` rows at each hour; the rows hold the number of their item."""
    number = np.arange(len(hours))
    items = pl.DataFrame(
        {
            "item_id": [f"{n}" for n in number],
            "sample": 0,
            "first_row": number * rows,
            "rows": rows,
            "time": pl.Series([None if np.isnan(hour) else hour for hour in hours], dtype=pl.Float32),
            "view": ["AP" if n % 2 else "LL" for n in number],
        }
    )
    values = np.repeat(number, rows).astype(np.float16)[:, None]  # [R, 1]
    time = np.repeat(np.array(hours, dtype=np.float32), rows)
    spec = ModalitySpec("cxr", "embedding", "one image", {})
    return Modality(values=values, offsets=offsets_of(np.array([len(values)])), time=time, spec=spec, items=items)


def seen(rule: dict[str, Any], window: float | None = 48.0) -> list[int]:
    task = Task("t", "binary", ("y",), np.zeros((1, 1), np.float32), window, {"cxr": rule})
    chosen = input_rows(modality(HOURS), task)
    numbers = chosen.values[:, 0].astype(int).tolist()
    assert numbers[::2] == numbers[1::2], "an item is seen whole"
    return numbers[::2]


@pytest.mark.parametrize(
    ("rule", "items"),
    [
        ({"rows": "last"}, [3]),
        ({"rows": "first"}, [0]),
        ({"rows": "all"}, [0, 1, 2, 3]),
        ({}, [0, 1, 2, 3]),
        ({"rows": "last", "max": 2}, [2, 3]),
        ({"rows": "first", "max": 2}, [0, 1]),
        ({"rows": "all", "max": 3}, [1, 2, 3]),
        ({"rows": "all", "max": 8}, [0, 1, 2, 3]),
        ({"max": 1}, [3]),
        ({"rows": "last", "max": 2, "where": {"view": ["LL"]}}, [0, 2]),
        ({"rows": "first", "max": 2, "where": {"view": ["AP"]}}, [1, 3]),
    ],
)
def test_the_items_of_the_window_that_a_rule_chooses(rule: dict[str, Any], items: list[int]) -> None:
    assert seen(rule) == items


def test_without_a_window_the_last_are_the_last_of_all() -> None:
    assert seen({"rows": "last", "max": 2}, window=None) == [3, 4]


@given(st.integers(1, 9), st.sampled_from(["first", "last", "all"]))
def test_as_many_as_asked_for_oldest_first(most: int, rows: str) -> None:
    items = seen({"rows": rows, "max": most})
    assert items == ([0, 1, 2, 3][:most] if rows == "first" else [0, 1, 2, 3][-most:])


@pytest.mark.parametrize(
    "rule", [{"rows": "newest"}, {"max": 0}, {"max": -1}, {"max": "5"}, {"max": True}, {"max": 1.5}]
)
def test_a_rule_that_is_none_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"A task selects (rows 'newest'|at most)"):
        seen(rule)


RULES = [
    {},
    {"rows": "last"},
    {"rows": "first"},
    {"rows": "last", "max": 2},
    {"max": 3},
    {"rows": "first", "max": 2, "where": {"view": ["AP"]}},
    {"rows": "last", "where": {"view": ["LL"]}},
]


@given(
    hours=st.lists(st.sampled_from([-3.0, 1.0, 2.0, 5.0, float("nan")]), min_size=1, max_size=6),
    times=st.lists(st.sampled_from([0.0, 1.0, 1.5, 4.0, 9.0]), min_size=1, max_size=5),
    rule=st.sampled_from(RULES),
)
def test_a_prediction_at_a_time_knows_what_a_window_up_to_then_would_show(
    hours: list[float], times: list[float], rule: dict[str, Any]
) -> None:
    """Whatever the order of the rows; those without a time are known from the beginning."""
    cxr, count = modality(hours), len(times)
    sample, y = np.zeros(count, dtype=np.int64), np.zeros((count, 1), np.float32)
    long = Task("t", "binary", ("y",), y, None, {"cxr": rule}, sample=sample, time=np.array(times, np.float32))
    known = known_rows(cxr, long)
    for number, time in enumerate(times):
        begin, end = known.starts[number], known.starts[number] + known.lengths[number]
        window = Task("t", "binary", ("y",), y[:1], time, {"cxr": rule})
        assert sorted(known.rows.values[begin:end, 0]) == sorted(input_rows(cxr, window).values[:, 0])


def test_rows_are_shared_by_the_predictions_of_a_sample() -> None:
    sample, time = np.zeros(3, dtype=np.int64), np.array([1, 3, 4], np.float32)
    known = known_rows(
        modality(HOURS), Task("t", "binary", ("y",), np.zeros((3, 1), np.float32), sample=sample, time=time)
    )
    assert len(known.rows.values) == 8  # of four items: nobody asks after the fifth
    assert known.starts.tolist() == [0, 0, 0]
    assert known.lengths.tolist() == [2, 6, 8]
