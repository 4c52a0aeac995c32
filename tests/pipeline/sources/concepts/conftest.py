"""Small folders of MIMIC-III and IV with all tables of events, and what comes of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from omnifuse.pipeline.sources.mimic.concepts.definitions import Concept
from omnifuse.pipeline.sources.mimic.concepts.reading import ConceptEvents
from omnifuse.pipeline.sources.mimic.folder import MimicFolder

MORE = {
    "icu/inputevents": "subject_id,hadm_id,stay_id,itemid,starttime,endtime,storetime,amount,amountuom,rate,rateuom,"
    "patientweight,ordercategorydescription,statusdescription",
    "icu/procedureevents": "subject_id,hadm_id,stay_id,itemid,starttime,endtime,storetime,value,valueuom,"
    "statusdescription",
    "hosp/labevents": "subject_id,hadm_id,itemid,charttime,storetime,value,valuenum,valueuom",
    "INPUTEVENTS_CV": "SUBJECT_ID,HADM_ID,ICUSTAY_ID,ITEMID,CHARTTIME,STORETIME,AMOUNT,AMOUNTUOM,RATE,RATEUOM,STOPPED",
    "INPUTEVENTS_MV": "SUBJECT_ID,HADM_ID,ICUSTAY_ID,ITEMID,STARTTIME,ENDTIME,STORETIME,AMOUNT,AMOUNTUOM,RATE,RATEUOM,"
    "PATIENTWEIGHT,STATUSDESCRIPTION",
    "CHARTEVENTS": "SUBJECT_ID,HADM_ID,ICUSTAY_ID,ITEMID,CHARTTIME,STORETIME,VALUE,VALUENUM,VALUEUOM,ERROR",
}
IDS = {"subject_id": 10000032, "hadm_id": 20}


@pytest.fixture
def iv(mimic4: Any) -> Any:
    """A folder of MIMIC-IV with one 50-hour stay from 2180-01-01 00:00 on, and all tables of events."""
    mimic4.headers |= {name: columns for name, columns in MORE.items() if "/" in name}
    return mimic4


@pytest.fixture
def iii(mimic3: Any) -> Any:
    """A folder of MIMIC-III with one 50-hour stay from 2150-01-01 00:00 on, and all tables of events."""
    mimic3.headers |= {name: columns for name, columns in MORE.items() if "/" not in name}
    return mimic3


def at(clock: str, day: int = 1, year: int = 2180) -> str:
    return f"{year}-01-{day:02d} {clock}"


@pytest.fixture
def lab(iv: Any) -> Callable[..., None]:
    """Add a laboratory value of the first day."""

    def add(item: int, value: str, clock: str = "01:00:00", unit: str = "", stored: str = "", number: str = "") -> None:
        iv.add(
            "hosp/labevents", **IDS, itemid=item, charttime=at(clock), storetime=at(stored) if stored else "",
            value=value, valuenum=number, valueuom=unit,
        )  # fmt: skip

    return add


@pytest.fixture
def given(iv: Any) -> Callable[..., None]:
    """Add what was given from one clock to another on the first day."""

    def add(item: int, start: str, end: str, stored: str = "", **row: Any) -> None:
        stored = at(stored or start)
        iv.add(
            "icu/inputevents", **IDS, stay_id=200, itemid=item, starttime=at(start), endtime=at(end),
            storetime=stored, **row,
        )  # fmt: skip

    return add


@pytest.fixture
def read() -> Callable[..., tuple[pl.DataFrame, dict[str, int]]]:
    """Return the events of concepts in a folder, and how many rows were left out or mended, by source and reason."""

    def events(raw: Path, concepts: Sequence[Concept], **how: Any) -> tuple[pl.DataFrame, dict[str, int]]:
        folder = MimicFolder.find(raw)
        subject = 1 if folder.version == 3 else 10000032
        none = pl.lit(None, pl.Int64)
        subjects = how.pop("subjects", pl.DataFrame({"subject_id": [subject]}).with_columns(first=none, last=none))
        reading = ConceptEvents(folder, concepts, subjects, **how)
        frames = list(reading.of_subjects())
        counts = reading.left_out(range(len(concepts))).counts()
        told = {f"{source}: {reason}": count for _, source, reason, count in counts.iter_rows()}
        return pl.concat(frames) if frames else pl.DataFrame(), told

    return events
