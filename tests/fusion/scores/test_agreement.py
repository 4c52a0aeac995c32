"""How far probabilities agree with what happened, in closed forms and where nothing is wrong."""

import numpy as np
import pytest
from omnifuse.fusion.scores import agreement, intervals, metrics
from scipy import stats


def test_calibration_has_the_ratio_with_its_interval_and_the_error_beside_slope_and_intercept() -> None:
    """Of 200 patients with risk 0.2 and of 200 with 0.6 there are 10 % and 80 % positive."""
    p, subjects = np.repeat([0.2, 0.6], 200), np.arange(400) // 2
    y = np.concatenate([np.arange(200) < 20, np.arange(200) < 160]).astype(float)
    found = agreement.calibration(np.append(y, np.nan), np.append(p, 0.9), np.append(subjects, 999))
    assert found["slope"] == metrics.calibration(y, p)["slope"]
    assert found["observed_expected"] == pytest.approx(180 / 160)
    assert found["observed_expected_ci"] == intervals.observed_expected(y, p, subjects).ci
    assert found["ece"] == pytest.approx(0.5 * 0.1 + 0.5 * 0.2)


def test_one_class_alone_has_a_ratio_and_no_slope() -> None:
    found = agreement.calibration(np.zeros(4), np.full(4, 0.5), np.arange(4))
    assert (found["slope"], found["intercept"], found["observed_expected"]) == (None, None, 0)
    assert found["observed_expected_ci"][1] > 0
    assert set(agreement.calibration(np.full(4, np.nan), np.full(4, 0.5), np.arange(4)).values()) == {None}


def test_reliability_of_two_groups() -> None:
    y, p = np.repeat([0.0, 1.0, 1.0], [15, 5, 20]), np.repeat([0.2, 0.2, 0.8], [15, 5, 20])
    low, high = agreement.reliability(y, p, np.arange(40))
    assert (low["predicted"], low["observed"]) == pytest.approx((0.2, 0.25))
    assert (high["predicted"], high["observed"], high["high"]) == pytest.approx((0.8, 1, 1))
    assert [low["low"], low["high"]] == pytest.approx(intervals.wilson(0.25, 19).ci)
    assert agreement.reliability(y[:0], p[:0], y[:0]) == []


def test_the_p_value_of_a_group_is_that_of_the_exact_binomial_test_where_positives_are_rare() -> None:
    """Of 40 positives among 4,000, each as likely, 30 are in the half that should have 20."""
    y, inside = np.zeros(4000), np.arange(4000) < 2000
    y[[*range(30), *range(2000, 2010)]] = 1
    found, p = agreement.relative_to_everybody(inside, y, np.full(4000, 0.02), np.arange(4000))
    assert found.value == pytest.approx(1.5)
    assert p == pytest.approx(2 * stats.binom.sf(29, 40, 0.5), rel=0.1)


def test_the_p_value_of_everybody_is_that_of_the_poisson_law_where_positives_are_rare() -> None:
    y = (np.arange(4000) < 15).astype(float)
    assert agreement.p_of_everybody(y, np.full(4000, 0.002), np.arange(4000)) == pytest.approx(
        2 * stats.poisson.sf(14, 8), rel=0.1
    )
    assert agreement.p_of_everybody(y * np.nan, y, np.arange(4000)) is None


def test_a_group_is_off_only_relative_to_everybody() -> None:
    """All probabilities are half of what they should be: the level is wrong, no group is."""
    y, inside = (np.arange(1000) % 5 == 0).astype(float), np.arange(1000) < 300
    p, subjects = np.full(1000, 0.1), np.arange(1000)
    assert agreement.p_of_everybody(y, p, subjects) < 1e-6
    found, p_value = agreement.relative_to_everybody(inside, y, p, subjects)
    assert found.value == pytest.approx(1) and p_value > 0.9


def test_nobody_is_compared_with_nobody() -> None:
    y, p, subjects = np.array([0.0, 1.0, np.nan]), np.full(3, 0.5), np.arange(3)
    assert agreement.relative_to_everybody(np.array([True, True, False]), y, p, subjects) is None
    assert agreement.relative_to_everybody(np.array([False, False, True]), y, p, subjects) is None
    assert agreement.relative_to_everybody(np.array([True, False, False]), y * 0, p, subjects) is None
