"""What tables tell of the time after a prediction, planted in them: none of it is an input while its rule is on.

The prediction is at hour 24. Every kind of plant is an input where it lies, or is known, before that. Notes have such a
test of their own.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema.selection import in_window
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources import open_dataset

Plant = Callable[[Any], None]
Inputs = np.ndarray[Any, Any]

IDS = {"subject_id": 10000032, "hadm_id": 20}
HEADERS = {
    "hosp/labevents": "subject_id,hadm_id,itemid,charttime,storetime,value,valuenum,valueuom",
    "hosp/prescriptions": "subject_id,hadm_id,starttime,stoptime,drug_type,drug,route",
    "hosp/microbiologyevents": "subject_id,hadm_id,chartdate,charttime,storetime,storedate,spec_itemid,spec_type_desc,"
    "org_name",
    "icu/inputevents": "subject_id,hadm_id,stay_id,itemid,starttime,endtime,storetime,amount,amountuom,rate,rateuom,"
    "patientweight,ordercategorydescription,statusdescription",
}
MINE = """
mine:
  lactate: {items: {labevents: [50813]}, unit: mmol/L, aggregate: [last, count]}
  volume: {items: {inputevents: [225158]}, unit: ml, kind: interval-amount, aggregate: sum}
  pressor: {items: {inputevents: [221906]}, unit: mcg/kg/min, kind: interval-rate, aggregate: [mean, last]}
  coli: {items: {microbiologyevents: [70012]}, kind: categorical, levels: [ESCHERICHIA COLI], aggregate: any}
  culture: {items: {microbiologyevents: [70012]}, kind: categorical, aggregate: [any, count]}
  heparin: {items: {prescriptions: {drug_contains: [heparin]}}, kind: categorical, aggregate: [any, count]}
"""


def at(hour: float, second: int = 0) -> str:
    return str(pl.select(pl.datetime(2180, 1, 1) + pl.duration(minutes=round(hour * 60), seconds=second)).item())


def lab(raw: Any, **times: str) -> None:
    raw.add(
        "hosp/labevents",
        **IDS,
        itemid=50813,
        value="9.9",
        valuenum="9.9",
        **({"storetime": times["charttime"]} | times),
    )


def infusion(raw: Any, item: int, end: float, **row: object) -> None:
    raw.add(
        "icu/inputevents", **IDS, stay_id=200, itemid=item, starttime=at(20), endtime=at(end), storetime=at(20), **row
    )


def fluid(raw: Any, end: float, amount: float, rate: str = "100") -> None:
    infusion(raw, 225158, end, amount=amount, amountuom="ml", rate=rate, rateuom="mL/hour")


def culture(raw: Any, *rows: str, at_hour: float = 10, stored: float = 60) -> None:
    for organism in rows or ("",):
        raw.add("hosp/microbiologyevents", **IDS, charttime=at(at_hour), storetime=at(stored), spec_itemid=70012,
                spec_type_desc="BLOOD CULTURE", org_name=organism)  # fmt: skip


def order(raw: Any, start: str, stop: str = "") -> None:
    raw.add("hosp/prescriptions", **IDS, starttime=start, stoptime=stop, drug="Heparin", route="SC")


def nothing(_: Any) -> None:
    pass


WITHOUT: dict[str, tuple[Plant, Plant]] = {
    "a value one second after the prediction": (nothing, lambda raw: lab(raw, charttime=at(24, 1))),
    "a value that is stored after it": (nothing, lambda raw: lab(raw, charttime=at(12), storetime=at(24, 1))),
    "the end and the final amount of fluid that runs on": (
        lambda raw: fluid(raw, 30, 1000), lambda raw: fluid(raw, 48, 90_000),
    ),
    "the end of a rate that runs on": (
        lambda raw: infusion(raw, 221906, 30, rate="0.1", rateuom="mcg/kg/min", patientweight="70"),
        lambda raw: infusion(raw, 221906, 48, rate="0.1", rateuom="mcg/kg/min", patientweight="70"),
    ),
    "the result of a culture": (culture, lambda raw: culture(raw, "ESCHERICHIA COLI")),
    "how many organisms a culture has": (culture, lambda raw: culture(raw, "ESCHERICHIA COLI", "KLEBSIELLA")),
    "an order one second after the prediction": (nothing, lambda raw: order(raw, at(24, 1))),
    "the end of an order": (lambda raw: order(raw, at(10), at(25)), lambda raw: order(raw, at(10), at(90))),
}  # fmt: skip
"""What there is, and what may tell more."""


@pytest.fixture
def inputs(mimic4: Any, tmp_path: Path) -> Callable[..., Inputs]:
    """Return what a task sees, up to hour 24, of a folder with a plant."""
    mimic4.headers |= HEADERS
    (tmp_path / "mine.yaml").write_text(MINE)

    def seen(plant: Plant, window: float | None = 24.0, **options: object) -> Inputs:
        mimic4.tables = {name: rows for name, rows in mimic4.tables.items() if name not in HEADERS}
        lab(mimic4, charttime=at(3))
        plant(mimic4)
        options = {"variables": (str(tmp_path / "mine.yaml"),), "modalities": ("mine",), **options}
        (mine,) = open_dataset("mimic", mimic4.write(), options).read(Quarantine()).tables
        (block,) = mine.blocks(Quarantine())
        return block.values[in_window(block.time, window)]

    return seen


def same(one: Inputs, other: Inputs) -> bool:
    return np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("what", WITHOUT)
def test_what_is_told_after_the_prediction_is_no_input(what: str, inputs: Callable[..., Inputs]) -> None:
    there, telling = WITHOUT[what]
    assert same(inputs(there), inputs(telling))


def test_a_value_after_the_prediction_would_be_one_without_a_window(inputs: Callable[..., Inputs]) -> None:
    for what in ("a value one second after the prediction", "an order one second after the prediction",
                 "the end of a rate that runs on"):  # fmt: skip
        there, telling = WITHOUT[what]
        assert not same(inputs(there, window=None), inputs(telling, window=None)), what


def test_a_value_that_is_stored_late_would_be_one_by_its_charted_time(inputs: Callable[..., Inputs]) -> None:
    there, telling = WITHOUT["a value that is stored after it"]
    assert not same(inputs(there, available="charttime"), inputs(telling, available="charttime"))


def test_an_amount_that_has_run_in_by_then_is_one(inputs: Callable[..., Inputs]) -> None:
    assert not same(inputs(lambda raw: fluid(raw, 23, 1000, "")), inputs(lambda raw: fluid(raw, 23, 90_000, "")))


def test_a_result_that_is_stored_by_then_is_one_and_no_other_whatever_is_asked_for(
    inputs: Callable[..., Inputs],
) -> None:
    for available in ("storetime", "charttime"):
        found = [
            inputs(lambda raw, stored=stored, names=names: culture(raw, *names, stored=stored), available=available)
            for stored in (60, 20)
            for names in ((), ("ESCHERICHIA COLI",))
        ]
        assert [same(found[0], other) for other in found] == [True, True, True, False]


def test_another_culture_is_one_and_another_organism_is_not(inputs: Callable[..., Inputs]) -> None:
    def two(raw: Any) -> None:
        culture(raw)
        culture(raw, at_hour=11)

    assert not same(inputs(culture), inputs(two))
