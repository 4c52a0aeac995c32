"""Any fusion method as a classifier of scikit-learn."""

from __future__ import annotations

from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ...cache_schema import InputError
from ...progress import progress
from ..inputs.batches import Cohort
from ..inputs.preparation import prepare
from ..inputs.splits import Split, cut, strata
from ..runs.plan import validation_share
from ..training import loop as training
from ..training.config import TrainConfig
from ..training.folds import fit_model, torch_threads
from .base import FusionEstimator
from .labels import read_labels
from .samples import Samples, Shape, cohort_of, like


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
        everyone = cohort_of(labels.task(known), sources, groups)
        usable = everyone.presence.any(axis=1) & ~np.isnan(known).all(axis=1)
        if not usable.any():
            raise InputError("No sample of X has both a modality and a known label.")
        if labels.kind != "multilabel" and len(np.unique(known[usable])) < 2:
            raise InputError("All samples of X that have a modality are of one class; two at least are needed.")
        cohort = everyone.take(np.flatnonzero(usable))
        config.method_class.check(cohort.modalities)
        show = partial(progress, name=config.method, leave=False) if self.verbose else iter
        with torch_threads(config.threads):
            prepared = prepare(cohort, config.encoder)
            model, *_ = fit_model(cohort, prepared, _split(cohort, config), 0, config, show)
        self.model_, self.config_, self.labels_, self.classes_ = model, config, labels, labels.classes
        self.shapes_ = {name: Shape.of(source) for name, source in sources.items()}
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
        sources = like(self._sources(X, fitting=False), self.shapes_)
        number = len(next(iter(sources.values())).rows)
        cohort = cohort_of(self.labels_.task(np.full((number, self.labels_.width), np.nan, np.float32)), sources)
        with torch_threads(self.config_.threads):
            inputs = self.model_.inputs(cohort, prepare(cohort, self.config_.encoder))
            samples = torch.arange(number, device=self.config_.device)
            found = training.probabilities(self.model_.method, inputs, samples).numpy()
        return self.labels_.probabilities(found)

    def predict(self, X: Samples) -> npt.NDArray[Any]:
        """Return the most probable class of each sample [N]; of several labels those more probable than not, [N, C]."""
        probability = self.predict_proba(X)
        return self.labels_.decide(probability)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_label = True
        return tags


def _split(cohort: Cohort, config: TrainConfig) -> Split:
    """Return everybody to train on, but those who are needed to choose by; nobody to test."""
    everyone, labels = np.arange(len(cohort)), strata(cohort.y, cohort.task.kind)
    share, rng = validation_share(config), np.random.default_rng(config.seed)
    train, held_out = cut(everyone, cohort.subject_id, labels, share, rng)
    return Split(train, held_out, everyone[:0])
