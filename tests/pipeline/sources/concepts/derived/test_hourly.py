"""SOFA and SIRS of every hour, by hand."""

from collections.abc import Callable
from typing import Any

import pytest
from omnifuse.pipeline.sources.mimic.concepts.derived import DERIVED, Given, sirs, sofa

from .conftest import hours, of_points, of_spans

Make = Callable[..., Given]
TUBE = {"invasive_vent": of_spans((0, 48, 1))}


def arterial(*ratios: float, hour: float = 1) -> dict[str, Any]:
    """Return samples of the hour with these P/F, the oxygen being pure."""
    times = [hour - 0.1 * number for number in range(len(ratios))]
    return {
        "po2": list(zip(times, ratios, strict=True)),
        "specimen_type": [(time, 0) for time in times],
        "fio2_lab": [(time, 100) for time in times],
    }


def part(name: str, given: Given) -> list[tuple[float, float]]:
    return hours(DERIVED[f"sofa_{name}"].make(given))


@pytest.mark.parametrize(
    ("ratios", "alone", "ventilated"),
    [((400,), 0, 0), ((399,), 1, 1), ((300,), 1, 1), ((299,), 2, 2), ((199,), 2, 3), ((99,), 2, 4), ((350, 150), 2, 3)],
)
def test_respiration(ratios: tuple[float, ...], alone: int, ventilated: int, given: Make) -> None:
    assert part("respiration", given(**arterial(*ratios))) == [(1, alone)]
    assert part("respiration", given(**arterial(*ratios), **TUBE)) == [(1, ventilated)]


@pytest.mark.parametrize(
    ("name", "ingredient", "grades"),
    [
        ("coagulation", "platelets", {150: 0, 149: 1, 100: 1, 99: 2, 49: 3, 20: 3, 19: 4}),
        ("liver", "bilirubin_total", {1.1: 0, 1.2: 1, 1.9: 1, 2.0: 2, 6.0: 3, 11.9: 3, 12.0: 4}),
        ("renal", "creatinine_lab", {1.1: 0, 1.2: 1, 2.0: 2, 3.4: 2, 3.5: 3, 5.0: 4}),
        ("cardiovascular", "abp_mean", {70: 0, 69: 1}),
        ("cardiovascular", "nbp_mean", {70: 0, 69: 1}),
    ],
)
def test_grades_of_values(name: str, ingredient: str, grades: dict[float, int], given: Make) -> None:
    for value, grade in grades.items():
        assert part(name, given(**{ingredient: [(1, value)]})) == [(1, grade)], value


@pytest.mark.parametrize(
    ("drug", "grades"),
    [
        ("dopamine", {0.5: 2, 5: 2, 5.1: 3, 15: 3, 15.1: 4}),
        ("dobutamine", {0.5: 2, 20: 2}),
        ("epinephrine", {0.01: 3, 0.1: 3, 0.11: 4}),
        ("norepinephrine", {0.01: 3, 0.1: 3, 0.11: 4}),
    ],
)
def test_grades_of_rates_in_every_hour_in_which_they_run(drug: str, grades: dict[float, int], given: Make) -> None:
    for rate, grade in grades.items():
        one = given(**{drug: of_spans((1.2, 3, rate), (5, 5.1, rate))}, nbp_mean=[(2, 60), (4, 60)])
        assert part("cardiovascular", one) == [(2, grade), (3, grade), (4, 1), (5, grade), (6, grade)]


def test_a_pressure_of_nothing_is_no_reading(given: Make) -> None:
    assert part("cardiovascular", given(abp_mean=[(1, 0), (2, 75)])) == [(2, 0)]


def test_vasopressin_and_phenylephrine_count_in_the_variant_alone(given: Make) -> None:
    """Phenylephrine 0.5 is 0.05 of norepinephrine, and with 2.4 units/h of vasopressin 0.15."""
    one = given(phenylephrine=of_spans((0.5, 2, 0.5)), vasopressin=of_spans((1.5, 2, 2.4)), nbp_mean=[(1, 80)])
    assert hours(sofa.sofa(one))[:2] == [(1, 0), (2, 0)]
    assert hours(sofa.sofa_nee(one))[:2] == [(1, 3), (2, 4)]


