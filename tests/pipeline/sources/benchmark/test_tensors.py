"""From raw events to tensors in memory that does not depend on their number."""

import numpy as np
import polars as pl
import pytest
from omnifuse.pipeline.series import spill
from omnifuse.pipeline.series.times import seconds
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources.mimic.benchmark import EhrSettings, EhrTensors, extract_tensors

HOUR = 3600
STAYS = pl.DataFrame(
    {
        "subject_id": [5, 3, 3],
        "hadm_id": [50, 30, 31],
        "stay_id": [500, 300, 310],
        "intime": [0, 0, 100 * HOUR],
        "outtime": [10 * HOUR, 10 * HOUR, 110 * HOUR],
        "los_hours": [10.0, 10.0, 10.0],
    }
)
ORIGIN = np.datetime64("1970-01-01T00:00:00")


def event(subject: int, stay: int | None, hour: float, itemid: int, value: str, **other: object) -> dict[str, object]:
    """Return one event of an admission that has a tenth of the stay's number."""
    time = str(ORIGIN + np.timedelta64(int(hour * HOUR), "s")).replace("T", " ")
    row = {
        "subject_id": subject,
        "hadm_id": stay and stay // 10,
        "stay_id": stay,
        "itemid": itemid,
        "charttime": time,
        "value": value,
    }
    return {**row, "unit": None, "error": None, "valuenum": None, **other}


SCHEMA = {
    **dict.fromkeys(["subject_id", "hadm_id", "stay_id", "itemid"], pl.Int64),
    **dict.fromkeys(["charttime", "value", "unit", "error"], pl.String),
    "valuenum": pl.Float64,
}


def extract(*events: dict[str, object], settings: EhrSettings, quarantine: Quarantine | None = None) -> EhrTensors:
    frame = pl.DataFrame(list(events), schema=SCHEMA)
    return extract_tensors(lambda keep: frame.filter(keep).iter_slices(2), STAYS, settings, quarantine or Quarantine())


def by_stay(tensors: EhrTensors) -> dict[int, np.ndarray]:
    """Return the rows ``[rows, 76]`` of every stay that has any."""
    rows: dict[int, np.ndarray] = {}
    for block in tensors.blocks():
        parts = np.split(block.values, np.cumsum(block.lengths)[:-1])
        rows |= {int(STAYS["stay_id"][int(stay)]): part for stay, part in zip(block.stays, parts, strict=True)}
    return rows


EVENTS = [
    event(5, 500, 1, 211, "80"),
    event(5, 500, 3, 211, "fast"),
    event(3, 300, 2, 211, "70"),
    event(3, 310, 101, 211, "75"),
    event(3, 310, 101, 646, "97"),
    event(4, 400, 1, 211, "99"),  # not of the cohort
    event(3, 300, 1, 999_999, "text of an item that no variable uses"),
]


@pytest.mark.parametrize("profile", ["benchmark", "clean"])
def test_each_stay_gets_its_rows(profile: str) -> None:
    tensors = extract(*EVENTS, settings=EhrSettings(profile))
    rows = by_stay(tensors)
    assert {stay: len(part) for stay, part in rows.items()} == {500: 5, 300: 5, 310: 5}
    assert rows[500][:, 50].tolist() == [80] * 5
    assert rows[310][0, [50, 53]].tolist() == [75, 97]
    assert tensors.first_hours.tolist() == [1, 2, 1]


def test_stays_without_an_observation_have_no_rows() -> None:
    tensors = extract(event(5, 500, -1, 211, "80"), event(3, 300, 2, 211, "fast"), settings=EhrSettings())
    assert by_stay(tensors) == {}
    assert np.isnan(tensors.first_hours).all()


def test_no_events_at_all() -> None:
    tensors = extract(settings=EhrSettings())
    assert by_stay(tensors) == {}


def test_buckets_on_disk_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = by_stay(extract(*EVENTS, settings=EhrSettings("benchmark")))
    monkeypatch.setattr(spill, "ROWS_HELD", 1)
    monkeypatch.setattr(spill, "ROWS_SORTED", 1)
    monkeypatch.setattr(spill, "ROWS_TOGETHER", 1)
    monkeypatch.setattr(spill, "SUBJECTS_PER_BUCKET", 1)
    parts = by_stay(extract(*EVENTS, settings=EhrSettings("benchmark")))
    assert whole.keys() == parts.keys()
    for stay, rows in whole.items():
        np.testing.assert_array_equal(rows, parts[stay])


