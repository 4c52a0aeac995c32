"""Tables of records beside the EHR that are cut, or whose ids are those of another release."""

from pathlib import Path

import pytest
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources.mimic import Options
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet
from omnifuse.pipeline.sources.mimic.within import STRANGER

from .conftest import RawFolder

SUBJECT, BEFORE = 10000032, "2179-12-31 20:00:00"
TABLES = {
    "ed/edstays": ("ed", "subject_id,hadm_id,stay_id,intime,outtime"),
    "ed/triage": ("ed", "stay_id,temperature,heartrate,resprate,o2sat,sbp,dbp,pain,acuity,chiefcomplaint"),
    "ed/vitalsign": ("ed_vitals", "stay_id,charttime,temperature,heartrate,resprate,o2sat,sbp,dbp,pain"),
    "ed/medrecon": ("ed_medicines", "stay_id,charttime,name,etccode"),
    "ed/pyxis": ("ed_medicines", "stay_id,charttime,name"),
    "hosp/transfers": ("ehr", "subject_id,hadm_id,eventtype,careunit,intime,outtime"),
    "ecg/record_list": ("ecg", "subject_id,study_id,ecg_time"),
    "ecg/machine_measurements": (
        "ecg_measurements",
        "subject_id,study_id,ecg_time,rr_interval,p_onset,p_end,qrs_onset,qrs_end,t_end,p_axis,qrs_axis,t_axis",
    ),
    "note/radiology": ("notes", "note_id,subject_id,hadm_id,note_type,charttime,storetime,text"),
}


@pytest.fixture
def records(mimic4: RawFolder) -> RawFolder:
    """Return one row of each table, in the stay or before it, and many of nobody in it."""
    for table, (_, columns) in TABLES.items():
        mimic4.headers[table] = columns
        for number in range(400):
            row = dict.fromkeys(columns.split(","), str(70 + number % 20))
            row |= {name: BEFORE for name in row if name.endswith("time")}
            row |= {"subject_id": SUBJECT if not number else 11_000_000 + number, "stay_id": 900 + number}
            row |= {"study_id": 4000 + number, "hadm_id": 20 if not number else 5000 + number, "note_type": "RR"}
            row |= {"ecg_time": "2180-01-01 05:00:00", "storetime": "2180-01-01 05:00:00", "note_id": f"n{number}"}
            mimic4.add(table, **{name: row[name] for name in columns.split(",")})
    return mimic4


def read(raw: Path, *modalities: str) -> Quarantine:
    """Read everything of some modalities, and return what was left out."""
    quarantine = Quarantine()
    for table in MimicDataSet(raw, Options(modalities=modalities)).read(quarantine).tables:
        list(table.blocks(quarantine))
    return quarantine


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_was_downloaded_in_part_is_refused_with_its_file(records: RawFolder, table: str) -> None:
    raw = records.write(".csv.gz")
    read(raw, TABLES[table][0])
    path = raw / f"{table}.csv.gz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=path.name):
        read(raw, TABLES[table][0])


@pytest.mark.parametrize("table", ["ed/edstays", "ecg/record_list", "ecg/machine_measurements"])
def test_rows_of_patients_of_another_release_are_counted(records: RawFolder, table: str) -> None:
    counts = read(records.write(), TABLES[table][0]).counts().filter(reason=STRANGER)
    assert counts.select("source", "count").rows() == [(f"{table.split('/')[1]}.csv", 399)]
