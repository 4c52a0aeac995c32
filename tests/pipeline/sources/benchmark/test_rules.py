"""Every cleaning rule of both profiles on values made by hand."""

import polars as pl
import pytest
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources.mimic.benchmark import EhrSettings
from omnifuse.pipeline.sources.mimic.benchmark.rules import CORRECTIONS, TREATMENTS
from omnifuse.pipeline.sources.mimic.benchmark.variables import variables

REFILL, DBP, FIO2, EYE, MOTOR, GCS, VERBAL, GLUCOSE, HEART = 115, 8368, 223835, 184, 454, 198, 723, 807, 211
INCHES, HEIGHT, CM, MEAN_BP, SPO2, SBP, CELSIUS, FAHRENHEIT, KG, LB, OZ, PH = (
    1394, 226707, 226730, 52, 646, 51, 676, 678, 763, 226531, 3582, 780,
)  # fmt: skip

BENCHMARK = [
    (REFILL, "Brisk", None, "0.0"),
    (REFILL, "Normal <3 secs", None, "0.0"),
    (REFILL, "Delayed", None, "1.0"),
    (REFILL, "Abnormal >3 secs", None, "1.0"),
    (REFILL, "brisk", None, None),
    (REFILL, "0", None, None),
    (SBP, "120/80", None, 120.0),
    (DBP, "120/80", None, 80.0),
    (SBP, "110.5", None, 110.5),
    (SBP, "120 / 80", None, None),
    (SBP, "120/", None, None),
    (FIO2, "40", None, 0.4),
    (FIO2, "0.5", None, 0.005),
    (FIO2, "0.5", "Torr", 0.5),
    (FIO2, "50", "torr", 50.0),
    (SPO2, "0.97", None, 97.0),
    (SPO2, "1", None, 100.0),
    (SPO2, "0", None, 0.0),
    (SPO2, "98.", None, 98.0),
    (SPO2, "300", None, 300.0),
    (GLUCOSE, "120", None, 120.0),
    (GLUCOSE, ".5", None, 0.5),
    (GLUCOSE, ">500", None, None),
    (GLUCOSE, "ERROR", None, None),
    (GLUCOSE, "-5", None, None),
    (GLUCOSE, "1e2", None, None),
    (GLUCOSE, " 121", None, None),
    (PH, "7.4 ", None, None),
    (CELSIUS, "37.0", None, 37.0),
    (FAHRENHEIT, "37.0", "?F", 37.0),
    (FAHRENHEIT, "78.9", "?F", 78.9),
    (CELSIUS, "79", None, (79 - 32) * 5 / 9),
    (KG, "80", "kg", 80.0),
    (KG, "80", "lb", 80 * 0.453592),
    (LB, "80", None, 80 * 0.453592),
    (OZ, "80", None, 80 / 16 * 0.453592),
    (KG, "80", "oz", 80 / 16 * 0.453592),
    (INCHES, "70", None, 178.0),
    (HEIGHT, "70", "Inch", 178.0),
    (HEIGHT, "70", None, 70.0),
    (CM, "178", "cm", 178.0),
    (HEIGHT, "25", "in", 64.0),  # 63.5: half to even
    (HEART, " 88 ", None, 88.0),
    (HEART, ">60/minute", None, None),
    (HEART, "-10", None, -10.0),
    (HEART, "1e38", None, 1e38),
    (HEART, "1e39", None, None),
    (HEART, "-1e39", None, None),
    (HEART, "inf", None, None),
    (HEART, "nan", None, None),
    (SBP, "1e39", None, None),
    (EYE, "None", None, "None"),
    (EYE, "spontaneously", None, None),
    (GCS, "15", None, "15"),
    (GCS, "15.0", None, None),
    (GCS, "0", None, None),
]


@pytest.mark.parametrize(("item", "value", "unit", "expected"), BENCHMARK)
def test_benchmark(cleaned, make_event, item, value, unit, expected) -> None:
    kept = cleaned(make_event(item, value, unit=unit))
    assert kept == ([] if expected is None else [expected])


