"""Curves against values that can be computed by hand."""

import numpy as np
import pytest
from omnifuse.fusion.scores import curves as scores
from omnifuse.fusion.scores.metrics import auprc, auroc, brier, log_loss

Y = np.array([1.0, 0.0, 1.0, 0.0])
P = np.array([0.9, 0.8, 0.7, 0.1])


def test_roc_of_four_samples() -> None:
    false_positive, true_positive = scores.roc_points(Y, P)
    points = set(zip(false_positive.tolist(), true_positive.tolist(), strict=True))
    assert {(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)} <= points
    assert np.trapezoid(true_positive, false_positive) == pytest.approx(0.75)


def test_precision_and_recall_of_four_samples() -> None:
    recall, precision = scores.precision_recall_points(Y, P)
    assert {(0.5, 1.0), (1.0, 2 / 3)} <= set(zip(recall.tolist(), precision.tolist(), strict=True))


def test_unknown_labels_and_probabilities_change_nothing() -> None:
    y, p = np.append(Y, [np.nan, 1.0]), np.append(P, [0.3, np.nan])
    for points in (scores.roc_points, scores.precision_recall_points):
        np.testing.assert_array_equal(points(y, p), points(Y, P))
    known = scores.known_labels(y, p)
    for area in (auroc, auprc):
        assert area(known, p) == area(Y, P)
    for loss in (log_loss, brier):
        assert loss(known[:, None], p[:, None]) == pytest.approx(loss(Y[:, None], P[:, None]))


def test_one_class_has_no_curves() -> None:
    ones = np.ones(4)
    assert scores.has_both_outcomes(Y, P) and not scores.has_both_outcomes(ones, P)
    assert not scores.has_both_outcomes(Y, np.where(Y == 0, P, np.nan))
    assert len(scores.roc_points(ones, P)[0]) == len(scores.precision_recall_points(ones, P)[0]) == 0


def test_known_rates_leave_out_unknown_labels() -> None:
    y = np.array([[1.0, np.nan, np.nan], [0.0, 1.0, np.nan]])
    np.testing.assert_allclose(scores.known_rates(y), [0.5, 1.0])
