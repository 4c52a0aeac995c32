"""Calibration of quantities and of predicted chances of an event, in tenths and at three times."""

import numpy as np
import pytest
from omnifuse.fusion.scores.horizons import auroc_at
from omnifuse.fusion.scores.outcome_agreement import (
    Samples,
    at_horizons,
    observed_expected,
    observed_expected_under_weights,
    of_quantities,
    reliability,
)
from omnifuse.fusion.scores.survival import SurvivalCurves

NAMES = np.repeat(["F", "M"], 100)
WHO = Samples(np.arange(200), np.arange(200) % 2, {"sex": NAMES})
TIMES = np.array([0.5, 1.0, 1.5, 2.0])


def exponential(seed: int, count: int = 200) -> tuple[np.ndarray, SurvivalCurves]:
    """Times of known rates, a third of them censored, and the true curves."""
    rng = np.random.default_rng(seed)
    rate = rng.exponential(1, count)[:, None] + 0.1
    time, limit = rng.exponential(1 / rate)[:, 0], rng.exponential(2, count)
    y = np.stack([np.minimum(time, limit), time <= limit], axis=1)
    return y, SurvivalCurves(TIMES, np.exp(-rate * TIMES))


def test_tenths_of_the_prediction_have_the_means_of_both() -> None:
    predicted = np.arange(200.0)[::-1]
    y = predicted + np.tile([1.0, 3.0], 100)
    y[:20] = np.nan  # those of the highest tenth
    found = reliability(y, predicted, np.arange(200))
    assert len(found) == 9
    assert [point["observed"] - point["predicted"] for point in found] == pytest.approx([2.0] * 9)
    assert all(point["low"] < point["observed"] < point["high"] for point in found)
    assert len(reliability(y[20:50], predicted[20:50], np.arange(30))) == 1  # no group of fewer than 20


def test_true_chances_are_calibrated_at_every_time_and_half_as_high_ones_are_not() -> None:
    y, curves = exponential(0, 6000)
    for at in at_horizons(y, curves, np.arange(6000), np.zeros(6000)):
        assert at["observed"] == pytest.approx(at["expected"], abs=0.02)
        held = [point["low"] <= point["predicted"] <= point["high"] for point in at["groups"]]
        assert len(held) == 10 and sum(held) >= 8
    late = SurvivalCurves(TIMES, np.sqrt(curves.survival))
    ratio = observed_expected(y, late, np.arange(6000))
    assert ratio.low > 1.8 and observed_expected(y, curves, np.arange(6000)).value == pytest.approx(1, abs=0.05)


def test_a_horizon_has_its_counts_and_the_mean_auroc_over_folds() -> None:
    y, curves = exponential(1)
    y[3] = np.nan
    first, *_ = at_horizons(y, curves, WHO.subjects, WHO.folds)
    each = [auroc_at(first["time"], y[WHO.folds == fold], curves[WHO.folds == fold], np.ones((1, 100)))[0]
            for fold in (0, 1)]  # fmt: skip
    assert first["auroc"] == pytest.approx(np.mean(each))
    assert first["auroc_ci"][0] < first["auroc"] < first["auroc_ci"][1]
    assert first["at_risk"] == (y[:, 0] >= first["time"]).sum()
    assert first["events"] == ((y[:, 0] <= first["time"]) & (y[:, 1] == 1)).sum()


def test_under_equal_weights_the_ratio_of_events_is_the_ratio_and_a_weight_counts_samples_twice() -> None:
    y, curves = exponential(2)
    weights = np.ones((2, 200))
    weights[1, :50] = 2
    once, twice = observed_expected_under_weights(y, curves, weights)
    assert once == pytest.approx(observed_expected(y, curves, WHO.subjects).value)
    rows = np.concatenate([np.arange(200), np.arange(50)])
    assert twice == pytest.approx(observed_expected(y[rows], curves[rows], rows).value)


def test_one_quantity_has_its_tenths_and_several_have_a_row_each() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(size=(200, 2))
    said = np.add(y, [[0.5, -1.0]])
    one = of_quantities(["los"], y[:, :1], said[:, :1], WHO)
    assert one["reliability"] == reliability(y[:, 0], said[:, 0], WHO.subjects)
    assert "per_label" not in one
    several = of_quantities(["los", "weight"], y, said, WHO)
    assert [(row["label"], row["mae"]) for row in several["per_label"]] == [
        ("los", pytest.approx(0.5)), ("weight", pytest.approx(1)),
    ]  # fmt: skip


def test_nobody_observed_so_long_says_nothing() -> None:
    y = np.stack([np.full(60, 0.4), np.zeros(60)], axis=1)
    curves = SurvivalCurves(TIMES, np.full((60, 4), 0.5))
    first, *_ = at_horizons(y, curves, np.arange(60), np.zeros(60))
    assert (first["observed"], first["auroc"], first["groups"], first["at_risk"]) == (None, None, [], 0)
    assert (first["events"], first["observed_expected"]) == (0, 0)
    assert first["events_expected"] == pytest.approx(60 * np.log(2) * 0.4 / 0.5)
    assert observed_expected(y, SurvivalCurves(TIMES, np.ones((60, 4))), np.arange(60)) is None


def test_where_the_healthiest_leave_first_true_curves_have_the_expected_events_and_another_mean_chance() -> None:
    """Censored at the rate of .5 over that of the event: who is left is ill, and not like everybody."""
    rng = np.random.default_rng(4)
    rate = rng.choice([0.1, 1.0], 20_000)[:, None]
    time, lost = rng.exponential(1 / rate)[:, 0], rng.exponential(2 * rate)[:, 0]
    y, curves = np.stack([np.minimum(time, lost), time <= lost], axis=1), SurvivalCurves(TIMES, np.exp(-rate * TIMES))
    for at in at_horizons(y, curves, np.arange(20_000), np.zeros(20_000)):
        low, high = at["observed_expected_ci"]
        assert low < 1 < high and high - low < 0.1
        assert at["events"] == pytest.approx(at["events_expected"] * at["observed_expected"])
        assert at["observed"] > 1.15 * at["expected"]
    double = SurvivalCurves(TIMES, curves.survival**2)
    assert observed_expected(y, double, np.arange(20_000)).value == pytest.approx(0.5, abs=0.02)


def test_expected_are_the_events_until_each_one_left_or_the_horizon_came() -> None:
    y = np.array([[0.5, 1], [1.0, 0], [9.0, 0], [np.nan, np.nan]])
    curves = SurvivalCurves(TIMES, np.exp(-np.array([[1.0], [2.0], [3.0], [4.0]]) * TIMES))
    ratio = observed_expected(y, curves, np.arange(4), when=1.5)
    assert ratio.value == pytest.approx(1 / (1 * 0.5 + 2 * 1.0 + 3 * 1.5))
