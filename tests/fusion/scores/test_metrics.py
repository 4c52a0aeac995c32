"""Measures against scikit-learn and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.fusion.scores import metrics
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 60), st.integers(1, 8), st.integers(0, 999))
def test_weighted_areas_equal_scikit_learn(count: int, distinct: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.append(rng.integers(0, 2, count), [0, 1]).astype(float)
    score = rng.integers(0, distinct, len(y)) / distinct  # many ties
    weights = rng.integers(0, 4, (3, len(y))).astype(float)
    weights[:, -2:] = 1
    area, precision = metrics.weighted_areas(y, score, weights)
    for draw in range(3):
        assert area[draw] == pytest.approx(roc_auc_score(y, score, sample_weight=weights[draw]))
        assert precision[draw] == pytest.approx(average_precision_score(y, score, sample_weight=weights[draw]))


def test_a_draw_without_one_class_has_no_area() -> None:
    area, precision = metrics.weighted_areas(
        np.array([0.0, 1.0]), np.array([0.2, 0.8]), np.array([[1.0, 0.0], [0.0, 1.0]])
    )
    assert np.isnan(area).all() and np.isnan(precision).all()


def test_one_class_gives_none_and_unknown_labels_do_not_count() -> None:
    y, p = np.array([0.0, 0.0, np.nan]), np.array([0.1, 0.2, 0.9])
    assert metrics.auroc(y, p) is None and metrics.auprc(y, p) is None
    assert metrics.auroc(np.array([0, 1, np.nan]), p) == 1
    assert metrics.score(np.stack([y, [0, 1, np.nan]], 1), np.stack([p, p], 1)).auroc == 1


def test_macro_over_labels_is_their_mean() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, (50, 3)).astype(float), rng.random((50, 3))
    scores = metrics.score(y, p)
    assert scores.auroc == pytest.approx(roc_auc_score(y, p, average="macro"))
    assert scores.auprc == pytest.approx(average_precision_score(y, p, average="macro"))


def test_log_loss_and_brier() -> None:
    y, p = np.array([[1.0], [0.0], [np.nan]]), np.array([[0.8], [0.4], [0.5]])
    assert metrics.log_loss("binary", y, p) == pytest.approx(log_loss([1, 0], [0.8, 0.4]))
    assert metrics.brier("binary", y, p) == pytest.approx((0.04 + 0.16) / 2)
    classes, chances = np.array([[2.0], [0.0]]), np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
    assert metrics.log_loss("multiclass", classes, chances) == pytest.approx(-np.log([0.7, 0.5]).mean())
    assert metrics.brier("multiclass", classes, chances) == pytest.approx((0.14 + 0.38) / 2)


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def test_calibration_of_two_groups_has_closed_forms() -> None:
    """Of 200 patients with risk 0.2 and of 200 with 0.6 there are 10 % and 80 % positive."""
    p = np.repeat([0.2, 0.6], 200)
    y = np.concatenate([np.arange(200) < 20, np.arange(200) < 160]).astype(float)
    found = metrics.calibration(np.append(y, np.nan), np.append(p, 0.9))
    assert found["slope"] == pytest.approx((logit(0.8) - logit(0.1)) / (logit(0.6) - logit(0.2)))


def test_the_intercept_is_the_shift_that_makes_the_mean_right() -> None:
    found = metrics.calibration((np.arange(100) < 30).astype(float), np.full(100, 0.1))
    assert found["intercept"] == pytest.approx(logit(0.3) - logit(0.1))
    assert found["slope"] is None  # one risk for all says nothing about the slope


def test_true_probabilities_are_calibrated_and_extreme_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(-1, 1, 20_000)
    y = (rng.random(20_000) < 1 / (1 + np.exp(-x))).astype(float)
    good, extreme = (metrics.calibration(y, 1 / (1 + np.exp(-factor * x))) for factor in (1, 2))
    assert [good[name] for name in ("slope", "intercept")] == pytest.approx([1, 0], abs=0.05)
    assert extreme["slope"] == pytest.approx(good["slope"] / 2)


def test_one_class_alone_has_neither_slope_nor_intercept() -> None:
    for y in (np.zeros(4), np.full(4, np.nan)):
        assert metrics.calibration(y, np.full(4, 0.5)) == {"slope": None, "intercept": None}


def test_separated_classes_have_no_slope() -> None:
    found = metrics.calibration(np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.4, 1.0]))
    assert found["slope"] is None and np.isfinite(found["intercept"])


def test_measures_are_all_four() -> None:
    y, p = np.array([[1.0], [0.0], [0.0]]), np.array([[0.8], [0.4], [0.9]])
    found = metrics.measures("binary", y, p)
    assert tuple(found) == metrics.MEASURES
    assert found["auroc"] == 0.5 and found["brier"] == metrics.brier("binary", y, p)
