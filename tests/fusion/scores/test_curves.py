"""Scores and curves against values that can be computed by hand."""

import numpy as np
import pytest
from omnifuse.fusion.scores import curves as scores

Y = np.array([1.0, 0.0, 1.0, 0.0])
P = np.array([0.9, 0.8, 0.7, 0.1])


def test_roc_of_four_samples() -> None:
    false_positive, true_positive = scores.roc_points(Y, P)
    points = set(zip(false_positive.tolist(), true_positive.tolist(), strict=True))
    assert {(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)} <= points
    assert np.trapezoid(true_positive, false_positive) == pytest.approx(0.75)
    assert scores.auroc(Y, P) == pytest.approx(0.75)  # three of four pairs in the right order


def test_average_precision_of_four_samples() -> None:
    assert scores.auprc(Y, P) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    recall, precision = scores.precision_recall_points(Y, P)
    assert {(0.5, 1.0), (1.0, 2 / 3)} <= set(zip(recall.tolist(), precision.tolist(), strict=True))


def test_log_loss_and_brier_of_one_half() -> None:
    half = np.full(4, 0.5)
    assert scores.log_loss(Y, half) == pytest.approx(np.log(2))
    assert scores.brier(Y, half) == pytest.approx(0.25)


def test_certain_and_wrong_is_finite() -> None:
    assert scores.log_loss(np.array([1.0]), np.array([0.0])) == pytest.approx(-np.log(1e-7))


def test_unknown_labels_and_probabilities_change_nothing() -> None:
    y, p = np.append(Y, [np.nan, 1.0]), np.append(P, [0.3, np.nan])
    for score in (scores.auroc, scores.auprc, scores.log_loss, scores.brier):
        assert score(y, p) == score(Y, P)


def test_one_class_has_no_area() -> None:
    ones = np.ones(4)
    assert scores.auroc(ones, P) is None
    assert scores.auprc(ones, P) is None
    assert len(scores.roc_points(ones, P)[0]) == len(scores.precision_recall_points(ones, P)[0]) == 0


def test_macro_auroc_leaves_out_labels_with_one_class() -> None:
    y, p = np.stack([Y, np.ones(4), 1 - Y], axis=1), np.stack([P, P, P], axis=1)
    fold = np.zeros(4)
    assert scores.macro_auroc(y, p, fold) == pytest.approx((0.75 + 0.25) / 2)
    assert scores.macro_auroc(np.ones((4, 2)), p[:, :2], fold) is None


def test_macro_auroc_is_the_mean_over_folds_that_have_both_classes() -> None:
    y, p = np.concatenate([Y, 1 - Y, np.ones(2)])[:, None], np.concatenate([P, P / 10, [0.5, 0.6]])[:, None]
    assert scores.macro_auroc(y, p, np.repeat([0.0, 1.0, 2.0], [4, 4, 2])) == pytest.approx((0.75 + 0.25) / 2)
    assert scores.macro_auroc(y, p, np.full(10, np.nan)) == scores.auroc(y[:, 0], p[:, 0])


def test_known_rates_leave_out_unknown_labels() -> None:
    y = np.array([[1.0, np.nan, np.nan], [0.0, 1.0, np.nan]])
    np.testing.assert_allclose(scores.known_rates(y), [0.5, 1.0])
