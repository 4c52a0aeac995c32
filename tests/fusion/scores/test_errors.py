"""Errors of quantities against scikit-learn and closed forms."""

import numpy as np
import pytest
from omnifuse.fusion.scores.errors import explained_variance, mean_absolute_error, root_mean_squared_error
from omnifuse.fusion.scores.measures import MAE, R2, RMSE
from sklearn.metrics import mean_absolute_error as sk_mae
from sklearn.metrics import r2_score
from sklearn.metrics import root_mean_squared_error as sk_rmse

ALL = ((mean_absolute_error, sk_mae), (root_mean_squared_error, sk_rmse), (explained_variance, r2_score))


def test_they_equal_scikit_learn_under_weights_and_leave_unknown_outcomes_out() -> None:
    rng = np.random.default_rng(0)
    y, predicted = 100 + rng.normal(size=(60, 3)), 100 + rng.normal(size=(60, 3))
    weights = np.stack([np.ones(60), rng.integers(0, 3, 60)])
    y[::7, 1] = np.nan
    for ours, theirs in ALL:
        for draw, weight in enumerate(weights):
            each = []
            for c in range(3):
                known = ~np.isnan(y[:, c])
                each.append(theirs(y[known, c], predicted[known, c], sample_weight=weight[known]))
            assert ours(y, predicted, weights)[draw] == pytest.approx(np.mean(each))


def test_errors_of_three_samples() -> None:
    y, predicted = np.array([[1.0], [2.0], [6.0]]), np.array([[1.0], [4.0], [2.0]])
    assert MAE.value(y, predicted) == pytest.approx(2)
    assert RMSE.value(y, predicted) == pytest.approx(np.sqrt(20 / 3))
    assert R2.value(y, predicted) == pytest.approx(1 - 20 / 14)


def test_who_guesses_predicts_the_mean() -> None:
    y = np.array([[1.0], [3.0], [np.nan], [5.0]])
    assert MAE.guessing(y) == pytest.approx(4 / 3) and RMSE.guessing(y) == pytest.approx(np.sqrt(8 / 3))
    assert R2.guessing(y) == 0 and R2.guessing(np.ones((3, 1))) is None
    assert MAE.guessing(np.full((2, 1), np.nan)) is None


def test_a_constant_outcome_has_errors_and_nothing_to_explain() -> None:
    y, predicted = np.full((4, 1), 0.1), np.full((4, 1), 0.3)
    assert MAE.value(y, predicted) == pytest.approx(0.2) and R2.value(y, predicted) is None
    two = np.concatenate([y, [[1.0], [2.0], [3.0], [4.0]]], axis=1)
    assert R2.value(two, two) == 1  # of the other outcome
    drawn = explained_variance(np.array([[0.0], [1.0]]), np.zeros((2, 1)), np.array([[2.0, 0.0], [1.0, 1.0]]))
    assert np.isnan(drawn[0]) and drawn[1] == pytest.approx(-1)


def test_large_offsets_cost_no_digits() -> None:
    y, predicted = np.array([[1.0], [2.0], [3.0]]), np.array([[1.5], [2.0], [3.5]])
    assert R2.value(y + 1e7, predicted + 1e7) == pytest.approx(R2.value(y, predicted), rel=1e-6)
