"""A method that predicts quantities among the estimators of scikit-learn."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from omnifuse.cache_schema import InputError
from omnifuse.fusion.estimators import FusionRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 3)).astype(np.float32)
LAW = X @ np.array([2.0, -1.0, 0.5]) + 40


# Some skip themselves: arrays of other libraries have to be asked for.
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([FusionRegressor("logistic")])
def test_scikit_learn_takes_it_for_one_of_its_own(estimator: FusionRegressor, check: Callable[..., None]) -> None:
    check(estimator)


def test_a_linear_law_is_found_in_its_own_unit() -> None:
    model = FusionRegressor("logistic").fit(X[:150], LAW[:150])
    assert model.score(X[150:], LAW[150:]) > 0.95  # columns are read as normal scores, next to linear
    assert np.abs(model.predict(X[150:]) - LAW[150:]).mean() < 0.1 * LAW.std() + 0.1


def test_a_sample_without_modalities_gets_the_mean_of_the_training() -> None:
    model = FusionRegressor("logistic").fit({"labs": X}, LAW)
    nothing = model.predict({"labs": np.full((1, 3), np.nan)})
    np.testing.assert_allclose(nothing, LAW.mean(), rtol=1e-5)


def test_several_quantities_keep_their_units_and_some_may_be_unknown() -> None:
    both = np.stack([LAW, -1000 * LAW], axis=1)
    both[::3, 1] = np.nan
    said = FusionRegressor("logistic").fit(X, both).predict(X)
    np.testing.assert_allclose(said[:, 0], LAW, atol=1)
    np.testing.assert_allclose(said[:, 1], -1000 * LAW, atol=1000)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.where(np.arange(200) == 3, np.inf, LAW), r"y\[3\] is inf; expected quantities"),
        (np.where(np.arange(200) == 4, 1e39, LAW), r"y\[4\] is 1e\+39; expected quantities"),
        (np.full(200, 7.0), "every known value of 'y' is 7; nothing can be learnt"),
        (["low"] * 200, "y is 'low', …; expected quantities, all of them numbers"),
        (None, "requires y to be passed"),
    ],
)
def test_what_is_no_quantity_is_refused(y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FusionRegressor().fit(X, y)


def test_a_method_of_probabilities_is_refused_with_those_that_serve() -> None:
    with pytest.raises(
        InputError, match=r"'omnifuse' predicts binary.*and no regression; methods that do are .*concat"
    ):
        FusionRegressor("omnifuse").fit(X, LAW)