@pytest.mark.parametrize(
    ("eyes", "words", "movement", "grade"), [(4, 5, 6, 0), (4, 4, 6, 1), (3, 3, 6, 2), (1, 3, 5, 3), (1, 1, 3, 4)]
)
def test_consciousness(eyes: int, words: int, movement: int, grade: int, given: Make) -> None:
    one = {"gcs_eye": [(1, eyes)], "gcs_verbal_or_tube": [(1, words)], "gcs_motor": [(1, movement)]}
    assert part("cns", given(**one)) == [(1, grade)]
    assert part("cns", given(**{**one, "gcs_verbal_or_tube": [(1, 0)]})) == []


def test_urine_counts_once_22_hours_are_documented(given: Make) -> None:
    """8 mL/h are 192 mL a day, 20 are 480, and 21 are 504."""
    for amount, grade in ((8, 4), (20, 3), (21, 0)):
        one = given(urine=[(hour, amount) for hour in range(1, 25)])
        assert part("renal", one) == [(22, grade), (23, grade), (24, grade)]
    assert part("renal", given(urine=[(31, 100)])) == []  # one row of 31 hours


def test_the_score_is_the_sum_of_the_worst_of_24_rows(given: Make) -> None:
    """Platelets 60 in hour 1 and 200 in hour 2, bilirubin 1.5 in hour 2: 2, then 3 until row 24, 1 in row 25."""
    one = given(27.5, platelets=[(0.5, 60), (1.5, 200)], bilirubin_total=[(1.6, 1.5, 1.9)])
    expected = [(1.0, 2.0), *((float(hour), 3.0) for hour in range(2, 25)), (25, 1), (26, 0), (27, 0), (27.5, 0)]
    assert hours(sofa.sofa(one)) == expected
    known = dict(hours(sofa.sofa_known(one)))
    assert [known[hour] for hour in (1, 2, 24, 25, 26)] == [1, 2, 2, 2, 0]


def test_rows_begin_24_hours_before_the_stay(given: Make) -> None:
    before = hours(sofa.sofa(given(1, platelets=[(-30, 10), (-23.5, 60)])))
    assert (before[0], before[-1], len(before)) == ((-23, 2), (1, 0), 25)


def test_a_stay_without_an_end_has_rows_to_its_last_value(given: Make) -> None:
    assert hours(sofa.sofa(given(None, platelets=[(0.5, 60), (2.5, 90)]))) == [(1, 2), (2, 2), (3, 2)]


def test_a_value_counts_in_the_hour_in_which_it_was_known(given: Make) -> None:
    assert part("coagulation", given(3, platelets=[(0.5, 60, 1.5)])) == [(2, 2)]
    assert part("coagulation", given(3, platelets=[(0.5, 60, 3.5)])) == []  # after the stay
    late = of_spans((2.5, 2.5, 0.2))  # a rate that was stored after its end
    assert part("cardiovascular", given(5, norepinephrine=late)) == [(3, 4)]


@pytest.mark.parametrize(
    ("events", "criteria"),
    [
        ({"temperature": [(1, 36.0)], "heart_rate": [(1, 90)], "respiratory_rate": [(1, 20)], "wbc": [(1, 12)]}, 0),
        ({"temperature": [(1, 38.1)], "heart_rate": [(1, 91)], "respiratory_rate": [(1, 21)], "wbc": [(1, 12.1)]}, 4),
        ({"temperature": [(1, 35.9)], "wbc": [(1, 3.9)]}, 2),
        ({"bands_pct": [(1, 11)]}, 1),
        ({"bands_pct": [(1, 10)], "wbc": [(1, 4)]}, 0),
        ({"pco2": [(1, 31)], "specimen_type": [(1, 0)]}, 1),
        ({"pco2": [(1, 31)], "specimen_type": [(1, 1)]}, None),  # venous
    ],
)
def test_criteria_of_inflammation(events: dict[str, Any], criteria: int | None, given: Make) -> None:
    rows = hours(sirs.sirs(given(26, **events)))
    assert rows[:1] == ([] if criteria is None else [(1, criteria)])
    assert rows[23:26] == ([] if criteria is None else [(24, criteria), (25, 0), (26, 0)])


def test_two_stays_do_not_mix(given: Make) -> None:
    one = given(2, platelets=[(1, 60)])
    both = Given(
        {"platelets": of_points((1, 60)).vstack(of_points((2, 10), key=1))},
        one.stays.vstack(one.stays.with_columns(one.stays["key"] + 1)),
    )
    assert sofa.sofa(both).select("key", "value").rows() == [(0, 2), (0, 2), (1, 4)]