CLEAN = [
    (REFILL, "Brisk", None, None, "0.0"),
    (FIO2, "40", None, None, 0.4),
    (FIO2, "0.5", None, None, 0.5),
    (FIO2, "50", "torr", None, 0.5),
    (FIO2, "0.1", None, None, None),
    (FIO2, "0.2", None, None, 0.21),
    (SPO2, "0.97", None, None, 97.0),
    (SPO2, "120", None, None, 100.0),
    (SPO2, "151", None, None, None),
    (GLUCOSE, ">500", None, 500.0, 500.0),
    (GLUCOSE, "___", None, 140.0, 140.0),
    (GLUCOSE, "___", None, None, None),
    (GLUCOSE, None, None, 140.0, 140.0),
    (GLUCOSE, "-5", None, None, None),
    (GLUCOSE, "10", None, None, 33.0),
    (GLUCOSE, "1e2", None, None, 100.0),
    (CELSIUS, "37.0", None, None, 37.0),
    (CELSIUS, "98.6", None, None, (98.6 - 32) * 5 / 9),
    (FAHRENHEIT, "98.6", None, None, (98.6 - 32) * 5 / 9),
    (FAHRENHEIT, "75", None, None, 26.0),  # 23.9 degrees, cut to the valid limit
    (FAHRENHEIT, "37.0", None, None, 37.0),
    (CELSIUS, "75", "Deg. F", None, 26.0),
    (CELSIUS, "0", None, None, None),
    (KG, "80", "kg", None, 80.0),
    (KG, "180", "lbs", None, 180 * 0.453592),
    (LB, "180", None, None, 180 * 0.453592),
    (OZ, "1600", None, None, 1600 / 16 * 0.453592),
    (KG, "251", None, None, None),
    (HEIGHT, "70", None, None, 70 * 2.54),
    (INCHES, "70", None, None, 70 * 2.54),
    (CM, "178", "cm", None, 178.0),
    (HEART, "-10", None, None, None),
    (HEART, "360", None, None, 350.0),
    (HEART, "391", None, None, None),
    (HEART, "inf", None, None, None),
    (EYE, "None", None, None, "1 No Response"),
    (EYE, "To Speech", None, None, "3 To speech"),
    (MOTOR, "obeys commands ", None, None, "6 Obeys Commands"),
    (VERBAL, "No Response-ETT", None, None, "1.0 ET/Trach"),
    (GCS, "15", None, None, "15"),
    (GCS, "0", None, None, None),
]


@pytest.mark.parametrize(("item", "value", "unit", "valuenum", "expected"), CLEAN)
def test_clean(cleaned, make_event, item, value, unit, valuenum, expected) -> None:
    kept = cleaned(make_event(item, value, unit=unit, valuenum=valuenum), profile="clean")
    assert kept == ([] if expected is None else [pytest.approx(expected)])


@pytest.mark.parametrize(
    ("item", "text_subject", "values", "largest"),
    [
        (HEART, True, ["101", "98"], 98.0),
        (HEART, True, ["9", "18"], 9.0),
        (HEART, False, ["101", "98"], 101.0),
        (GLUCOSE, True, ["101", "98"], 101.0),
        (SBP, True, ["101/50", "98"], 101.0),
        (GCS, True, ["15", "9"], "9"),
        (EYE, True, ["4 Spontaneously", "None"], "None"),
    ],
)
def test_benchmark_keeps_the_largest_text_or_number(cleaned, make_event, item, text_subject, values, largest) -> None:
    events = [make_event(item, value, text_subject=text_subject) for value in values]
    assert cleaned(*events)[-1] == largest


