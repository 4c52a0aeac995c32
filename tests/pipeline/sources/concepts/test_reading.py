"""Rows of tables as events of concepts: units, limits, texts, intervals, and two times."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.sources.mimic.concepts.definitions import Concept, starter_set
from omnifuse.pipeline.sources.mimic.concepts.units import parse_conversion

IV_IN, III_IN = 6626966400, 5680281600
"""The admissions to the unit, in seconds."""


def concept(table: str, *items: int, rules: tuple[tuple[str, str], ...] = (), **said: Any) -> Concept:
    conversions = tuple(parse_conversion(*rule) for rule in rules)
    return Concept("mine", "x", {table: items}, conversions=conversions, **said)


def hours(events: pl.DataFrame, column: str = "time", start: int = IV_IN) -> list[float | None]:
    return ((events[column] - start) / 3600).to_list()


def test_values_are_converted_or_left_out_by_their_units(iv: Any, lab: Callable[..., None], read: Any) -> None:
    lab(50889, "5", "01:00:00", "mg/L")
    lab(50889, "6", "02:00:00", "mg/dL")
    lab(50889, "7", "03:00:00", "")
    lab(50889, "8", "04:00:00", "mmol/L")
    lab(50889, "900", "05:00:00", "MG/L")
    crp = next(c for c in starter_set("labs", 4) if c.name == "crp")
    events, told = read(iv.write(), [crp])
    assert events["value"].to_list() == [5, 60, 7]
    assert told == {"labs.crp: the unit 'mmol/L' cannot be converted to mg/L": 1, "labs.crp: outside 0 to 600 mg/L": 1}
    assert events["row"].to_list() == [2, 3, 4]
    assert hours(events) == hours(events, "known") == [1, 2, 3]
    assert events["end"].to_list() == [None] * 3


def test_half_of_the_limit_stands_for_what_is_below_it(iv: Any, lab: Callable[..., None], read: Any) -> None:
    for second, (value, number) in enumerate(
        [
            ("<0.01", ""),
            ("< 0.5", "0.5"),
            ("LESS THAN 2", ""),
            (">25", ""),
            ("0.3", "0.3"),
            ("___", ""),
            ("NotDone", ""),
        ]
    ):
        lab(51003, value, f"01:00:{second:02d}", "ng/mL", number=number)
    events, told = read(iv.write(), [concept("labevents", 51003, unit="ng/mL", low=0, high=24)])
    assert events["value"].to_list() == [0.005, 0.25, 1, 0.3]
    assert told == {
        "mine.x: assay_limit_low: half of the limit where the value is below it, such as <0.01": 3,
        "mine.x: no value": 1,
        "mine.x: no number": 1,
        "mine.x: outside 0 to 24 ng/mL": 1,
    }


def test_a_value_is_known_when_it_was_stored_but_never_before_it_was_charted(
    iv: Any, lab: Callable[..., None], read: Any
) -> None:
    lab(50813, "1", "01:00:00", stored="03:30:00")
    lab(50813, "2", "02:00:00", stored="00:30:00")
    lab(50813, "3", "04:00:00")
    lactate = [concept("labevents", 50813)]
    assert hours(read(iv.write(), lactate)[0], "known") == [3.5, 2, 4]
    assert hours(read(iv.path, lactate, available="charttime")[0], "known") == [1, 2, 4]


def test_an_item_may_be_part_of_two_concepts(iv: Any, lab: Callable[..., None], read: Any) -> None:
    lab(50813, "4", unit="mmol/L")
    events, _ = read(
        iv.write(),
        [concept("labevents", 50813, 1, unit="mmol/L"), concept("labevents", 50813, unit="mmol/L", high=3.0)],
    )
    assert events.select("concept", "value").rows() == [(0, 4.0)]


def test_events_outside_the_span_of_a_subject_are_not_kept(iv: Any, lab: Callable[..., None], read: Any) -> None:
    for clock in ("01:00:00", "02:00:00", "03:00:00"):
        lab(50813, "4", clock)
    span = pl.DataFrame({"subject_id": [10000032], "first": [IV_IN + 5400], "last": [IV_IN + 9000]})
    assert hours(read(iv.write(), [concept("labevents", 50813)], subjects=span)[0]) == [2]


def test_levels_of_texts(iv: Any, read: Any) -> None:
    for second, text in enumerate(["sr (sinus rhythm)", " A Paced ", "nonsense", ""]):
        iv.add(
            "icu/chartevents", subject_id=10000032, hadm_id=20, stay_id=200, itemid=220048, value=text,
            charttime=f"2180-01-01 01:00:{second:02d}",
        )  # fmt: skip
    rhythm = next(c for c in starter_set("vitals_extra", 4) if c.name == "heart_rhythm")
    events, told = read(iv.write(), [rhythm])
    assert [rhythm.levels[int(code)] for code in events["value"]] == ["SR", "paced"]
    assert told == {
        "vitals_extra.heart_rhythm: none of its levels": 1,
        "vitals_extra.heart_rhythm: no value": 1,
    }


def test_texts_that_say_that_there_is_no_value(iii: Any, charted3: Callable[..., None], read: Any) -> None:
    charted3(iii, 1, 10, 100, "2150-01-01 01:00:00", 723, "1.0 ET/Trach")
    charted3(iii, 1, 10, 100, "2150-01-01 02:00:00", 1337, "Very Sedated")
    verbal, sas = (next(c for c in starter_set("neuro", 3) if c.name == name) for name in ("gcs_verbal", "sas"))
    events, told = read(iii.write(), [verbal, sas])
    assert events.select("concept", "value").rows() == [(1, 2.0)]
    assert told == {"neuro.gcs_verbal: the text says that there is no value": 1}


def test_rows_that_do_not_count(iii: Any, read: Any) -> None:
    time = "2150-01-01 01:00:00"
    ids = {"SUBJECT_ID": 1, "HADM_ID": 10, "ICUSTAY_ID": 100}
    iii.add("CHARTEVENTS", **ids, ITEMID=113, CHARTTIME=time, VALUE="7", ERROR="1")
    iii.add("CHARTEVENTS", **ids, ITEMID=113, CHARTTIME="01-01-2150 01:00", VALUE="8", ERROR="0")
    iii.add("CHARTEVENTS", **ids, ITEMID=113, CHARTTIME=time, VALUE="9", ERROR="0")
    dose = {"ITEMID": 221906, "STARTTIME": time, "RATE": "0.1", "RATEUOM": "mcg/kg/min", "PATIENTWEIGHT": "70"}
    iii.add("INPUTEVENTS_MV", **ids, **dose, ENDTIME=time, STATUSDESCRIPTION="Rewritten")
    iii.add("INPUTEVENTS_MV", **ids, **dose, ENDTIME="2150-01-01 00:59:00", STATUSDESCRIPTION="FinishedRunning")
    iii.add("INPUTEVENTS_MV", **ids, **(dose | {"RATE": ""}), ENDTIME=time)
    pressor = concept("inputevents", 221906, kind="interval-rate", unit="mcg/kg/min")
    events, told = read(iii.write(), [concept("chartevents", 113), pressor])
    assert events.select("concept", "value").rows() == [(0, 9.0)]
    assert told == {
        "mine.x: marked as an error, or rewritten": 2,
        "mine.x: the time cannot be read": 1,
        "mine.x: it ends before it begins": 1,
        "mine.x: no rate: a push, or an amount alone": 1,
    }


def test_rates_and_their_units(iv: Any, given: Callable[..., None], read: Any) -> None:
    rows = [("0.1", "mcg/kg/min", "70"), ("0.2", "mg/kg/min", "1"), ("0.0003", "mg/kg/min", "70"),
            ("14", "mcg/min", "70"), ("3", "mL/hour", "70")]  # fmt: skip
    for hour, (rate, unit, weight) in enumerate(rows):
        given(221906, f"{hour:02d}:00:00", f"{hour:02d}:30:00", rate=rate, rateuom=unit, patientweight=weight)
    pressor = next(c for c in starter_set("vasopressors", 4) if c.name == "norepinephrine")
    events, told = read(iv.write(), [pressor])
    assert events["value"].to_list() == pytest.approx([0.1, 0.2, 0.3, 0.2])
    assert hours(events, "end") == [0.5, 1.5, 2.5, 3.5]
    assert told == {"vasopressors.norepinephrine: the unit 'mL/hour' cannot be converted to mcg/kg/min": 1}


def test_an_amount_accrues_at_its_rate_and_another_counts_at_its_end(
    iv: Any, given: Callable[..., None], read: Any
) -> None:
    given(225158, "00:00:00", "04:00:00", amount="9999", amountuom="ml", rate="125", rateuom="mL/hour")
    given(225158, "05:00:00", "06:00:00", amount="0.5", amountuom="L", rate="", rateuom="")
    given(225158, "07:00:00", "08:00:00", amount="100", amountuom="ml", rate="2", rateuom="mL/min")
    crystalloid = next(c for c in starter_set("fluids", 4) if c.name == "crystalloid")
    events, _ = read(iv.write(), [crystalloid])
    assert events["value"].to_list() == [500, 500, 120]
    assert events["spread"].to_list() == [True, False, True]


def test_a_bolus_is_what_comes_fast_or_is_much_without_a_rate(iv: Any, given: Callable[..., None], read: Any) -> None:
    given(225158, "00:00:00", "01:00:00", amount="248", amountuom="ml", rate="248", rateuom="mL/hour")
    given(225158, "01:00:00", "01:15:00", amount="125", amountuom="ml", rate="500", rateuom="mL/hour")
    given(225158, "02:00:00", "08:00:00", amount="900", amountuom="ml", rate="150", rateuom="mL/hour")
    given(225158, "09:00:00", "09:01:00", amount="248", amountuom="ml", rate="", rateuom="")
    given(225158, "10:00:00", "10:01:00", amount="0.5", amountuom="L", rate="", rateuom="")
    bolus = next(c for c in starter_set("fluids", 4) if c.name == "fluid_bolus")
    events, told = read(iv.write(), [bolus])
    assert events["value"].to_list() == [125, 500]
    assert told == {}


def test_urine_is_what_came_out_less_what_was_run_in(iii: Any, read: Any) -> None:
    for item, amount, hour in ((226559, "100", 1), (227489, "400", 2), (227488, "350", 2), (227488, "50", 3)):
        iii.add("OUTPUTEVENTS", SUBJECT_ID=1, ITEMID=item, CHARTTIME=f"2150-01-01 0{hour}:00:00", VALUE=amount,
                VALUEUOM="mL")  # fmt: skip
    urine = next(c for c in starter_set("outputs", 3) if c.name == "urine")
    events, told = read(iii.write(), [urine])
    assert events["value"].to_list() == [100, 400, -350, -50]
    assert told == {}


def test_conditions_on_other_columns(iv: Any, given: Callable[..., None], read: Any) -> None:
    given(222168, "00:00:00", "00:01:00", amount="50", amountuom="mg", ordercategorydescription="Drug Push")
    given(222168, "01:00:00", "02:00:00", amount="90", amountuom="mg", ordercategorydescription="Continuous Med")
    push = next(c for c in starter_set("sedatives", 4) if c.name == "sedative_push")
    assert read(iv.write(), [push])[0]["value"].to_list() == [50]


def carevue(iii: Any, clock: str, rate: str, stopped: str = "", stored: str = "", unit: str = "mcgkgmin") -> None:
    time = f"2150-01-01 {clock}"
    iii.add(
        "INPUTEVENTS_CV", SUBJECT_ID=1, HADM_ID=10, ICUSTAY_ID=100, ITEMID=30120, CHARTTIME=time, RATE=rate,
        RATEUOM=unit, STOPPED=stopped, STORETIME=f"2150-01-01 {stored or clock}",
    )  # fmt: skip


def test_rates_of_carevue_hold_until_the_next_row_and_at_most_four_hours(iii: Any, read: Any) -> None:
    carevue(iii, "01:00:00", "0.1")
    carevue(iii, "02:30:00", "0.2")
    carevue(iii, "08:00:00", "0.3")
    carevue(iii, "09:00:00", "", stopped="D/C'd", stored="11:00:00")
    events, told = read(iii.write(), [concept("inputevents", 30120, kind="interval-rate", unit="mcg/kg/min")])
    assert events["value"].to_list() == [0.1, 0.2, 0.3]
    assert hours(events, start=III_IN) == [1, 2.5, 8]
    assert hours(events, "end", III_IN) == [2.5, 6.5, 9]
    assert hours(events, "open_end", III_IN) == [5, 6.5, 12]
    assert hours(events, "end_known", III_IN) == [2.5, None, 11]
    assert told == {}


def test_a_rate_ends_at_the_first_row_behind_it_that_is_known(iii: Any, read: Any) -> None:
    carevue(iii, "01:00:00", "0.1")
    carevue(iii, "02:00:00", "0.2", stored="08:00:00")
    carevue(iii, "03:00:00", "0.3")
    carevue(iii, "03:30:00", "0.4", stored="07:00:00")  # later than a row that was known before it: no end of the first
    events, _ = read(iii.write(), [concept("inputevents", 30120, kind="interval-rate", unit="mcg/kg/min")])
    ends = [
        [((end["known"] - III_IN) / 3600, (end["end"] - III_IN) / 3600) for end in ends]
        for ends in events["ends"].fill_null([])
    ]
    assert ends == [[(3, 3), (8, 2)], [], [], []]


def test_carevue_has_the_weight_elsewhere(iii: Any, charted3: Callable[..., None], read: Any) -> None:
    carevue(iii, "01:00:00", "8", unit="mcgmin")
    charted3(iii, 1, 10, 100, "2150-01-01 01:30:00", 763, "50", "kg")
    carevue(iii, "02:00:00", "8", unit="mcgmin")
    pressor = concept(
        "inputevents", 30120, kind="interval-rate", unit="mcg/kg/min", rules=(("mcg/min", "/ weight"),), high=0.15
    )
    events, told = read(iii.write(), [pressor])
    assert events["value"].to_list() == [0.1]
    assert told == {
        "mine.x: default_weight: 80 kg where no weight is known": 1,
        "mine.x: outside any to 0.15 mcg/kg/min": 1,
    }


def test_procedures_are_under_way_or_happened(iv: Any, read: Any) -> None:
    row = {"subject_id": 10000032, "stay_id": 200, "starttime": "2180-01-01 01:00:00", "value": "60"}
    iv.add("icu/procedureevents", **row, itemid=225792, endtime="2180-01-01 02:00:00")
    iv.add("icu/procedureevents", **row, itemid=224385, endtime="2180-01-01 01:01:00")
    ventilated, tube = (
        next(c for c in starter_set("ventilation", 4) if c.name == name) for name in ("invasive_vent", "intubation")
    )
    events, _ = read(iv.write(), [ventilated, tube])
    assert events.select("concept", "value").rows() == [(0, 1.0), (1, 1.0)]


def test_a_concept_without_rows_is_counted(iv: Any, read: Any) -> None:
    events, told = read(iv.write(), [concept("labevents", 50813), concept("microbiologyevents", 1, kind="categorical")])
    assert events.is_empty()
    assert told == {"mine: concepts without a row in the tables": 2}


def test_times_in_another_format_are_refused(iv: Any, read: Any) -> None:
    for clock in ("10:00", "11:00"):
        iv.add("hosp/labevents", subject_id=10000032, itemid=50813, charttime=f"01/02/2180 {clock}", value="1")
    with pytest.raises(InputError, match="labevents"):
        read(iv.write(), [concept("labevents", 50813)])


@pytest.mark.parametrize(
    ("stored", "found"), [("2180-01-01", "no time of day"), ("1/1/2180 3:00 PM", "cannot be read")]
)
def test_stored_times_in_another_format_are_refused(iv: Any, read: Any, stored: str, found: str) -> None:
    for second in range(3):
        iv.add(
            "hosp/labevents",
            subject_id=10000032,
            itemid=50813,
            charttime=f"2180-01-01 01:00:0{second}",
            storetime=stored,
            value=1,
        )
    lactate = [concept("labevents", 50813)]
    with pytest.raises(InputError, match=f"labevents.*STORETIME of row 2.*{found}"):
        read(iv.write(), lactate)
    assert len(read(iv.path, lactate, available="charttime")[0]) == 3


def test_a_stored_time_that_cannot_be_read_makes_no_value_known_earlier(
    iv: Any, lab: Callable[..., None], read: Any
) -> None:
    lab(50813, "1", "01:00:00", stored="03:00:00")
    lab(50813, "2", "02:00:00", stored="later")
    events, told = read(iv.write(), [concept("labevents", 50813)])
    assert events["value"].to_list() == [1]
    assert told == {"mine.x: the time cannot be read": 1}


def test_rows_without_readable_ids_are_counted_for_each_set(iv: Any, lab: Callable[..., None], read: Any) -> None:
    lab(50813, "1")
    lab("fifty", "2")  # type: ignore[arg-type]
    lab("50813.0", "3", "02:00:00")  # type: ignore[arg-type]
    iv.add("hosp/labevents", itemid=50813, charttime="2180-01-01 01:00:00", value="4")
    two = [concept("labevents", 50813), concept("labevents", 50912)]
    events, told = read(iv.write(), [*two, replace(two[0], set="other")])
    assert events["value"].to_list() == [1, 1, 3, 3]
    reason = "labevents.csv: itemid is no integer"
    nobodys = "labevents.csv: subject_id empty"
    of_both = {f"{name}: {said}": 1 for name in ("mine", "other") for said in (reason, nobodys)}
    assert told == of_both | {"mine: concepts without a row in the tables": 1}
