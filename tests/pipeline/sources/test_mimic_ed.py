"""The emergency department: which stay it belongs to, in which units, and when it counts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.cache_schema.selection import in_window
from omnifuse.pipeline.source import Block, Quarantine
from omnifuse.pipeline.sources import open_dataset
from omnifuse.pipeline.sources.mimic import Options
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet
from omnifuse.pipeline.sources.mimic.ed import medicines, visits
from omnifuse.pipeline.sources.mimic.within import STRANGER
from omnifuse.pipeline.synthetic import SynthSettings, write_cohort
from omnifuse.testing import check_dataset

from .conftest import RawFolder

SUBJECT = 10000032
MEASURED = {"heartrate": "88", "resprate": "18", "o2sat": "97", "sbp": "130", "dbp": "70", "pain": "3", "acuity": "2"}


@pytest.fixture
def department(mimic4: RawFolder) -> RawFolder:
    """Return the stay 200 of admission 20, from 2180-01-01 00:00, with tables of the department that are empty."""
    mimic4.headers["ed/edstays"] = "subject_id,hadm_id,stay_id,intime,outtime,disposition"
    mimic4.headers["ed/triage"] = "subject_id,stay_id,temperature,heartrate,resprate,o2sat,sbp,dbp,pain,acuity"
    return mimic4


def visit(
    raw: RawFolder, stay: int, intime: str, outtime: str, hadm: object = 20, disposition: str = "", **triage: Any
) -> None:
    """Add a stay in the department with its triage."""
    times = {"intime": intime, "outtime": outtime}
    raw.add("ed/edstays", subject_id=SUBJECT, hadm_id=hadm, stay_id=stay, disposition=disposition, **times)
    raw.add("ed/triage", subject_id=SUBJECT, stay_id=stay, **{"temperature": "98.6", **MEASURED, **triage})


def triage_of(raw: Path, quarantine: Quarantine | None = None) -> np.ndarray:
    """Return the rows ``[n, 8]`` of all stays."""
    records = MimicDataSet(raw, Options(modalities=("ed",))).read(Quarantine())
    (block,) = records.tables[0].blocks(quarantine or Quarantine())
    assert set(block.sample_ids) <= {200} and (block.lengths == 1).all() and (block.time == 0).all()
    return block.values


def test_triage_becomes_eight_numbers_known_at_admission_to_the_unit(department: RawFolder) -> None:
    visit(department, 200, "2179-12-31 18:00:00", "2179-12-31 23:00:00")  # its id is that of the stay in the unit
    table = MimicDataSet(department.write(), Options(modalities=("ed",))).read(Quarantine()).tables[0]
    assert (table.kind, [column.name for column in table.columns][:2]) == ("features", ["Temperature", "Heart Rate"])
    np.testing.assert_allclose(triage_of(department.path), [[37, 88, 18, 97, 130, 70, 3, 2]], rtol=1e-6)


@pytest.mark.parametrize(
    ("written", "celsius"), [("98.6", 37), ("37.5", 37.5), ("49.9", np.nan), ("50", np.nan), ("", np.nan)]
)
def test_a_temperature_below_50_is_in_celsius(department: RawFolder, written: str, celsius: float) -> None:
    visit(department, 7, "2179-12-31 18:00:00", "2179-12-31 23:00:00", temperature=written)
    np.testing.assert_allclose(triage_of(department.write())[:, 0], [celsius], rtol=1e-6)


def test_words_and_impossible_numbers_are_listed_and_missing(department: RawFolder) -> None:
    visit(department, 7, "2179-12-31 18:00:00", "2179-12-31 23:00:00", pain="Mr Smith sleeps", heartrate="888", sbp="")
    quarantine = Quarantine()
    assert np.isnan(triage_of(department.write(), quarantine)).tolist() == [[0, 1, 0, 0, 1, 0, 1, 0]]
    assert dict(quarantine.frame().select("reason", "value").iter_rows()) == {
        "heartrate is no number from 0 to 350": "888",
        "pain is no number from 0 to 10": "text (15)",
    }


@pytest.mark.parametrize(
    ("intime", "outtime", "hadm", "joined"),
    [
        ("2179-12-31 18:00:00", "2179-12-31 23:00:00", 20, True),
        ("2179-12-29 18:00:00", "2180-01-01 05:00:00", 20, True),  # by the admission, whenever the patient left
        ("2179-12-30 18:00:00", "2179-12-31 00:00:00", "", True),  # no admission, 24 hours before
        ("2179-12-30 18:00:00", "2179-12-30 23:59:59", "", False),
        ("2179-12-31 18:00:00", "2180-01-01 00:00:01", "", False),  # left after admission to the unit
        ("2179-12-31 18:00:00", "2179-12-31 23:00:00", 19, False),  # of another admission
        ("2179-12-31 23:45:00", "2180-01-01 01:00:00", 20, True),
        ("2179-12-31 23:45:01", "2180-01-01 01:00:00", 20, False),  # triage a second after admission to the unit
    ],
)
def test_the_stay_in_the_department_before_a_stay_in_the_unit(
    department: RawFolder, intime: str, outtime: str, hadm: object, joined: bool
) -> None:
    visit(department, 7, intime, outtime, hadm)
    assert len(triage_of(department.write())) == joined


def test_triage_after_admission_to_the_unit_is_listed(department: RawFolder) -> None:
    visit(department, 7, "2179-12-31 23:45:01", "2180-01-01 01:00:00")
    quarantine = Quarantine()
    assert len(triage_of(department.write(), quarantine)) == 0
    assert quarantine.counts()["reason"].to_list() == [visits.TOO_LATE]


def test_of_two_stays_in_the_department_the_last_counts(department: RawFolder) -> None:
    visit(department, 8, "2179-12-31 20:00:00", "2179-12-31 23:00:00", pain="8")
    visit(department, 7, "2179-12-31 10:00:00", "2179-12-31 12:00:00", pain="7")
    quarantine = Quarantine()
    assert triage_of(department.write(), quarantine)[:, 6].tolist() == [8]
    assert quarantine.counts().select("reason", "count").rows() == [(visits.TWO_STAYS, 1)]


VITAL_SIGNS = "subject_id,stay_id,charttime,temperature,heartrate,resprate,o2sat,sbp,dbp,rhythm,pain"
LAST_HOUR = "2179-12-31 23:00:00"


def vitals_of(raw: RawFolder, *rows: dict[str, str], quarantine: Quarantine | None = None) -> Block:
    """Return the vital signs of stay 200, who came at 18:00 and left the department at 01:00 in the unit."""
    visit(raw, 7, "2179-12-31 18:00:00", "2180-01-01 01:00:00", disposition="ADMITTED")
    raw.headers["ed/vitalsign"] = VITAL_SIGNS
    for row in rows:
        raw.add("ed/vitalsign", **{"subject_id": SUBJECT, "stay_id": 7, **row})
    (block,) = (
        MimicDataSet(raw.write(), Options(modalities=("ed_vitals",)))
        .read(Quarantine())
        .tables[0]
        .blocks(quarantine or Quarantine())
    )
    return block


def test_vital_signs_are_rows_at_hours_before_the_unit(department: RawFolder) -> None:
    late = {"charttime": "2180-01-01 00:30:00", "temperature": "38.5", "pain": "unable"}
    early = {"charttime": LAST_HOUR, "heartrate": "90", "temperature": "101.3", "sbp": "120", "pain": "4"}
    empty = {"charttime": LAST_HOUR, "rhythm": "Sinus Rhythm"}
    quarantine = Quarantine()
    block = vitals_of(department, late, early, empty, quarantine=quarantine)
    assert (block.sample_ids.tolist(), block.lengths.tolist(), block.time.tolist()) == ([200], [2], [-1.0, 0.5])
    nan = np.nan
    np.testing.assert_allclose(block.values[:, :7], [[38.5, 90, nan, nan, 120, nan, 4], [38.5, *[nan] * 6]], rtol=1e-6)
    assert block.values[:, 7:].tolist() == [[1, 1, 0, 0, 1, 0, 1], [1, 0, 0, 0, 0, 0, 0]]
    assert quarantine.counts()["reason"].to_list() == ["pain is no number from 0 to 10"]


@pytest.mark.parametrize(
    ("charted", "counts"),
    [
        ("2179-12-31 17:59:59", False),  # before arrival
        ("2179-12-31 18:00:00", True),
        ("2180-01-03 02:00:00", True),
        ("2180-01-03 02:00:01", False),  # after the unit
        ("soon", False),
    ],
)
def test_what_is_charted_outside_the_visit_and_the_stay_is_counted(
    department: RawFolder, charted: str, counts: bool
) -> None:
    quarantine = Quarantine()
    row = {"charttime": charted, "heartrate": "90"}
    block = vitals_of(department, row, {"charttime": LAST_HOUR, "sbp": "120"}, quarantine=quarantine)
    assert len(block.values) == 1 + counts and quarantine.total == (not counts)


def test_rows_of_nobody_and_of_no_time_are_counted(department: RawFolder) -> None:
    quarantine = Quarantine()
    rows = [{"charttime": LAST_HOUR, "sbp": "120"}, {"charttime": "", "sbp": "120"}]
    rows.append({"charttime": LAST_HOUR, "sbp": "120", "stay_id": ""})
    block = vitals_of(department, *rows, quarantine=quarantine)
    assert len(block.values) == 1
    assert quarantine.counts()["reason"].to_list() == ["charttime empty", "stay_id empty"]


def test_dates_alone_are_refused_for_they_tell_nothing_of_before_and_after(department: RawFolder) -> None:
    with pytest.raises(InputError, match=r"vitalsign.*CHARTTIME of row 2.*has no time of day"):
        vitals_of(department, *[{"charttime": "2179-12-31", "sbp": "120"}] * 2)
    for stay in (7, 8):
        visit(department, stay, "2179-12-31", "2179-12-31")
    with pytest.raises(InputError, match=r"edstays.*OUTTIME of row 2.*has no time of day"):
        department.tables["ed/edstays"][0]["outtime"] = "2179-12-31"
        triage_of(department.write())


def test_vital_signs_after_the_window_and_before_its_history_are_no_inputs(department: RawFolder) -> None:
    rows = [
        {"charttime": f"{day}:00", "sbp": "99"} for day in ("2179-12-31 20:00", "2180-01-01 00:00", "2180-01-03 01:00")
    ]
    block = vitals_of(department, *rows)
    assert block.time.tolist() == [-4, 0, 49]
    assert in_window(block.time, 48).tolist() == [False, True, False]
    assert in_window(block.time, 48, 24).tolist() == [True, True, False]


def test_the_complaint_is_a_text_known_at_admission_to_the_unit(department: RawFolder) -> None:
    department.headers["ed/triage"] += ",chiefcomplaint"
    visit(department, 7, "2179-12-31 18:00:00", LAST_HOUR, chiefcomplaint="Chest pain,  Dyspnea")
    records = MimicDataSet(department.write(), Options(modalities=("ed_complaint",))).read(Quarantine())
    (item,) = records.items[0].items.to_dicts()
    assert records.items[0].texts[item["digest"]] == "Chest pain, Dyspnea"
    assert (item["sample_id"], item["item_id"], item["time"], item["event_time"]) == (200, "ed7", 0, -6)
    department.tables["ed/triage"][0]["chiefcomplaint"] = " "
    assert (
        MimicDataSet(department.write(), Options(modalities=("ed_complaint",)))
        .read(Quarantine())
        .items[0]
        .items.is_empty()
    )


def test_medicines_are_counted_once_each_and_only_those_before_the_unit(department: RawFolder) -> None:
    visit(department, 7, "2179-12-31 18:00:00", LAST_HOUR)
    department.headers["ed/medrecon"] = "subject_id,stay_id,charttime,name,gsn,ndc,etc_rn,etccode,etcdescription"
    department.headers["ed/pyxis"] = "subject_id,stay_id,charttime,med_rn,name,gsn_rn,gsn"
    for name, code, clock in (("aspirin", 1, "19"), ("Aspirin", 2, "19"), ("lisinopril", 3, "19"), ("late", 4, "24")):
        time = f"2179-12-31 {clock}:00:00" if clock != "24" else "2180-01-01 00:00:01"
        department.add("ed/medrecon", subject_id=SUBJECT, stay_id=7, charttime=time, name=name, etccode=code)
    for name, clock in (("Morphine", "19"), ("Morphine", "19"), ("Morphine", "20"), ("Heparin", "20"), ("", "20")):
        time = f"2179-12-31 {clock}:00:00"
        department.add("ed/pyxis", subject_id=SUBJECT, stay_id=7, charttime=time, name=name)
    quarantine = Quarantine()
    table = MimicDataSet(department.write(), Options(modalities=("ed_medicines",))).read(Quarantine()).tables[0]
    (block,) = table.blocks(quarantine)
    assert dict(zip((column.name for column in table.columns), block.values[0].tolist(), strict=True)) == {
        "home medicines": 2, "classes of home medicines": 3, "medicines given": 2, "doses given": 3,
    }  # fmt: skip
    assert quarantine.counts()["reason"].to_list() == [medicines.TOO_LATE]


def test_what_is_assigned_afterwards_is_read_by_nobody(department: RawFolder) -> None:
    """Neither the disposition nor the diagnoses of the department, whatever they tell, change or key anything."""
    every = ("ed", "ed_vitals", "ed_complaint", "ed_medicines")
    department.headers["ed/triage"] += ",chiefcomplaint"
    department.headers |= {
        "ed/vitalsign": VITAL_SIGNS,
        "ed/medrecon": "stay_id,charttime,name,etccode",
        "ed/pyxis": "stay_id,charttime,name",
        "ed/diagnosis": "subject_id,stay_id,seq_num,icd_code,icd_version,icd_title",
    }  # fmt: skip
    visit(department, 7, "2179-12-31 18:00:00", LAST_HOUR, chiefcomplaint="Dyspnea")

    def everything() -> list[object]:
        dataset = MimicDataSet(department.write(), Options(modalities=every))
        assert not any("diagnosis" in path.name for path in dataset.inputs())
        records = dataset.read(Quarantine())
        blocks = [block for table in records.tables for block in table.blocks(Quarantine())]
        return [[block.values.tobytes() for block in blocks], *(one.items.drop("path").rows() for one in records.items)]

    before = everything()
    department.tables["ed/edstays"][0]["disposition"] = "EXPIRED"
    department.add(
        "ed/diagnosis", subject_id=SUBJECT, stay_id=7, seq_num=1, icd_code="I469", icd_title="CARDIAC ARREST"
    )
    assert everything() == before


def test_it_is_read_where_it_is_asked_for(department: RawFolder, mimic3: RawFolder) -> None:
    raw = department.write()
    assert MimicDataSet(raw).modalities == ("ehr",)
    (raw / "ed/triage.csv").unlink()
    with pytest.raises(MissingInputError, match=r"has no ed/triage\.csv"):
        MimicDataSet(raw, Options(modalities=("ehr", "ed"))).inputs()
    with pytest.raises(MissingInputError, match="MIMIC-III has no emergency department"):
        MimicDataSet(mimic3.write(), Options(modalities=("ed",))).inputs()


def test_it_keeps_the_contract_of_a_data_set(department: RawFolder) -> None:
    visit(department, 7, "2179-12-31 18:00:00", "2179-12-31 23:00:00")
    check_dataset(lambda raw: open_dataset("mimic", raw, {"modalities": ("ehr", "ed")}), department.write())


def test_the_synthetic_department(tmp_path: Path) -> None:
    write_cohort(tmp_path / "raw", SynthSettings(stays=40, events_per_stay=20, images=0))
    quarantine = Quarantine()
    records = MimicDataSet(tmp_path / "raw", Options(modalities=("ed",))).read(Quarantine())
    (block,) = records.tables[0].blocks(quarantine)
    assert 0.5 < len(block.sample_ids) / records.samples.height < 0.95
    assert np.nanmin(block.values[:, 0]) > 34 and np.nanmax(block.values[:, 0]) < 40
    assert set(quarantine.counts()["reason"]) <= {"pain is no number from 0 to 10", visits.TOO_LATE, STRANGER}
