"""The place of regression among the estimators."""

from __future__ import annotations

from typing import NoReturn

import numpy.typing as npt
from sklearn.base import RegressorMixin

from ...cache_schema import InputError
from .base import FusionEstimator
from .samples import Samples


class FusionRegressor(RegressorMixin, FusionEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """A fusion method that would predict a quantity; none can yet, and :meth:`fit` says so."""

    def fit(self, X: Samples, y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> NoReturn:  # noqa: ARG002
        """Refuse.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            "No method predicts a quantity yet: make classes of y, such as low and high, and fit a FusionClassifier."
        )
