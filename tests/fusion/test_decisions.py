"""What alerts, calibration error and net benefit are where they can be counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.fusion.decisions import at_alert_rate, expected_calibration_error, net_benefit
from omnifuse.fusion.metrics import wilson


def test_calibration_error_of_two_groups() -> None:
    """Of 30 with .2 there are 6 positive, as said; of 10 with .6 there are 9: a quarter of the samples is .3 off."""
    p = np.repeat([0.2, 0.6], [30, 10])
    y = np.concatenate([np.arange(30) < 6, np.arange(10) < 9]).astype(float)
    assert expected_calibration_error(np.append(y, np.nan), np.append(p, 0.9)) == pytest.approx(0.3 / 4)


def test_calibration_error_forgives_what_evens_out_in_a_group() -> None:
    y, p = np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.4, 0.6, 0.7, 0.9])
    assert expected_calibration_error(y, p, groups=1) == pytest.approx(0.1)
    assert expected_calibration_error(y, p, groups=2) == pytest.approx(0.5 * 0.0 + 0.5 * 0.2)
    assert expected_calibration_error(y, p, groups=4) == pytest.approx((0.4 + 0.4 + 0.3 + 0.1) / 4)
    assert expected_calibration_error(np.full(2, np.nan), p[:2]) is None


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 999))
def test_the_order_of_the_samples_does_not_matter(count: int, distinct: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, p = rng.integers(0, 2, count).astype(float), rng.integers(0, distinct + 1, count) / distinct
    order = rng.permutation(count)
    assert expected_calibration_error(y[order], p[order]) == pytest.approx(expected_calibration_error(y, p))
    assert at_alert_rate(y[order], p[order]) == at_alert_rate(y, p)


def test_alerts_of_a_tenth() -> None:
    """Of 100 samples 20 are positive; the ten highest probabilities hold eight of them."""
    p = np.arange(100) / 100
    y = np.zeros(100)
    y[[*range(90, 98), *range(12)]] = 1
    found = at_alert_rate(np.append(y, np.nan), np.append(p, 0.99))
    assert found == {
        "rate": 0.1, "samples": 100, "alerts": 10, "threshold": 0.9,
        "sensitivity": 0.4, "sensitivity_ci": list(wilson(0.4, 20)),
        "positive_predictive_value": 0.8, "positive_predictive_value_ci": list(wilson(0.8, 10)),
    }  # fmt: skip


def test_equal_probabilities_alert_together_and_never_too_many() -> None:
    y, p = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.9, 0.5, 0.5, 0.1])
    assert [at_alert_rate(y, p, rate)["alerts"] for rate in (0.25, 0.5, 0.75, 1.0)] == [1, 1, 3, 4]


def test_without_alerts_or_positives_nothing_is_defined() -> None:
    constant = at_alert_rate(np.tile([0.0, 1.0], 10), np.full(20, 0.5))
    assert (constant["alerts"], constant["threshold"], constant["positive_predictive_value"]) == (0, None, None)
    assert constant["sensitivity"] == 0
    healthy = at_alert_rate(np.zeros(20), np.arange(20) / 20)
    assert (healthy["sensitivity"], healthy["positive_predictive_value"]) == (None, 0)


@pytest.mark.parametrize(("rate", "count"), [(0.07, 7), (0.29, 29)])
def test_the_number_of_alerts_is_exact(rate: float, count: int) -> None:
    assert at_alert_rate(np.zeros(100), np.arange(100.0), rate)["alerts"] == count


def test_net_benefit_of_four_samples() -> None:
    """At 1/4 a needless treatment costs a third: both positives and one negative of four are treated."""
    y, p = np.array([1.0, 1.0, 0.0, 0.0, np.nan]), np.array([0.9, 0.5, 0.25, 0.1, 0.9])
    model, everyone = net_benefit(y, p, np.array([0.25, 0.8]))
    assert model == pytest.approx([2 / 4 - 1 / 4 / 3, 1 / 4])
    assert everyone == pytest.approx([1 / 2 - 1 / 2 / 3, 1 / 2 - 1 / 2 * 4])


@given(st.integers(1, 40), st.integers(0, 999))
def test_below_every_probability_the_model_treats_all_and_above_none(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, p = rng.integers(0, 2, count).astype(float), rng.uniform(0.3, 0.6, count)
    model, everyone = net_benefit(y, p, np.array([0.1, 0.7]))
    assert model == pytest.approx([everyone[0], 0])
