"""Prediction times and labels of decompensation and remaining length of stay, in closed form."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.cache_schema import Task
from omnifuse.pipeline.sources.mimic.benchmark.long_tasks import BUCKETS, decompensation, length_of_stay
from omnifuse.pipeline.sources.mimic.benchmark.tasks import Stays

NEVER = np.nan


def one_stay(
    los: float, first: float | None = 0.0, *, died: bool = False, death: float = NEVER, diagnosed: bool = True
) -> Stays:
    return Stays(
        los_hours=np.array([los]),
        died=np.array([died]),
        death_hours=np.array([death]),
        diagnosed=np.array([diagnosed]),
        phenotypes=np.zeros((1, 25), dtype=bool),
        counts=(("adults", 1),),
        first_hours=None if first is None else np.array([first]),
    )


def times(task: Task) -> list[float]:
    assert task.time is not None
    return task.time.tolist()


TIMES = [
    ("after 4 hours, up to the end of the stay", one_stay(7.5), [5, 6, 7]),
    ("a stay that ends on the hour", one_stay(7.0), [5, 6, 7]),
    ("a stay that ends within the tolerance before the hour", one_stay(7 - 5e-7), [5, 6, 7]),
    ("a stay that ends clearly before the hour", one_stay(7 - 2e-6), [5, 6]),
    ("a stay of 4 hours", one_stay(4.0), []),
    ("not at the time of the first event", one_stay(8.0, first=6.0), [7, 8]),
    ("right after the first event", one_stay(8.0, first=5.999), [6, 7, 8]),
    ("the first event at the very end", one_stay(8.0, first=8.0), []),
    ("an event just before admission", one_stay(6.0, first=-5e-7), [5, 6]),
    ("no event", one_stay(8.0, first=NEVER), []),
    ("events that are not wanted", one_stay(6.0, first=None), [5, 6]),
    ("no diagnosis", one_stay(8.0, diagnosed=False), []),
    ("an unknown length of stay", one_stay(NEVER), []),
]


@pytest.mark.parametrize(("stays", "expected"), [case[1:] for case in TIMES], ids=[case[0] for case in TIMES])
def test_prediction_times_of_both_tasks(stays: Stays, expected: list[float]) -> None:
    assert times(length_of_stay(stays, (), 1.0)) == expected
    assert times(decompensation(stays, (), 1.0, known_times_only=True)) == expected


def test_bins_of_two_hours_give_even_hours_of_the_hourly_predictions() -> None:
    stays = one_stay(40.3, died=True, death=38.0)
    for make in (length_of_stay, lambda *given: decompensation(*given, known_times_only=False)):
        hourly, every_other = make(stays, (), 1.0), make(stays, (), 2.0)
        even = hourly.time % 2 == 0
        np.testing.assert_array_equal(every_other.time, hourly.time[even])
        np.testing.assert_array_equal(every_other.y, hourly.y[even])


def test_decompensation_begins_less_than_24_hours_before_death_and_ends_with_it() -> None:
    task = decompensation(one_stay(50.0, died=True, death=30.0), ("cxr", "rep"), 1.0, known_times_only=True)
    assert times(task) == list(range(5, 31))
    assert task.y[:, 0].tolist() == [float(30 - t < 24) for t in range(5, 31)]
    assert task.y[1, 0] == 0  # at 6 h death is exactly 24 hours away
    assert (task.name, task.kind, task.window_hours, set(task.select)) == (
        "decompensation", "binary", None, {"cxr", "rep"},
    )  # fmt: skip


def test_a_death_after_the_stay_counts_and_one_out_of_hospital_does_not() -> None:
    later = decompensation(one_stay(10.0, died=True, death=33.0), (), 1.0, known_times_only=True)
    assert later.y[:, 0].tolist() == [0, 0, 0, 0, 0, 1]
    survivor = decompensation(one_stay(10.0, died=False, death=12.0), (), 1.0, known_times_only=True)
    assert survivor.y.sum() == 0


def test_a_death_at_an_unknown_time_is_left_out_or_as_in_the_benchmark_never_near() -> None:
    stays = one_stay(10.0, died=True)
    left_out = decompensation(stays, (), 1.0, known_times_only=True)
    assert ("a time of death if they died", 0) in left_out.counts and len(left_out.y) == 0
    as_published = decompensation(stays, (), 1.0, known_times_only=False)
    assert times(as_published) == [5, 6, 7, 8, 9, 10] and as_published.y.sum() == 0


def test_no_predictions_where_the_time_of_death_lies_before_admission() -> None:
    assert times(decompensation(one_stay(10.0, died=True, death=-3.0), (), 1.0, known_times_only=True)) == []


def test_buckets_hold_their_beginning() -> None:
    task = length_of_stay(one_stay(400.0), (), 1.0)
    bucket = dict(zip(times(task), task.y[:, 0].astype(int), strict=True))
    remaining = {1: 400 - 376, 2: 400 - 352, 7: 400 - 232, 8: 400 - 208}
    for days, hours in remaining.items():
        assert hours == 24 * days and BUCKETS[bucket[400 - hours]].startswith(f"{days} to")
        assert bucket[400 - hours + 1] == bucket[400 - hours] - 1
    assert BUCKETS[bucket[400 - 336]] == "14 days or more" and BUCKETS[bucket[400 - 335]] == "8 to 14 days"
    assert BUCKETS[bucket[400]] == "under 1 day"
    assert task.kind == "multiclass" and len(BUCKETS) == 10


def test_remaining_hours_are_compared_with_the_precision_of_the_benchmark() -> None:
    """MIMIC-IV's 2.0833333333333 days are 50 hours: a day and nothing is left at 26 h."""
    task = length_of_stay(one_stay(24 * 2.0833333333333), (), 1.0)
    assert task.y[times(task).index(26), 0] == 1


def test_the_last_counts_are_the_stays_with_predictions_and_the_predictions() -> None:
    task = length_of_stay(one_stay(8.0), (), 1.0)
    assert task.counts == (
        ("adults", 1),
        ("a diagnosis", 1),
        ("a length of stay", 1),
        ("an EHR event in the window", 1),
        ("a prediction time", 1),
        ("predictions", 4),
    )


hours = st.floats(0, 300, allow_nan=False)


@given(st.lists(st.tuples(hours, hours | st.just(NEVER), hours | st.just(NEVER), st.booleans()), max_size=8))
def test_many_stays_are_one_stay_after_the_other(rows: list[tuple[float, float, float, bool]]) -> None:
    singles = [one_stay(los, first, died=died, death=death) for los, first, death, died in rows]
    task = decompensation(_joined(singles), (), 1.0, known_times_only=False)
    parts = [decompensation(stays, (), 1.0, known_times_only=False) for stays in singles]
    assert task.sample is not None
    assert task.sample.tolist() == [number for number, part in enumerate(parts) for _ in times(part)]
    assert times(task) == [time for part in parts for time in times(part)]
    assert task.y[:, 0].tolist() == [label for part in parts for label in part.y[:, 0].tolist()]


def _joined(singles: list[Stays]) -> Stays:
    def column(name: str, dtype: type) -> np.ndarray:
        return np.array([getattr(stays, name)[0] for stays in singles], dtype=dtype)

    empty = one_stay(0.0)
    return replace(
        empty,
        **{name: column(name, float) for name in ("los_hours", "death_hours", "first_hours")},
        **{name: column(name, bool) for name in ("died", "diagnosed")},
        phenotypes=np.zeros((len(singles), 25), dtype=bool),
    )
