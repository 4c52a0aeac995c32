"""Versions of MIMIC-IV: units from ``transfers``, stays without an end, the folders of version 1."""

from typing import Any

import polars as pl
import pytest
from omnifuse.pipeline.source import Quarantine, Records
from omnifuse.pipeline.sources.mimic import Options, care_units
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet

from .conftest import RawFolder
from .label import tasks_of

TRANSFERS = "subject_id,hadm_id,transfer_id,eventtype,careunit,intime,outtime"
STAY = ("2180-01-01 00:00:00", "2180-01-03 02:00:00")
HALF = "2180-01-02 00:00:00"


def add_stay(raw: RawFolder, number: int, unit: str = "MICU", **changed: str) -> None:
    """Add subject 10000032 + number with the stay 200 + number of 50 hours and a heart rate."""
    ids = {"subject_id": 10000032 + number, "hadm_id": 20 + number}
    stay = {"stay_id": 200 + number, "first_careunit": unit, "last_careunit": unit}
    raw.add("icu/icustays", **ids, **{**stay, "intime": STAY[0], "outtime": STAY[1], "los": "2.0833", **changed})
    raw.add("hosp/admissions", **ids, admittime=STAY[0], dischtime="2180-01-04 00:00:00", race="WHITE")
    raw.add("hosp/patients", subject_id=ids["subject_id"], gender="M", anchor_age=60, anchor_year=2180)
    raw.add("hosp/diagnoses_icd", **ids, seq_num=1, icd_code="I10", icd_version=10)
    event = {"itemid": 220045, "charttime": "2180-01-01 01:00:00", "value": "80", "valueuom": "bpm"}
    raw.add("icu/chartevents", **ids, stay_id=stay["stay_id"], **event)


def moves(raw: RawFolder, number: int, *rows: tuple[str, str, str, str]) -> None:
    """Add rows of transfers of an admission: event, unit, begin, end."""
    for event, unit, begin, end in rows:
        raw.add("hosp/transfers", subject_id=10000032 + number, hadm_id=20 + number, eventtype=event, careunit=unit,
                intime=begin, outtime=end)  # fmt: skip


@pytest.fixture
def as_3_1(mimic4: RawFolder) -> RawFolder:
    """Return stays 200 and 201, neither of which changed the unit by the table of stays; by transfers 201 did."""
    mimic4.headers["hosp/transfers"] = TRANSFERS
    add_stay(mimic4, 1)
    around = ("ED", "Emergency Department", "2179-12-31 20:00:00", "2180-01-01 01:00:00")
    after = ("transfer", "Med/Surg", STAY[1], "2180-01-04 00:00:00"), ("discharge", "", "2180-01-04 00:00:00", "")
    moves(mimic4, 0, around, ("admit", "MICU", *STAY), *after)
    moves(mimic4, 1, around, ("transfer", "SICU", HALF, STAY[1]), ("admit", "MICU", STAY[0], HALF), *after)
    return mimic4


def read(raw: RawFolder, **options: Any) -> tuple[Records, Quarantine]:
    quarantine = Quarantine()
    return MimicDataSet(raw.write(), Options(modalities=("ehr",), **options)).read(quarantine), quarantine


def counted(quarantine: Quarantine) -> dict[str, int]:
    reasons = quarantine.counts().filter(pl.col("reason").str.starts_with(care_units.RULE))
    return dict(reasons.select("reason", "count").iter_rows())


def test_where_no_stay_changed_the_unit_transfers_say_which_did(as_3_1: RawFolder) -> None:
    records, quarantine = read(as_3_1)
    assert records.samples["sample_id"].to_list() == [200]
    assert list(counted(quarantine).values()) == [1]
    assert records.notes == ("1 of 2 stays changed the unit by the table transfers; icustays tells of none.",)


@pytest.mark.parametrize("options", [{"without_rule": ("units_from_transfers",)}, {"profile": "benchmark"}])
def test_the_rule_can_be_switched_off(as_3_1: RawFolder, options: dict[str, Any]) -> None:
    records, quarantine = read(as_3_1, **options)
    assert records.samples["sample_id"].to_list() == [200, 201] and counted(quarantine) == {}


def test_where_the_table_of_stays_tells_of_changes_transfers_are_not_asked(as_3_1: RawFolder) -> None:
    as_3_1.tables["icu/icustays"][0]["last_careunit"] = "TSICU"
    records, quarantine = read(as_3_1)
    assert records.samples["sample_id"].to_list() == [201] and counted(quarantine) == {}


def test_a_transfer_that_has_not_ended_lasts(as_3_1: RawFolder) -> None:
    for row in as_3_1.tables["hosp/transfers"]:
        if row["careunit"] == "SICU":
            row["outtime"] = ""
    assert read(as_3_1)[0].samples["sample_id"].to_list() == [200]


def test_of_many_stays_none_of_which_changed_the_unit_a_note_says_what_is_missing(
    as_3_1: RawFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    del as_3_1.headers["hosp/transfers"]
    assert read(as_3_1)[0].notes == (), "two stays may well be of one unit each"
    monkeypatch.setattr(care_units, "FEWEST", 2)
    (note,) = read(as_3_1)[0].notes
    assert note.startswith("first_careunit is last_careunit in every row") and "Add the table transfers" in note
    (note,) = read(as_3_1, profile="benchmark")[0].notes
    assert "The rule units_from_transfers of the clean profile" in note


def test_a_stay_without_an_end_is_in_no_task_and_its_items_have_no_place(mimic4: RawFolder) -> None:
    add_stay(mimic4, 1, outtime="", los="")
    records, _ = read(mimic4)
    assert records.samples["sample_id"].to_list() == [200, 201]
    for task in tasks_of(records):
        labelled = set(task.sample.tolist()) if task.sample is not None else {
            number for number, known in enumerate(task.y[:, 0] == task.y[:, 0]) if known
        }  # fmt: skip
        assert labelled <= {0}, task.name


def test_the_tables_of_version_1_lie_in_core_too(mimic4: RawFolder) -> None:
    mimic4.headers["hosp/admissions"] = mimic4.headers["hosp/admissions"].replace("race", "ethnicity")
    mimic4.tables["hosp/admissions"][0]["ethnicity"] = "WHITE"
    moved = {"hosp/admissions": "core/admissions", "hosp/patients": "core/patients"}
    for before, after in moved.items():
        mimic4.headers[after], mimic4.tables[after] = mimic4.headers.pop(before), mimic4.tables.pop(before)
    records, _ = read(mimic4)
    assert records.samples.select("sample_id", "age", "race").rows() == [(200, 60.0, "WHITE")]


def test_a_laboratory_value_that_names_no_admission_and_no_time_of_storing_counts_when_it_was_charted(
    mimic4: RawFolder,
) -> None:
    mimic4.headers["hosp/labevents"] += ",storetime"
    row = {"subject_id": 10000032, "itemid": 50813, "value": "3.1", "valuenum": "3.1", "valueuom": "mmol/L"}
    mimic4.add("hosp/labevents", **row, charttime="2180-01-01 02:30:00")
    options = Options(modalities=("labs",), variables=("labs",))
    (table,) = MimicDataSet(mimic4.write(), options).read(Quarantine()).tables
    (block,) = table.blocks(Quarantine())
    lactate = block.values[:, [column.name for column in table.columns].index("lactate")]
    assert dict(zip(block.time.tolist(), lactate.tolist(), strict=True))[4.0] == pytest.approx(3.1)
