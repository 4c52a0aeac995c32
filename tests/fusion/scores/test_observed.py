"""What was observed of times to an event: risks with intervals, mean times, and groups by risk."""

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time
from omnifuse.fusion.scores.intervals import share
from omnifuse.fusion.scores.observed import observed_risk, restricted_mean, risk_groups


def test_without_censoring_the_risk_is_a_share_with_its_interval() -> None:
    time = np.arange(1.0, 41)
    found = observed_risk(time, np.ones(40, dtype=bool), np.arange(40), 10.0)
    expected = share((time <= 10).astype(float), np.arange(40))
    assert (found.value, *found.ci) == pytest.approx((expected.value, *expected.ci))


def test_the_variance_is_that_of_greenwood() -> None:
    rng = np.random.default_rng(0)
    time, event = np.ceil(rng.exponential(20, 3000)), rng.random(3000) < 0.5
    found = observed_risk(time, event, np.arange(3000), 15.0)
    known = KaplanMeierFitter(alpha=0.05).fit(time, event)
    low, high = 1 - known.confidence_interval_survival_function_.loc[15.0].to_numpy()[::-1]
    assert found.value == pytest.approx(1 - known.predict(15.0))
    assert found.ci == pytest.approx([low, high], abs=5e-4)


def test_samples_of_a_patient_count_once() -> None:
    time, event = np.arange(1.0, 31), np.arange(30) % 3 > 0
    once = observed_risk(time, event, np.arange(30), 12.0)
    twice = observed_risk(np.repeat(time, 2), np.repeat(event, 2), np.repeat(np.arange(30), 2), 12.0)
    assert (twice.value, *twice.ci) == pytest.approx((once.value, *once.ci), abs=0.01)


def test_nothing_is_known_of_times_beyond_the_last_censored_one() -> None:
    time, event = np.array([1.0, 2.0]), np.array([True, False])
    assert observed_risk(time, event, np.arange(2), 3.0) is None
    assert observed_risk(time, np.ones(2, dtype=bool), np.arange(2), 3.0).value == 1
    assert observed_risk(time[:0], event[:0], np.arange(0), 3.0) is None
    assert observed_risk(time, event * False, np.arange(2), 1.5).value == 0


def test_the_restricted_mean_equals_lifelines() -> None:
    rng = np.random.default_rng(1)
    time, event = np.ceil(rng.exponential(5, 80)), rng.random(80) < 0.6
    known = KaplanMeierFitter().fit(time, event)
    for until in (0.5, 4.0, 6.5):
        assert restricted_mean(time, event, until) == pytest.approx(restricted_mean_survival_time(known, until))


def test_risks_are_grouped_within_each_fold() -> None:
    risk, folds = np.array([0.3, 0.1, 0.2, 0.9, 0.7, 0.8]), np.array([0, 0, 0, 1, 1, 1])
    assert risk_groups(risk, folds).tolist() == [2, 0, 1, 2, 0, 1]
    assert np.bincount(risk_groups(np.zeros(10), np.zeros(10), 3)).tolist() == [4, 3, 3]
