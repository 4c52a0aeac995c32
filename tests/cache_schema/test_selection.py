"""Which items a task sees: the first, the last or all of those in its window, and at most so many."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError, Modality, ModalitySpec, Task, offsets_of
from omnifuse.cache_schema.selection import input_rows

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
            "time": pl.Series(hours, dtype=pl.Float32),
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
