"""A MIMIC-shaped raw folder small enough to read: one line per row, changed by the tests."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

Rows = list[dict[str, str]]

III = {
    "ICUSTAYS": "SUBJECT_ID,HADM_ID,ICUSTAY_ID,FIRST_CAREUNIT,LAST_CAREUNIT,FIRST_WARDID,LAST_WARDID,"
    "INTIME,OUTTIME,LOS",
    "ADMISSIONS": "SUBJECT_ID,HADM_ID,ADMITTIME,DISCHTIME,DEATHTIME",
    "PATIENTS": "SUBJECT_ID,GENDER,DOB,DOD",
    "DIAGNOSES_ICD": "SUBJECT_ID,HADM_ID,SEQ_NUM,ICD9_CODE",
    "CHARTEVENTS": "SUBJECT_ID,HADM_ID,ICUSTAY_ID,ITEMID,CHARTTIME,VALUE,VALUENUM,VALUEUOM,ERROR",
    "LABEVENTS": "SUBJECT_ID,HADM_ID,ITEMID,CHARTTIME,VALUE,VALUENUM,VALUEUOM",
    "OUTPUTEVENTS": "SUBJECT_ID,HADM_ID,ICUSTAY_ID,CHARTTIME,ITEMID,VALUE,VALUEUOM",
}
IV = {
    "icu/icustays": "subject_id,hadm_id,stay_id,first_careunit,last_careunit,intime,outtime,los",
    "hosp/admissions": "subject_id,hadm_id,admittime,dischtime,deathtime,race",
    "hosp/patients": "subject_id,gender,anchor_age,anchor_year,dod",
    "hosp/diagnoses_icd": "subject_id,hadm_id,seq_num,icd_code,icd_version",
    "icu/chartevents": "subject_id,hadm_id,stay_id,itemid,charttime,value,valuenum,valueuom",
    "hosp/labevents": "subject_id,hadm_id,itemid,charttime,value,valuenum,valueuom",
    "icu/outputevents": "subject_id,hadm_id,stay_id,charttime,itemid,value,valueuom",
}
METADATA = "dicom_id,subject_id,study_id,ViewPosition,StudyDate,StudyTime"


@dataclass
class RawFolder:
    """Tables as rows; ``write`` makes the files."""

    path: Path
    headers: dict[str, str]
    tables: dict[str, Rows] = field(default_factory=dict)

    def add(self, table: str, **row: object) -> None:
        """Add one row; columns that are not named are empty."""
        self.tables.setdefault(table, []).append({name: str(value) for name, value in row.items()})

    def write(
        self, suffix: str = ".csv", *, rename: Callable[[str], str] = str, header: Callable[[str], str] = str
    ) -> Path:
        """Write all tables, also those without rows, and return the folder."""
        for name, columns in self.headers.items():
            path = self.path / rename(f"{name}{suffix}")
            path.parent.mkdir(parents=True, exist_ok=True)
            names = columns.split(",")
            rows = [[row.get(column, "") for column in names] for row in self.tables.get(name, [])]
            text = "\n".join([header(columns), *(",".join(map(_quoted, row)) for row in rows)]) + "\n"
            if suffix.endswith(".parquet"):
                pl.read_csv(text.encode(), try_parse_dates=True).write_parquet(path)
            elif suffix.endswith(".gz"):
                path.write_bytes(gzip.compress(text.encode()))
            else:
                path.write_text(text)
        return self.path


def _quoted(value: str) -> str:
    return f'"{value}"' if "," in value else value


@pytest.fixture
def mimic3(tmp_path: Path) -> RawFolder:
    """Return subject 1 with one 50-hour stay and one heart rate at hour 1."""
    raw = RawFolder(tmp_path / "mimic3", dict(III))
    add_stay3(raw, subject=1, hadm=10, stay=100)
    chart3(raw, 1, 10, 100, "2150-01-01 01:00:00", 211, "80")
    return raw


def add_stay3(raw: RawFolder, subject: int, hadm: int, stay: int, **changed: str) -> None:
    """Add a 50-hour stay of a 60-year-old patient who survives, with one diagnosis."""
    icu = {"FIRST_CAREUNIT": "MICU", "LAST_CAREUNIT": "MICU", "FIRST_WARDID": "7", "LAST_WARDID": "7"}
    icu |= {"INTIME": "2150-01-01 00:00:00", "OUTTIME": "2150-01-03 02:00:00", "LOS": "2.0833"}
    icu |= {"ADMITTIME": "2150-01-01 00:00:00", "DISCHTIME": "2150-01-05 12:00:00", "DEATHTIME": ""}
    row = {
        **icu,
        "GENDER": "F",
        "DOB": "2090-01-01 00:00:00",
        "DOD": "",
        "ICD9_CODE": "5849",
        "SEQ_NUM": "1",
        **changed,
    }
    ids = {"SUBJECT_ID": subject, "HADM_ID": hadm, "ICUSTAY_ID": stay}
    for table in ("ICUSTAYS", "ADMISSIONS", "PATIENTS", "DIAGNOSES_ICD"):
        already = table == "PATIENTS" and any(p["SUBJECT_ID"] == str(subject) for p in raw.tables.get(table, []))
        same_admission = table in ("ADMISSIONS", "DIAGNOSES_ICD") and any(
            a["HADM_ID"] == str(hadm) for a in raw.tables.get(table, [])
        )
        if not already and not same_admission:
            raw.add(
                table,
                **{name: value for name, value in {**row, **ids}.items() if name in raw.headers[table].split(",")},
            )


def chart3(
    raw: RawFolder, subject: int, hadm: int, stay: int, time: str, item: int, value: str, unit: str = ""
) -> None:
    """Add one charted value."""
    raw.add(
        "CHARTEVENTS", SUBJECT_ID=subject, HADM_ID=hadm, ICUSTAY_ID=stay, CHARTTIME=time, ITEMID=item, VALUE=value,
        VALUEUOM=unit,
    )  # fmt: skip


@pytest.fixture
def mimic4(tmp_path: Path) -> RawFolder:
    """Return subject 10000032 with one 50-hour stay, one heart rate, a diagnosis in each ICD version, no images."""
    raw = RawFolder(tmp_path / "mimic4", dict(IV))
    ids = {"subject_id": 10000032, "hadm_id": 20}
    times = {"intime": "2180-01-01 00:00:00", "outtime": "2180-01-03 02:00:00", "los": "2.083333333"}
    raw.add("icu/icustays", **ids, stay_id=200, first_careunit="MICU", last_careunit="MICU", **times)
    raw.add("hosp/admissions", **ids, admittime="2180-01-01 00:00:00", dischtime="2180-01-04 00:00:00", race="WHITE")
    raw.add("hosp/patients", subject_id=10000032, gender="M", anchor_age=60, anchor_year=2180)
    raw.add("hosp/diagnoses_icd", **ids, seq_num=1, icd_code="I10", icd_version=10)
    raw.add("hosp/diagnoses_icd", **ids, seq_num=2, icd_code="5849", icd_version=9)
    event = {"itemid": 220045, "charttime": "2180-01-01 01:00:00", "value": "80", "valuenum": "80", "valueuom": "bpm"}
    raw.add("icu/chartevents", **ids, stay_id=200, **event)
    return raw


@pytest.fixture
def stay3() -> Callable[..., None]:
    """Return :func:`add_stay3`."""
    return add_stay3


@pytest.fixture
def charted3() -> Callable[..., None]:
    """Return :func:`chart3`."""
    return chart3


def add_images(raw: RawFolder) -> None:
    """Add MIMIC-CXR: three images in the stay, one outside, one file missing; two reports."""
    raw.headers["mimic-cxr-jpg/mimic-cxr-2.0.0-metadata"] = METADATA
    images = [
        ("a", 51, "AP", "20180101", "100000.5"),
        ("b", 51, "LATERAL", "21800101", "10000"),
        ("c", 52, "PA", "21800103", "020000.0"),
        ("d", 53, "AP", "21800103", "020001.0"),
        ("e", 54, "AP", "21800102", "000000"),
        ("f", 55, "AP", "2180-13-02", "000000"),
    ]
    for dicom, study, view, date, time in images:
        raw.add(
            "mimic-cxr-jpg/mimic-cxr-2.0.0-metadata",
            dicom_id=dicom, subject_id=10000032, study_id=study, ViewPosition=view, StudyDate=date, StudyTime=time,
        )  # fmt: skip
        folder = raw.path / f"mimic-cxr-jpg/files/p10/p10000032/s{study}"
        if dicom != "e":
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{dicom}.jpg").write_bytes(b"not decoded here")
    reports = raw.path / "mimic-cxr/files/p10/p10000032"
    reports.mkdir(parents=True)
    (reports / "s51.txt").write_text("FINDINGS:\nThe lungs are clear.\n\nIMPRESSION:\nNormal.\n")
    (reports / "s52.txt").write_text("")


@pytest.fixture
def with_images() -> Callable[[RawFolder], None]:
    """Return :func:`add_images`."""
    return add_images
