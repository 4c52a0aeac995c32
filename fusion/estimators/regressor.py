"""Any fusion method that predicts quantities as a regressor of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ...cache_schema import InputError, Task
from ..inputs.batches import Cohort
from ..inputs.splits import Split
from .base import FusionEstimator
from .labels import read_quantities
from .samples import Samples


class FusionRegressor(RegressorMixin, FusionEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """A fusion method that predicts quantities, fitted to samples in memory by the same code that trains on a cache.

    It is fitted to all rows that it is given. Only what the method chooses (``chooses``), or a search, is chosen by a
    part of them that is set aside, whole groups. Not every method predicts quantities; OmniFuse does not.

    Attributes
    ----------
    model_, config_
        The fitted model, and all settings that it was fitted with.
    """

    def __init__(
        self,
        method: str | None = "concat",
        *,
        preset: str = "default",
        settings: Mapping[str, Any] | None = None,
        modalities: Mapping[str, Sequence[int | str]] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            method,
            preset=preset,
            settings=settings,
            modalities=modalities,
            random_state=random_state,
            verbose=verbose,
        )

    def fit(self, X: Samples, y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Self:
        """Fit the method.

        Parameters
        ----------
        X : N samples, as `Samples` says; those that lack every modality are left out
        y : [N] quantities, or [N, C] several of them; of several some may be NaN for unknown
        groups : [N] to whom each sample belongs, such as a patient; whoever trains does not validate as well

        Raises
        ------
        InputError
            For anything that does not fit, a method that predicts no quantity, or an unknown preset or setting.
        """
        config = self._config()
        sources = self._sources(X, fitting=True)
        known, self._single = read_quantities(y)
        self.outcomes_ = known.shape[1]
        self._train(config, sources, self._task(known), groups)
        return self

    def predict(self, X: Samples) -> npt.NDArray[Any]:
        """Return the predicted quantities in the unit of y, shaped like it: [N], or [N, C] of several.

        A sample that lacks every modality gets the mean of the training.

        Raises
        ------
        InputError
            If X has not the modalities and columns that the method was fitted on.
        """
        check_is_fitted(self)
        said = self._said(X, self.outcomes_, self._task).astype(np.float64)  # as regressors of scikit-learn do
        return said[:, 0] if self._single else said

    def _check(self, cohort: Cohort, split: Split) -> None:
        if len(cohort) < 2:
            raise InputError("There is 1 sample of X with a modality; two at least are needed.")
        super()._check(cohort, split)

    def _task(self, y: npt.NDArray[np.float32]) -> Task:
        labels = tuple(f"y{number}" for number in range(y.shape[1])) if y.shape[1] > 1 else ("y",)
        return Task("y", "regression", labels, y)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags
