"""Measures against scikit-learn and closed forms."""

import numpy as np
import pytest
from omnifuse.fusion.scores import metrics
from omnifuse.fusion.scores.measures import AUPRC, AUROC
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score


def test_one_class_gives_none_and_unknown_labels_do_not_count() -> None:
    y, p = np.array([0.0, 0.0, np.nan]), np.array([0.1, 0.2, 0.9])
    assert metrics.auroc(y, p) is None and metrics.auprc(y, p) is None
    assert metrics.auroc(np.array([0, 1, np.nan]), p) == 1
    assert AUROC.value(np.stack([y, [0, 1, np.nan]], 1), np.stack([p, p], 1)) == 1


def test_macro_over_labels_is_their_mean() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, (50, 3)).astype(float), rng.random((50, 3))
    assert AUROC.value(y, p) == pytest.approx(roc_auc_score(y, p, average="macro"))
    assert AUPRC.value(y, p) == pytest.approx(average_precision_score(y, p, average="macro"))


def test_log_loss_and_brier() -> None:
    y, p = np.array([[1.0], [0.0], [np.nan]]), np.array([[0.8], [0.4], [0.5]])
    assert metrics.log_loss(y, p) == pytest.approx(log_loss([1, 0], [0.8, 0.4]))
    assert metrics.brier(y, p) == pytest.approx((0.04 + 0.16) / 2)
    classes, chances = np.array([[2.0], [0.0]]), np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
    assert metrics.log_loss(classes, chances) == pytest.approx(-np.log([0.7, 0.5]).mean())
    assert metrics.brier(classes, chances) == pytest.approx((0.14 + 0.38) / 2)


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


def test_one_half_for_everybody_has_closed_forms() -> None:
    y, half = np.array([[1.0], [0.0], [1.0], [0.0]]), np.full((4, 1), 0.5)
    assert metrics.log_loss(y, half) == pytest.approx(np.log(2))
    assert metrics.brier(y, half) == pytest.approx(0.25)


def test_certain_and_wrong_is_finite() -> None:
    assert metrics.log_loss(np.ones((1, 1)), np.zeros((1, 1))) == pytest.approx(-np.log(1e-7))


def test_without_a_known_label_no_loss_is_defined() -> None:
    assert metrics.log_loss(np.full((2, 1), np.nan), np.full((2, 1), 0.5)) is None
    assert metrics.brier(np.full((2, 1), np.nan), np.full((2, 3), 0.5)) is None


def test_areas_of_four_samples() -> None:
    y, p = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.9, 0.8, 0.7, 0.1])
    assert metrics.auroc(y, p) == pytest.approx(0.75)  # three of four pairs in the right order
    assert metrics.auprc(y, p) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_samples_of_no_fold_are_a_part_of_their_own() -> None:
    masks = metrics.fold_masks(np.array([2.0, np.nan, 0.0, 2.0, np.nan]))
    assert [np.flatnonzero(mask).tolist() for mask in masks] == [[1, 4], [2], [0, 3]]
