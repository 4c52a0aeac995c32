"""Any fusion method as a classifier of scikit-learn."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ...cache_schema import InputError
from ..inputs.batches import Cohort
from ..inputs.splits import Split
from .base import FusionEstimator
from .labels import read_labels
from .samples import Samples


class FusionClassifier(ClassifierMixin, FusionEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """A fusion method, fitted to samples in memory by the same code that trains on a cache.

    It is fitted to all rows that it is given. Only what the method chooses (``chooses``), or a search, is chosen by a
    part of them that is set aside, whole groups.

    Attributes
    ----------
    classes_
        The classes, [C]; of several labels their numbers.
    model_, config_
        The fitted model, and all settings that it was fitted with.
    """

    def fit(self, X: Samples, y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Self:
        """Fit the method.

        Parameters
        ----------
        X : N samples, as `Samples` says; those that lack every modality are left out
        y : [N] classes, any that can be hashed, or [N, C] labels of 0, 1 and NaN for unknown
        groups : [N] to whom each sample belongs, such as a patient; whoever trains does not validate as well

        Raises
        ------
        InputError
            For anything that does not fit, or an unknown method, preset or setting.
        """
        config = self._config()
        sources = self._sources(X, fitting=True)
        labels, known = read_labels(y)
        self._train(config, sources, labels.task(known), groups)
        self.labels_, self.classes_ = labels, labels.classes
        return self

    def predict_proba(self, X: Samples) -> npt.NDArray[np.float32]:
        """Return the probability of each class, or of each of several labels, [N, C].

        A sample that lacks every modality gets the frequencies of the training.

        Raises
        ------
        InputError
            If X has not the modalities and columns that the method was fitted on.
        """
        check_is_fitted(self)
        return self.labels_.probabilities(self._said(X, self.labels_.width, self.labels_.task))

    def predict(self, X: Samples) -> npt.NDArray[Any]:
        """Return the most probable class of each sample [N]; of several labels those more probable than not, [N, C]."""
        probability = self.predict_proba(X)
        return self.labels_.decide(probability)

    def _check(self, cohort: Cohort, split: Split) -> None:
        super()._check(cohort, split)
        if cohort.task.kind != "multilabel" and len(np.unique(cohort.y)) < 2:
            raise InputError("All samples of X that have a modality are of one class; two at least are needed.")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_label = True
        return tags
