"""What alerts, calibration error and net benefit are where they can be counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.fusion.scores.decisions import at_alert_rate, expected_calibration_error, net_benefit
from omnifuse.fusion.scores.intervals import share, wilson


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
    subjects = np.arange(count) // 2
    mixed, found = at_alert_rate(y[order], p[order], subjects[order]), at_alert_rate(y, p, subjects)
    for name, value in found.items():
        assert mixed[name] == pytest.approx(value)


def test_alerts_of_a_tenth() -> None:
    """Of 100 samples 20 are positive; the ten highest probabilities hold eight of them."""
    p = np.arange(100) / 100
    y = np.zeros(100)
    y[[*range(90, 98), *range(12)]] = 1
    found = at_alert_rate(np.append(y, np.nan), np.append(p, 0.99), np.arange(101))
    expected = {
        "sensitivity": wilson(0.4, 19), "specificity": wilson(78 / 80, 79), "positive_predictive_value": wilson(0.8, 9)
    }  # fmt: skip
    assert {name: found[name] for name in ("rate", "samples", "alerts", "threshold")} == {
        "rate": 0.1, "samples": 100, "alerts": 10, "threshold": 0.9
    }  # fmt: skip
    for name, one in expected.items():
        assert [found[name], *found[f"{name}_ci"]] == pytest.approx([one.value, *one.ci])


def test_the_interval_of_alerts_counts_patients() -> None:
    """Ten samples a patient, all alike: the interval is that of a tenth of the samples."""
    y, p, subjects = np.tile([1.0, 0.0, 0.0, 0.0, 1.0], 20), np.arange(100) / 100, np.arange(100)
    alike = at_alert_rate(*(np.repeat(column, 10) for column in (y, p, subjects)))
    assert alike["sensitivity_ci"] == pytest.approx(share((p > 0.89)[y == 1], subjects[y == 1]).ci)


def test_equal_probabilities_alert_together_and_never_too_many() -> None:
    y, p = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.9, 0.5, 0.5, 0.1])
    assert [at_alert_rate(y, p, np.arange(4), rate)["alerts"] for rate in (0.25, 0.5, 0.75, 1.0)] == [1, 1, 3, 4]


def test_without_alerts_or_positives_nothing_is_defined() -> None:
    constant = at_alert_rate(np.tile([0.0, 1.0], 10), np.full(20, 0.5), np.arange(20))
    assert (constant["alerts"], constant["threshold"], constant["positive_predictive_value"]) == (0, None, None)
    assert constant["sensitivity"] == 0
    healthy = at_alert_rate(np.zeros(20), np.arange(20) / 20, np.arange(20))
    assert (healthy["sensitivity"], healthy["positive_predictive_value"]) == (None, 0)


@pytest.mark.parametrize(("rate", "count"), [(0.07, 7), (0.29, 29)])
def test_the_number_of_alerts_is_exact(rate: float, count: int) -> None:
    assert at_alert_rate(np.zeros(100), np.arange(100.0), np.arange(100), rate)["alerts"] == count


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
