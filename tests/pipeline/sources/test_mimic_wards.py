"""From which stay a patient left the hospital."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from omnifuse.cache_schema import MissingInputError
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources.mimic.folder import MimicFolder
from omnifuse.pipeline.sources.mimic.wards import left_hospital_from

HEAD = {
    3: "ROW_ID,SUBJECT_ID,HADM_ID,ICUSTAY_ID,EVENTTYPE,CURR_CAREUNIT,INTIME,OUTTIME",
    4: "subject_id,hadm_id,transfer_id,eventtype,careunit,intime,outtime",
}
STAYS = pl.DataFrame(
    [(1, 10, 0, "MICU"), (2, 10, 50, "MICU"), (3, 11, 0, "SICU"), (4, 12, 0, "SICU")],
    schema=["stay_id", "hadm_id", "intime", "first_careunit"],
    orient="row",
)


def folder_with(path: Path, version: int, rows: list[str]) -> MimicFolder:
    for name in ("icustays", "admissions", "patients"):
        (path / f"{name}.csv").write_text("icustay_id\n" if version == 3 and name == "icustays" else "stay_id\n")
    (path / "transfers.csv").write_text("\n".join([HEAD[version], *rows]) + "\n")
    return MimicFolder.find(path)


def at(hour: int) -> str:
    return datetime(2150, 1, 1 + hour // 24, hour % 24).strftime("%Y-%m-%d %H:%M:%S")


def test_the_last_stay_of_an_admission_whose_last_ward_is_a_unit(tmp_path: Path) -> None:
    rows = [
        f"1,1,10,1,admit,MICU,{at(0)},{at(9)}",
        f"2,1,10,,transfer,,{at(9)},{at(50)}",
        f"3,1,10,2,transfer,MICU,{at(50)},{at(60)}",
        f"4,1,10,,discharge,,{at(60)},",
        f"5,2,11,,transfer,,{at(20)},{at(30)}",  # out of order: from the unit to a ward
        f"6,2,11,3,admit,SICU,{at(0)},{at(20)}",
        f"7,2,11,,discharge,,{at(30)},",
    ]
    found = left_hospital_from(folder_with(tmp_path, 3, rows), STAYS, Quarantine())
    assert found.to_list() == [False, True, False, False]  # of admission 12 no transfer is known


def test_wards_of_mimic_iv_have_names_too(tmp_path: Path) -> None:
    rows = [f"1,11,100,ED,Emergency Department,{at(0)},{at(1)}", f"1,11,101,admit,Medicine,{at(1)},{at(30)}"]
    rows += [f"1,12,102,admit,SICU,{at(0)},{at(30)}", f"1,12,103,discharge,UNKNOWN,{at(30)},"]
    found = left_hospital_from(folder_with(tmp_path, 4, rows), STAYS, Quarantine())
    assert found.to_list() == [False, False, False, True]


def test_without_the_table_it_is_asked_for(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, 4, [])
    (tmp_path / "transfers.csv").unlink()
    with pytest.raises(MissingInputError, match="transfers"):
        left_hospital_from(folder, STAYS, Quarantine())