def test_one_text_anywhere_makes_all_values_of_a_subject_text() -> None:
    """The benchmark orders values at one time by text then: 98 beats 101."""
    numbers = [event(5, 500, 1, 211, "98"), event(5, 500, 1, 211, "101")]
    settings = EhrSettings("benchmark")
    assert by_stay(extract(*numbers, settings=settings))[500][0, 50] == 101
    for value, kept in (("text", 98), ("NA", 101), ("1e2", 101), ("None", 98)):
        elsewhere = event(5, 500, 9, 999_999, value)
        assert by_stay(extract(*numbers, elsewhere, settings=settings))[500][0, 50] == kept
    not_valid = event(5, None, 9, 999_999, "text")
    assert by_stay(extract(*numbers, not_valid, settings=settings))[500][0, 50] == 101


@pytest.mark.parametrize("missing", ["", "NA", "n/a", "nan", "NULL", "#N/A", "<NA>"])
def test_texts_that_mean_missing_are_dropped(missing: str) -> None:
    tensors = extract(event(5, 500, 1, 184, missing), event(5, 500, 2, 184, "None"), settings=EhrSettings("benchmark"))
    assert tensors.first_hours[0] == 2


def test_clean_leaves_out_what_was_charted_in_error() -> None:
    wrong = event(5, 500, 1, 211, "80", error="1")
    assert by_stay(extract(wrong, settings=EhrSettings())) == {}
    assert 500 in by_stay(extract(wrong, settings=EhrSettings("benchmark")))
    assert 500 in by_stay(extract(wrong, settings=EhrSettings(without=frozenset(["drop_charted_errors"]))))


def test_clean_reads_new_items_and_no_urine() -> None:
    urine, new = event(5, 500, 1, 51478, "80"), event(5, 500, 1, 52027, "80")
    assert by_stay(extract(urine, settings=EhrSettings())) == {}
    assert 500 in by_stay(extract(new, settings=EhrSettings()))
    assert 500 in by_stay(extract(urine, settings=EhrSettings("benchmark")))
    assert by_stay(extract(new, settings=EhrSettings("benchmark"))) == {}
    assert 500 in by_stay(extract(urine, settings=EhrSettings(without=frozenset(["blood_only"]))))
    assert by_stay(extract(new, settings=EhrSettings(without=frozenset(["new_items"])))) == {}


def test_events_that_are_not_used_are_counted() -> None:
    quarantine = Quarantine()
    extract(
        event(5, None, 1, 211, "80"),
        event(5, 310, 1, 211, "80"),
        event(5, 500, 1, 211, "80", charttime="yesterday"),
        settings=EhrSettings("benchmark"),
        quarantine=quarantine,
    )
    reasons = {reason: count for _, _, reason, count in quarantine.counts().rows()}
    assert reasons == {"HADM_ID empty": 1, "HADM_ID outside the cohort": 1, "CHARTTIME unreadable": 1}


def test_a_second_reading_of_the_blocks_gives_the_same() -> None:
    tensors = extract(*EVENTS, settings=EhrSettings())
    first, second = by_stay(tensors), by_stay(tensors)
    assert first.keys() == second.keys()


def test_times_are_read_in_the_usual_formats() -> None:
    texts = ["2109-03-20 01:00:00", "2109-03-20", "2109-03-20T01:00:00", "2109-03-20 01:00:00.500", "2109-03-20 01:00"]
    read = seconds(pl.Series([*texts, "20/03/2109", "2109-03-20 01:00:00+02:00", None, ""]))
    day = int(np.datetime64("2109-03-20", "s").astype(int))
    assert read.to_list() == [day + HOUR, day, *[day + HOUR] * 3, None, None, None, None]


def test_times_of_parquet_are_read_too() -> None:
    moments = pl.Series(["2109-03-20 01:00:00"]).str.to_datetime(time_unit="ns")
    assert seconds(moments).to_list() == seconds(pl.Series(["2109-03-20 01:00:00"])).to_list()
    assert seconds(moments.cast(pl.Date)).to_list() == seconds(pl.Series(["2109-03-20"])).to_list()
