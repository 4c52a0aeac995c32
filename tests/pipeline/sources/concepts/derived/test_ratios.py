"""Ratios, gaps and sums of a few values, by hand."""

from collections.abc import Callable

import pytest
from omnifuse.pipeline.sources.mimic.concepts.derived import Given, anion_gap, oxygenation, shock_index, vasopressors
from omnifuse.pipeline.sources.mimic.concepts.derived.given import spans

from .conftest import hours, of_spans, second

ARTERIAL, VENOUS, MIXED = 0, 1, 2
Make = Callable[..., Given]


def test_pf_is_of_arterial_samples_alone(given: Make) -> None:
    one = given(
        po2=[(1, 80), (2, 40), (3, 90), (4, 90)],
        specimen_type=[(1, ARTERIAL), (2, VENOUS), (4, ARTERIAL), (4, MIXED)],
        fio2_lab=[(1, 40), (2, 40), (3, 40), (4, 40)],
    )
    assert hours(oxygenation.pf_ratio(one)) == [(1, 200)]


def test_the_fraction_of_oxygen_is_that_of_the_sample_or_the_last_charted_of_four_hours(given: Make) -> None:
    samples = [(hour, 60) for hour in (1, 5, 9.5, 12)]
    one = given(
        po2=samples, specimen_type=[(hour, ARTERIAL) for hour, _ in samples], fio2_lab=[(5, 50)],
        fio2=[(0.5, 0.6), (1, 1.0), (5, 0.3), (5.5, 0.4), (12.01, 0.21)],
    )  # fmt: skip
    assert hours(oxygenation.pf_ratio(one)) == [(1, 60), (5, 120), (9.5, 150)]


def test_pf_is_known_with_its_last_ingredient_and_takes_what_was_known_then(given: Make) -> None:
    one = given(
        po2=[(1, 60, 1.5), (5, 60)], specimen_type=[(1, ARTERIAL, 2), (5, ARTERIAL)], fio2_lab=[(1, 50, 3)],
        fio2=[(0.5, 0.4, 1.9), (0.9, 0.3, 2.1), (4, 0.6), (4.5, 1.0, 6)],
    )  # fmt: skip
    assert hours(oxygenation.pf_ratio(one)) == [(2, 150), (5, 100)]


def test_sf_is_of_saturations_up_to_97(given: Make) -> None:
    one = given(spo2=[(1, 97), (2, 98), (3, 90), (7, 90)], fio2=[(0.5, 0.5), (2.5, 0.9)])
    assert hours(oxygenation.sf_ratio(one)) == [(1, 194), (3, 100)]


def test_shock_index_has_both_of_one_hour_and_an_arterial_pressure_before_a_cuff(given: Make) -> None:
    one = given(
        heart_rate=[(1, 100), (3.2, 90)], abp_sys=[(1.2, 100), (3, 0)], nbp_sys=[(1.5, 50), (2.5, 60), (4.1, 45)]
    )
    assert hours(shock_index.shock_index(one)) == [(1.2, 1), (1.5, 1), (3.2, 1.5), (4.1, 2)]


def test_anion_gap_is_of_one_sample_without_potassium(given: Make) -> None:
    ions = {"sodium": [(1, 140), (2, 138)], "chloride": [(1, 100), (2.5, 100)], "bicarbonate": [(1, 24, 1.5), (2, 20)]}
    one = given(**ions, albumin=[(0.5, 2.0), (0.8, 1.0, 3)])
    assert hours(anion_gap.without_potassium(one)) == [(1.5, 16)]
    assert hours(anion_gap.corrected(one)) == [(1.5, 21)]
    assert hours(anion_gap.corrected(given(**ions))) == []


def test_rates_are_summed_as_norepinephrine(given: Make) -> None:
    """0.1; + 2.4 units/h of vasopressin, 0.1; + dopamine 5, 0.05; + phenylephrine 1 and epinephrine 0.05."""
    one = given(
        norepinephrine=of_spans((0, 4, 0.1)), vasopressin=of_spans((1, 2, 2.4)), dopamine=of_spans((2, 3, 5.0)),
        phenylephrine=of_spans((3, 5, 1.0)), epinephrine=of_spans((4, 5, 0.05), (6, 7, 0.05)),
    )  # fmt: skip
    made = vasopressors.norepinephrine_equivalent(one)
    assert hours(made.with_columns(value="value")) == [
        (hour, pytest.approx(value)) for hour, value in ((0, 0.1), (1, 0.2), (2, 0.15), (3, 0.2), (4, 0.15), (6, 0.05))
    ]
    assert made["end"].to_list() == [second(hour) for hour in (1, 2, 3, 4, 5, 7)]


def test_a_span_begins_anew_only_after_a_gap(given: Make) -> None:
    one = given(
        norepinephrine=of_spans((0, 2, 0.1), (2, 3, 0.2), (5, 6, 0.1)), dopamine=of_spans((1, 1.5, 3.0), (6, 6, 3))
    )
    expected = spans(of_spans((0, 3, 1.0), (5, 6, 1.0)))
    assert vasopressors.running(one).equals(expected)
