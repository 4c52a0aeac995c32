"""The quarantine counts everything and stores a bounded number of rows."""

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


def test_a_quarantine_survives_json() -> None:
    first, second = Quarantine(), Quarantine()
    first.add("plan", "a.csv", "row 2", "-1", "below zero", count=3)
    second.add("plan", "a.csv", "row 9", "-2", "below zero")
    second.extend(first.to_json())
    assert second.counts()["count"].to_list() == [4]
    assert second.frame()["where"].to_list() == ["row 2", "row 9"]
