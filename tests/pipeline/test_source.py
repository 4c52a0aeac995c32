"""The quarantine counts everything and stores a bounded number of rows."""

import pytest
from omnifuse.pipeline.source import STORED_PER_REASON, Quarantine


def test_counts_stay_complete_where_rows_are_cut() -> None:
    quarantine = Quarantine()
    for row in range(STORED_PER_REASON + 5):
        quarantine.add("ehr", "LABEVENTS.csv", f"row {row}", "x", "not a number")
    quarantine.add("ehr", "LABEVENTS.csv", "row 1", "", "no time", count=40)
    assert quarantine.frame().height == STORED_PER_REASON + 1
    assert quarantine.counts().to_dicts() == [
        {"stage": "ehr", "source": "LABEVENTS.csv", "reason": "no time", "count": 40},
        {"stage": "ehr", "source": "LABEVENTS.csv", "reason": "not a number", "count": STORED_PER_REASON + 5},
    ]
    assert quarantine.total == STORED_PER_REASON + 45


@pytest.mark.parametrize("value", ["", "<5", "33,9", "-1e39", "12.5 mg", "2150-01-32 25:00:00", "nan", ">500 ??"])
def test_what_says_how_a_number_was_written_is_kept(value: str) -> None:
    assert stored(value) == value


@pytest.mark.parametrize("value", ["Mary Smith", "王小明", "seen by Dr. House at 12:00", "Ängste"])
def test_of_a_text_only_the_length_is_kept(value: str) -> None:
    assert stored(value) == f"text ({len(value)})"


def test_a_long_value_is_cut() -> None:
    assert stored("1" * 1000) == "1" * 80


def stored(value: str) -> str:
    """Return what a quarantine keeps of a value, after it was written down and read again."""
    first, second = Quarantine(), Quarantine()
    first.add("ehr", "LABEVENTS.csv", "row 1", value, "not a number")
    second.extend(first.to_json())
    return second.frame()["value"].item()


def test_a_quarantine_survives_json() -> None:
    first, second = Quarantine(), Quarantine()
    first.add("plan", "a.csv", "row 2", "-1", "below zero", count=3)
    second.add("plan", "a.csv", "row 9", "-2", "below zero")
    second.extend(first.to_json())
    assert second.counts()["count"].to_list() == [4]
    assert second.frame()["where"].to_list() == ["row 2", "row 9"]
