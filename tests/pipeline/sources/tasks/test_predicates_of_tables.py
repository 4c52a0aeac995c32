"""Predicates of orders, of other columns, of diagnoses and of sepsis, from tables to labels; and when a trigger is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import InputError, MissingInputError, Task
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources import open_dataset

SUBJECT = {"subject_id": 10000032, "hadm_id": 20}
HEADERS = {
    "hosp/labevents": "subject_id,hadm_id,itemid,charttime,storetime,value,valuenum,valueuom,priority",
    "hosp/prescriptions": "subject_id,hadm_id,starttime,stoptime,drug_type,drug,route",
    "hosp/microbiologyevents": "subject_id,hadm_id,chartdate,charttime,storetime,storedate,spec_itemid,spec_type_desc,"
    "org_name",
    "icu/inputevents": "subject_id,hadm_id,stay_id,itemid,starttime,endtime,storetime,amount,amountuom,rate,rateuom,"
    "patientweight,ordercategorydescription,statusdescription",
    "icu/procedureevents": "subject_id,hadm_id,stay_id,itemid,starttime,endtime,storetime,value,valueuom,"
    "statusdescription",
}
TASK = """
name: mine
predicates: {{{predicates}}}
trigger: {trigger}
windows: {{{windows}}}
"""
NEXT_DAY = "target: {start: trigger, end: trigger + 24h, label: x}"


def at(hour: float) -> str:
    return str(pl.select(pl.datetime(2180, 1, 1) + pl.duration(minutes=round(hour * 60))).item())


@pytest.fixture
def raw(mimic4: Any) -> Any:
    """A stay of 50 hours from 2180-01-01 00:00 on; it is of one admission."""
    mimic4.headers |= HEADERS
    return mimic4


@pytest.fixture
def lab(raw: Any) -> Callable[..., None]:
    def add(item: int, value: float, hour: float, stored: float | None = None, **row: str) -> None:
        raw.add("hosp/labevents", **SUBJECT, itemid=item, value=value, valuenum=value, charttime=at(hour),
                storetime=at(hour if stored is None else stored), **row)  # fmt: skip

    return add


@pytest.fixture
def task(raw: Any, tmp_path: Path) -> Callable[..., Task]:
    """Return the one task of a file with some predicates."""

    def made(predicates: str, windows: str = NEXT_DAY, trigger: str = "{at: icu_in + 24h}", more: str = "") -> Task:
        file = tmp_path / "mine.yaml"
        file.write_text(TASK.format(predicates=predicates, windows=windows, trigger=trigger) + more)
        data_set = open_dataset("mimic", raw.write(), {"task": (str(file),)})
        data_set.settings(), data_set.inputs()
        return data_set.read(Quarantine()).tasks({})[-1]

    return made


def labels(task: Task) -> list[tuple[float, float]]:
    """Return hour and label of each prediction."""
    if task.sample is None:
        return [(task.window_hours or 0, float(y)) for y in task.y[~np.isnan(task.y[:, 0]), 0]]
    assert task.time is not None
    return list(zip(task.time.tolist(), task.y[:, 0].tolist(), strict=True))


def test_orders_by_parts_of_the_names_of_drugs(raw: Any, task: Callable[..., Task]) -> None:
    raw.add("hosp/prescriptions", **SUBJECT, starttime=at(30), drug="Heparin Sodium", route="SC")
    raw.add("hosp/prescriptions", **SUBJECT, starttime=at(20), drug="Warfarin", route="PO")
    assert labels(task("x: {drug_contains: [HEPARIN, enoxaparin]}")) == [(24, 1)]
    assert labels(task("x: {drug_contains: warfarin}")) == [(24, 0)]
    assert labels(task("x: {drug_contains: heparin, where: {route: IV}}")) == [(24, 0)]
    assert labels(task("x: {drug_contains: heparin, where: {route: SC}}")) == [(24, 1)]


def test_other_columns_of_a_row(raw: Any, lab: Callable[..., None], task: Callable[..., Task]) -> None:
    lab(50813, 5.0, 30, priority="STAT")
    assert labels(task("x: {concept: lactate, value_min: 4, where: {PRIORITY: STAT}}")) == [(24, 1)]
    assert labels(task("x: {concept: lactate, value_min: 4, where: {priority: ROUTINE}}")) == [(24, 0)]
    assert labels(task("x: {item: {labevents: [50813]}, where: {priority: STAT}}")) == [(24, 1)]
    with pytest.raises(InputError, match=r"lactate: where: labevents has no column 'prioritee'.*'priority'"):
        task("x: {concept: lactate, where: {prioritee: STAT}}")
    with pytest.raises(InputError, match=r"predicates\.x\.where: 'sofa' is made of several tables"):
        task("x: {concept: sofa, where: {priority: STAT}}")


def test_diagnoses_count_when_their_admission_has_ended(raw: Any, task: Callable[..., Task]) -> None:
    """The fixture's admission has 5849 of ICD-9 and N179 of ICD-10; one of ten days earlier has heart failure."""
    raw.add("hosp/admissions", subject_id=10000032, hadm_id=19, admittime="2179-12-20 00:00:00",
            dischtime="2179-12-22 00:00:00", deathtime="")  # fmt: skip
    raw.add("hosp/diagnoses_icd", subject_id=10000032, hadm_id=19, seq_num=1, icd_code="42823", icd_version=9)
    before = "before: {start: null, end: trigger, has: {x: [1, null]}}"
    left = "target: {start: trigger, end: hosp_out, label: icu_out}"
    has = {
        codes: len(labels(task(f"x: {{icd: {codes}}}", f"{before}, {left}")))
        for codes in ("{9: ['428.2'], 10: [I50]}", "{9: ['584'], 10: [N17]}", "{9: [], 10: ['42823']}")
    }
    assert list(has.values()) == [1, 0, 0]  # of the earlier admission alone, and only as what they are
    at_the_end = "target: {start: trigger, end: hosp_out, label: x}"
    assert labels(task("x: {icd: {9: ['584'], 10: [N17]}}", at_the_end)) == [(24, 1)]
    assert labels(task("x: {icd: {9: ['428'], 10: [I50]}}", at_the_end)) == [(24, 0)]