@pytest.mark.parametrize(
    ("item", "values", "largest"),
    [(HEART, ["101", "98"], 101.0), (GCS, ["15", "9"], "15"), (EYE, ["4 Spontaneously", "None"], "4 Spontaneously")],
)
def test_clean_keeps_the_largest_number_or_score(cleaned, make_event, item, values, largest) -> None:
    events = [make_event(item, value) for value in values]
    assert cleaned(*events, profile="clean")[-1] == largest


def test_numeric_subjects_may_have_any_number_where_text_subjects_may_not(cleaned, make_event) -> None:
    assert cleaned(make_event(GLUCOSE, "-5", text_subject=False)) == [-5.0]


def test_what_a_rule_did_is_counted_by_its_name(cleaned, make_event) -> None:
    quarantine = Quarantine()
    events = [make_event(FAHRENHEIT, "98.6"), make_event(FAHRENHEIT, "1000"), make_event(HEART, "fast")]
    cleaned(*events, profile="clean", quarantine=quarantine)
    counts = {(source, reason.split(":")[0]): n for _, source, reason, n in quarantine.counts().rows()}
    assert counts == {
        ("Temperature", "fahrenheit"): 2,
        ("Temperature", "remove_outliers"): 1,
        ("Heart Rate", "number"): 1,
    }
    left_out = quarantine.frame().filter(quarantine.frame()["source"] == "Heart Rate").row(0, named=True)
    assert left_out["value"] == "fast"
    assert left_out["where"] == "subject 7, item 211, 1970-01-01 00:00:00"


@pytest.mark.parametrize(
    ("rule", "item", "value", "expected"),
    [
        ("percent_above_one", FIO2, "40", None),
        ("fahrenheit", FAHRENHEIT, "98.6", None),
        ("inches", HEIGHT, "70", 70.0),
        ("pounds", LB, "180", 180.0),
        ("remove_outliers", HEART, "1000", 350.0),
        ("cut_to_valid", HEART, "360", 360.0),
        ("to_percent", SPO2, "0.97", 0.97),
        ("one_spelling", EYE, "None", "None"),
    ],
)
def test_a_rule_can_be_switched_off(cleaned, make_event, rule, item, value, expected) -> None:
    kept = cleaned(make_event(item, value), profile="clean", without=frozenset([rule]))
    assert kept == ([] if expected is None else [expected])


def test_ties_can_be_left_in_the_order_of_the_benchmark(cleaned, make_event) -> None:
    events = [make_event(HEART, "101"), make_event(HEART, "98")]
    assert cleaned(*events, profile="clean", without=frozenset(["order_ties_by_number"]))[-1] == 98.0


def test_an_unknown_rule_or_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no rule 'celsius'.*fahrenheit"):
        EhrSettings("clean", without=frozenset(["celsius"]))
    with pytest.raises(InputError, match=r"no EHR profile 'dirty'; choose 'clean' or 'benchmark'"):
        EhrSettings("dirty")
    with pytest.raises(InputError, match="benchmark profile is fixed"):
        EhrSettings("benchmark", without=frozenset(["fahrenheit"]))
    with pytest.raises(InputError, match="longer than 0 hours, got 0"):
        EhrSettings("clean", 0)


def test_a_correction_never_loses_a_value() -> None:
    """Whatever a value is, a rule of which the cache says "corrected and kept" gives one; reading may find none."""
    events = pl.DataFrame({"value": ["36.6", "212", "0.4", "-3", "1e5"], "valuenum": [1.0, None, 0.4, -3.0, None]})
    events = events.with_columns(unit=pl.lit("lb"), item=pl.lit(0, pl.UInt16))
    for variable in variables():
        for treatment in TREATMENTS[variable.name]:
            for rule in treatment.rules[1:]:
                if rule.__name__ in CORRECTIONS:
                    x = pl.Series("x", [36.6, 212.0, 0.4, -3.0, 1e5])
                    assert events.with_columns(x).select(rule(pl.col("x"), variable)).to_series().null_count() == 0
    assert "remove_outliers" not in CORRECTIONS
