"""Areas under weights against scikit-learn, and influences against the derivative by a weight."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.fusion.scores import metrics
from omnifuse.fusion.scores.areas import AUPRC, AUROC
from sklearn.metrics import average_precision_score, roc_auc_score


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 60), st.integers(1, 8), st.integers(0, 999))
def test_weighted_areas_equal_scikit_learn(count: int, distinct: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.append(rng.integers(0, 2, count), [0, 1]).astype(float)
    score = rng.integers(0, distinct, len(y)) / distinct  # many ties
    weights = rng.integers(0, 4, (3, len(y))).astype(float)
    weights[:, -2:] = 1
    area, precision = (found.under_weights(y, score, weights) for found in (AUROC, AUPRC))
    for draw in range(3):
        assert area[draw] == pytest.approx(roc_auc_score(y, score, sample_weight=weights[draw]))
        assert precision[draw] == pytest.approx(average_precision_score(y, score, sample_weight=weights[draw]))


def test_a_draw_without_one_class_has_no_area() -> None:
    y, score, weights = np.array([0.0, 1.0]), np.array([0.2, 0.8]), np.array([[1.0, 0.0], [0.0, 1.0]])
    assert np.isnan(AUROC.under_weights(y, score, weights)).all()
    assert np.isnan(AUPRC.under_weights(y, score, weights)).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 40), st.integers(1, 9), st.integers(0, 999))
def test_an_influence_is_the_derivative_by_a_weight(count: int, distinct: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.append(rng.integers(0, 2, count), [0, 1]).astype(float)
    score = rng.integers(0, distinct + 1, len(y)) / distinct
    step = 1e-5 * np.eye(len(y))
    for area, of_label in ((AUROC, metrics.auroc), (AUPRC, metrics.auprc)):
        more, less = (area.under_weights(y, score, 1 + sign * step) for sign in (1, -1))
        value, moved = area.influence(y, score)
        assert value == pytest.approx(of_label(y, score))
        np.testing.assert_allclose(moved, (more - less) / 2e-5, atol=1e-7)