@pytest.mark.parametrize(
    ("predicate", "said"),
    [
        ("{icd: {9: ['584']}}", r"predicates\.x\.icd says nothing of ICD-10: .* or `10: \[\]`"),
        ("{icd: {}}", "write prefixes of codes"),
        ("{icd: {9: [], 10: []}}", "write prefixes of codes"),
        ("{icd: {9: [584]}}", "numbers in quotes"),
        ("{icd: {11: ['5A']}}", r"icd\.11: there is no such key"),
        ("{icd: {9: ['5%']}}", "is no beginning of a code"),
        ("{icd: {9: ['584'], 10: [N17]}, value_min: 1}", r"predicates\.x\.value_min: there is no such key"),
        ("{drug_contains: [ab]}", "'ab' is in too many names"),
        ("{drug_contains: [1]}", "write texts"),
        ("{concept: lactate, where: {priority: 1}}", r"where\.priority is 1; write a text"),
        ("{item: {prescriptions: [1]}}", "prescriptions has no ids; write drug_contains"),
        ("{item: {emar: [1]}}", "emar has no ids"),
    ],
)
def test_predicates_that_are_none_are_refused(predicate: str, said: str, task: Callable[..., Task]) -> None:
    with pytest.raises(InputError, match=said) as refused:
        task(f"x: {predicate}")
    assert "mine.yaml" in str(refused.value)


