"""Intervals as they were known while they ran, and values beside each other."""

from typing import Any

import polars as pl
from omnifuse.pipeline.sources.mimic.concepts.derived.given import as_known
from omnifuse.pipeline.sources.mimic.concepts.derived.latest import first_known, last_before, newest, of_one_sample
from omnifuse.pipeline.sources.mimic.concepts.derived.making import NEEDED

from .conftest import BEGIN, HOUR, hours, of_points, second


def interval(start: float, end: float, known: float | None = None, **more: Any) -> dict[str, Any]:
    """Return an interval with times in hours; ``ends`` are pairs of when an end was known, and the end."""
    times = {"time": start, "end": end, "known": start if known is None else known, **more}
    ends = [{"known": second(told), "end": second(at)} for told, at in times.pop("ends", [])] or None
    row = {name: second(hour) for name, hour in times.items()}
    return {"subject_id": 1, "value": 1.0, "ends": ends, "open_end": None, "end_known": None, **row}


def ran(*rows: dict[str, Any]) -> list[tuple[float, float]]:
    known = as_known(pl.DataFrame(rows, schema=NEEDED)).sort("time")
    assert known["known"].to_list() == known["time"].to_list()
    return [((start - BEGIN) / HOUR, (end - BEGIN) / HOUR) for start, end in known.select("time", "end").iter_rows()]


def test_an_interval_runs_from_when_it_was_known() -> None:
    assert ran(interval(1, 4)) == [(1, 4)]
    assert ran(interval(1, 4, known=2)) == [(2, 4)]
    assert ran(interval(1, 4, known=5)) == [(5, 5)]
    assert ran(interval(4, 4)) == []


def test_a_rate_that_holds_runs_until_its_end_was_known() -> None:
    """The next row is of hour 3; it was known at once, at hour 4, or after the four hours for which a rate holds."""
    for told, end in ((3, 3), (4, 4), (7, 5)):
        assert ran(interval(1, 3, open_end=5, end_known=told)) == [(1, end)]


def test_a_rate_that_another_of_its_time_takes_the_place_of_ran_until_that_was_known() -> None:
    assert ran(interval(1, 1, open_end=5, end_known=1)) == []
    assert ran(interval(1, 1, open_end=5, end_known=3)) == [(1, 3)]


def test_of_several_ends_each_counts_while_it_is_the_latest_known() -> None:
    """At hour 4 the end is known to have been at 3: it ends then. The row of hour 2, known at 6, changes nothing."""
    rows = interval(1, 2, open_end=5, end_known=6, ends=[(4, 3), (6, 2)])
    assert ran(rows) == [(1, 4)]


def test_an_older_value_that_becomes_known_late_is_not_the_newest() -> None:
    rows = of_points((1, 10, 4), (2, 20, 3), (5, 30), (5, 40, 6))
    assert hours(newest(rows)) == [(2, 20), (5, 30), (5, 40)]


def test_values_of_a_sample_are_those_that_were_known_first() -> None:
    rows = of_points((1, 10, 2), (1, 20, 2), (1, 90, 3))
    assert first_known(rows).select("known", "value").rows() == [(second(2), 15)]
    both = of_one_sample({"a": rows, "b": of_points((1, 5, 4), (2, 6))})
    assert both.select("time", "a", "b").rows() == [(second(4), 15, 5)]


def test_the_last_before_is_sought_in_the_hours_before_among_what_was_known() -> None:
    asked = of_points((10, 0), (10, 0, 12), (3, 0), (14.1, 0))
    others = of_points((6, 1), (9, 2, 11), (10.5, 3), (-2, 4))
    assert last_before(asked, others, 4 * HOUR).to_list() == [1, 2, None, 3]
