"""Survival curves and Kaplan-Meier estimates against lifelines, closed forms and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from omnifuse.cache_schema import InputError
from omnifuse.fusion.scores.survival import (
    SurvivalCurves,
    as_predicted,
    kaplan_meier,
    kaplan_meier_of_censoring,
    known_outcomes,
    nelson_aalen,
    quarters,
)

TIMES = np.array([1.0, 2.0, 4.0])


def test_between_two_times_the_hazard_is_constant() -> None:
    curve = SurvivalCurves(np.array([1.0, 3.0]), np.array([[0.5, 0.25]]))
    assert curve.at(np.array([0.0, 0.5, 1.0, 2.0, 3.0, 5.0]))[0] == pytest.approx(
        [1, 0.5**0.5, 0.5, 0.5 * 0.5**0.5, 0.25, 0.125]
    )


def test_the_restricted_mean_of_an_exponential_law_has_a_closed_form() -> None:
    hazard = np.array([[0.3], [2.0]])
    curves = SurvivalCurves(TIMES, np.exp(-hazard * TIMES))
    assert curves.restricted_mean == pytest.approx((1 - np.exp(-hazard[:, 0] * 4)) / hazard[:, 0])
    assert SurvivalCurves(TIMES, np.ones((1, 3))).restricted_mean == pytest.approx([4])


def test_some_curves_are_taken_like_rows() -> None:
    curves = SurvivalCurves(TIMES, np.array([[0.9, 0.8, 0.7], [0.6, 0.5, 0.4]]))
    assert len(curves) == 2 and curves.risk == pytest.approx([0.3, 0.6])
    assert curves[[1]].survival.tolist() == [[0.6, 0.5, 0.4]] == curves[np.array([False, True])].survival.tolist()
    assert as_predicted("survival", curves.survival, TIMES).risk == pytest.approx(curves.risk)
    assert as_predicted("regression", curves.survival, TIMES) is curves.survival


@pytest.mark.parametrize(
    ("times", "survival", "reason"),
    [
        (TIMES, np.ones((2, 2)), r"survival \(2, 2\) at times \(3,\)"),
        (TIMES[::-1], np.ones((2, 3)), r"have to ascend and be above 0; they are \[4.0, 2.0, 1.0\]"),
        (np.array([0.0, 1.0]), np.ones((2, 2)), r"they are \[0.0, 1.0\]"),
        (np.array([]), np.ones((2, 0)), "H of 1 or more"),
    ],
)
def test_what_is_no_curve_is_refused(times: np.ndarray, survival: np.ndarray, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        SurvivalCurves(times, survival)


def test_three_of_many_times_are_looked_at() -> None:
    assert quarters(np.arange(1.0, 22.0)).tolist() == [6, 11, 16]
    assert quarters(TIMES).tolist() == [1, 2, 4] and quarters(TIMES[:1]).tolist() == [1]


def test_who_has_an_unknown_time_or_event_has_no_outcome() -> None:
    known, time, event = known_outcomes(np.array([[2.0, 1.0], [np.nan, 0.0], [3.0, np.nan], [4.0, 0.0]]))
    assert (known.tolist(), time.tolist(), event.tolist()) == ([True, False, False, True], [2, 4], [True, False])


def test_the_estimate_of_six_patients_by_hand() -> None:
    """At 1 one of six has the event; at 2 one of five, while another is censored; at 4 one of two."""
    steps = kaplan_meier(np.array([1.0, 2, 2, 3, 4, 5]), np.array([1, 1, 0, 0, 1, 0], dtype=bool))
    expected = np.cumprod([5 / 6, 4 / 5, 1, 1 / 2, 1])
    assert steps.values == pytest.approx(expected)
    assert steps.at(np.array([0.5, 2.0])) == pytest.approx([1, expected[1]])
    assert steps.before(np.array([2.0, 9.0])) == pytest.approx([5 / 6, expected[-1]])


def test_the_cumulative_hazard_of_six_patients_by_hand() -> None:
    times, hazard = nelson_aalen(np.array([1.0, 2, 2, 3, 4, 5]), np.array([1, 1, 0, 0, 1, 0], dtype=bool))
    assert times.tolist() == [1, 2, 4]
    assert hazard == pytest.approx(np.cumsum([1 / 6, 1 / 5, 1 / 2]))


def test_the_hazard_of_each_until_a_time_of_its_own_is_that_of_its_curve() -> None:
    curves = SurvivalCurves(TIMES, np.exp(-np.array([[0.3], [2.0], [0.0]]) * TIMES))
    assert curves.hazard_until(np.array([3.0, 0.5, 4.0])) == pytest.approx([0.9, 1.0, 0])


def test_who_has_the_event_at_a_time_is_not_at_risk_of_being_censored_at_it() -> None:
    time, event = np.array([1.0, 2, 2, 3]), np.array([0, 1, 0, 0], dtype=bool)
    assert kaplan_meier_of_censoring(time, event, np.ones((1, 4))).values[0] == pytest.approx([3 / 4, 3 / 8, 0])


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(1, 12), st.integers(0, 999))
def test_weighted_estimates_equal_those_of_lifelines_with_ties(count: int, distinct: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    time, event = rng.integers(1, distinct + 1, count).astype(float), rng.random(count) < 0.6
    weights = rng.integers(1, 4, (2, count)).astype(float)
    steps = kaplan_meier(time, event, weights)
    for values, weight in zip(steps.values, weights, strict=True):
        known = KaplanMeierFitter().fit(np.repeat(time, weight.astype(int)), np.repeat(event, weight.astype(int)))
        assert values == pytest.approx(known.survival_function_at_times(steps.times).to_numpy())