def test_mimic3_has_one_revision_of_codes(mimic3: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        TASK.format(predicates="x: {icd: {10: [N17]}}", windows=NEXT_DAY, trigger="{at: icu_in + 24h}")
    )
    with pytest.raises(InputError, match="MIMIC-III has no others"):
        open_dataset("mimic", mimic3.write(), {"task": (str(tmp_path / "mine.yaml"),)}).settings()


def test_a_trigger_is_when_its_event_was_known(lab: Callable[..., None], task: Callable[..., Task]) -> None:
    """A lactate of hour 5 is stored at hour 7, another of hour 6 at once; the label asks when something happened."""
    lab(50813, 5.0, 5, stored=7)
    lab(50813, 5.0, 6)
    lab(50912, 2.0, 6.5, stored=20)  # had happened by then
    lab(50912, 2.0, 31.5)
    lactate, creatinine = "lactate: {concept: lactate, value_min: 4}", "x: {concept: creatinine, value_min: 2}"
    predicates = f"{lactate}, {creatinine}"
    assert labels(task(predicates, trigger="lactate")) == [(6, 1), (7, 0)]
    assert labels(task(predicates, trigger="lactate", more="available: charttime\n")) == [(5, 1), (6, 1)]
    assert labels(task(predicates, trigger="{at: icu_in -> lactate}")) == [(6, 1)]
    searched = "input: {start: icu_in, end: start -> lactate, index_timestamp: end}"
    later = "target: {start: input.end, end: start + 24h, label: x}"
    assert labels(task(predicates, f"{searched}, {later}", trigger="{at: icu_in}")) == [(6, 1)]
    both = f'{predicates}, both: {{expr: "and(lactate, lactate)"}}, any: {{expr: "or(lactate, x)"}}'
    assert labels(task(both, trigger="both")) == [(6, 1), (7, 0)]
    assert [hour for hour, _ in labels(task(both, trigger="any"))] == [6, 7, 20, 31.5]


def test_a_trigger_that_becomes_known_after_the_stay_is_none(
    lab: Callable[..., None], task: Callable[..., Task]
) -> None:
    lab(50813, 5.0, 49, stored=51)
    lab(50813, 5.0, -1, stored=1)
    predicates = "x: {concept: lactate}"
    assert [hour for hour, _ in labels(task(predicates, trigger="x"))] == [1]


def test_sepsis_from_tables(raw: Any, lab: Callable[..., None], task: Callable[..., Task], tmp_path: Path) -> None:
    """A culture at hour 8, an antibiotic at 10, and platelets of 90 at 9.5, stored at 11.5: SOFA 2 at hour 12."""
    raw.add("hosp/microbiologyevents", **SUBJECT, charttime=at(8), spec_itemid=70012, spec_type_desc="BLOOD CULTURE")
    raw.add("hosp/prescriptions", **SUBJECT, starttime=at(10), drug="CefTRIAXone", route="IV", drug_type="MAIN")
    lab(51265, 90, 9.5, stored=11.5, valueuom="K/uL")
    data_set = open_dataset("mimic", raw.write(), {"task": ("sepsis_12h",), "variables": ("scores",)})
    data_set.settings(), data_set.inputs()
    sepsis = data_set.read(Quarantine()).tasks({})[-1]
    assert labels(sepsis) == [(float(hour), 1.0) for hour in range(4, 12)]  # none once it has begun
    of_suspicion = "x: {concept: sepsis3_onset_suspicion}"
    assert labels(task(of_suspicion, trigger="x")) == [(12, 0)]  # of hour 8, and known with the score


def test_a_score_does_without_procedures_and_not_without_orders(raw: Any) -> None:
    for table, said in (("icu/procedureevents", ""), ("hosp/prescriptions", "no table prescriptions")):
        raw.write()
        (raw.path / f"{table}.csv").unlink()
        data_set = open_dataset("mimic", raw.path, {"task": ("sepsis_12h",)})
        if said:
            with pytest.raises(MissingInputError, match=said):
                data_set.inputs()
        else:
            assert data_set.inputs()
