"""Triage in the emergency department: which stay it belongs to, in which units, and when it counts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omnifuse.cache_schema import MissingInputError
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources import open_dataset
from omnifuse.pipeline.sources.mimic import Options, ed
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet
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


def visit(raw: RawFolder, stay: int, intime: str, outtime: str, hadm: object = 20, **triage: Any) -> None:
    """Add a stay in the department with its triage."""
    raw.add("ed/edstays", subject_id=SUBJECT, hadm_id=hadm, stay_id=stay, intime=intime, outtime=outtime)
    raw.add("ed/triage", subject_id=SUBJECT, stay_id=stay, **{"temperature": "98.6", **MEASURED, **triage})


def triage_of(raw: Path, quarantine: Quarantine | None = None) -> np.ndarray:
    """Return the rows ``[n, 8]`` of all stays."""
    records = MimicDataSet(raw, Options(modalities=("ed",))).read(Quarantine())
    (block,) = records.tables[0].blocks(quarantine or Quarantine())
    assert set(block.sample_ids) <= {200} and (block.lengths == 1).all() and np.isnan(block.time).all()
    return block.values


def test_triage_becomes_eight_numbers_without_a_time(department: RawFolder) -> None:
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
    assert quarantine.counts()["reason"].to_list() == [ed.TOO_LATE]


def test_of_two_stays_in_the_department_the_last_counts(department: RawFolder) -> None:
    visit(department, 8, "2179-12-31 20:00:00", "2179-12-31 23:00:00", pain="8")
    visit(department, 7, "2179-12-31 10:00:00", "2179-12-31 12:00:00", pain="7")
    quarantine = Quarantine()
    assert triage_of(department.write(), quarantine)[:, 6].tolist() == [8]
    assert quarantine.counts().select("reason", "count").rows() == [(ed.TWO_STAYS, 1)]


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
    assert set(quarantine.counts()["reason"]) <= {"pain is no number from 0 to 10", ed.TOO_LATE}
