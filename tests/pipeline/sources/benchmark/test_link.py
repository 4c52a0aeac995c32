"""Which stay an event belongs to."""

import polars as pl
from omnifuse.pipeline.sources.mimic.benchmark.link import link_by_stay_admission_or_time, match_admissions

STAYS = pl.DataFrame(
    {
        "subject_id": [1, 1, 2],
        "hadm_id": [10, 11, 20],
        "stay_id": [100, 110, 200],
        "subject": [0, 0, 1],
        "stay": [0, 1, 2],
        "intime": [0, 5000, 0],
        "outtime": [1000, 6000, None],
    }
)


def events(*rows: tuple[int, int | None, int | None, int]) -> pl.DataFrame:
    """Return events (subject_id, hadm_id, stay_id, second)."""
    names = ["subject_id", "hadm_id", "stay_id", "second"]
    return pl.DataFrame(list(rows), schema=dict.fromkeys(names, pl.Int64), orient="row")


MIXED = events(
    (1, 10, 100, 1),  # complete
    (1, 10, None, 2),  # laboratory: no stay
    (1, None, 100, 3),  # no admission, but its stay
    (1, 99, 100, 4),  # another admission
    (1, 20, None, 5),  # an admission of another subject
    (1, 10, 110, 6),  # a stay of another admission
    (1, None, None, 5500),  # neither, but within the second stay
    (1, None, None, 1000),  # neither, at the end of the first stay
    (1, None, None, 1001),  # neither, after it
    (2, None, None, 7),  # neither, in a stay without end
)


def test_benchmark_needs_the_admission_and_no_contradiction() -> None:
    matched, linked, counts = match_admissions(MIXED, STAYS)
    assert sorted(matched["second"]) == sorted(MIXED["second"]), "all events"
    assert matched.filter(linked).select("second", "stay").sort("second").rows() == [(1, 0), (2, 0)]
    assert counts == {
        "events": 10,
        "HADM_ID empty": 5,
        "HADM_ID outside the cohort": 2,
        "stay id empty, taken from HADM_ID": 1,
        "stay id contradicts HADM_ID": 1,
    }


def test_clean_also_takes_the_stay_id_or_the_time() -> None:
    linked, counts = link_by_stay_admission_or_time(MIXED, STAYS)
    assert linked.select("second", "stay").sort("second").rows() == [(1, 0), (2, 0), (3, 0), (1000, 0), (5500, 1)]
    assert counts["stay_without_admission"] == 1
    assert counts["time_within_stay"] == 2
    assert counts["HADM_ID empty"] == 2


def test_each_way_can_be_switched_off() -> None:
    by_stay, _ = link_by_stay_admission_or_time(MIXED, STAYS, by_time=False)
    by_time, _ = link_by_stay_admission_or_time(MIXED, STAYS, by_stay=False)
    assert by_stay["second"].sort().to_list() == [1, 2, 3]
    assert by_time["second"].sort().to_list() == [1, 2, 1000, 5500]


def test_no_events_are_no_events() -> None:
    linked, _ = link_by_stay_admission_or_time(MIXED.clear(), STAYS)
    assert linked.is_empty()
