"""Measures against scikit-learn, closed forms and themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.fusion import metrics
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


def test_the_interval_holds_the_value_and_follows_the_seed() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random((400, 1)) < 0.3).astype(float)
    p = np.clip(y * 0.2 + rng.random((400, 1)) * 0.8, 0, 1)
    first, again = (metrics.bootstrap(y, p, np.arange(400) // 2, seed=1) for _ in range(2))
    assert first == again
    for name, value in (("auroc", metrics.auroc(y[:, 0], p[:, 0])), ("auprc", metrics.auprc(y[:, 0], p[:, 0]))):
        low, high = first[name]
        assert low < value < high


def test_subjects_are_drawn_whole() -> None:
    """Twenty copies of each patient add nothing: the interval stays that of the patients."""
    rng = np.random.default_rng(0)
    y, p = (rng.random((60, 1)) < 0.5).astype(float), rng.random((60, 1))
    once = metrics.bootstrap(y, p, np.arange(60), seed=0)["auroc"]
    copied = metrics.bootstrap(np.repeat(y, 20, 0), np.repeat(p, 20, 0), np.repeat(np.arange(60), 20), seed=0)["auroc"]
    assert copied == pytest.approx(once)


def test_no_interval_where_one_class_is_all() -> None:
    assert metrics.bootstrap(np.zeros((5, 1)), np.zeros((5, 1)), np.arange(5), seed=0) == {"auroc": None, "auprc": None}
