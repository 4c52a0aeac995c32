"""Gradient boosting on pooled features, whatever modalities are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from ..parts.feature_table import Array
from . import stored_trees
from .forests import Forests


class Boosting(Forests[stored_trees.Trees]):
    """Histogram gradient boosting of scikit-learn: early fusion of everything in one table.

    A time series gives its statistics, features themselves, token and image embeddings their mean. What is unknown
    stays unknown. By default each combination of modalities has a model of its own, fitted to the training samples that
    have it, whatever else they have; a sample is predicted by the model of the most modalities that it has. Otherwise
    one model predicts all samples, to which the columns of missing modalities are unknown like any other.

    Of a time to an event it learns the hazards of all intervals at once: the table has a row for each interval that a
    sample lived into, and the number of the interval as its last column.
    """

    name = "boosting"
    family = "trees"
    source = "HistGradientBoosting of scikit-learn; the settings were chosen on PhysioNet 2012 set-a"
    cost = 3.0
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.rounds": ("150", "300", "450"),
        "options.learning_rate": ("0.02", "0.03", "0.05"),
        "options.leaves": ("4", "8", "16"),
        "options.columns": ("0.1", "0.2", "0.5"),
    }

    @dataclass(frozen=True)
    class Options(Forests.Options):
        """Settings of the boosting."""

        rounds: int = 300
        """Trees."""
        learning_rate: float = 0.03
        """Share of each tree's answer that counts."""
        leaves: int = 8
        """Most leaves of a tree."""
        samples_per_leaf: int = 30
        """Fewest samples in a leaf."""
        l2: float = 5.0
        """Ridge of the leaves' answers."""
        columns: float = 0.2
        """Share of the columns that a split may choose from."""
        bins: int = 64
        """Most different values of a column that are told apart."""

    options: Options
    dump = staticmethod(stored_trees.dump_trees)
    load = staticmethod(stored_trees.load_trees)

    def grow(self, features: Array, y: Array, seed: int) -> stored_trees.Trees:
        """Fit trees to features [n, F] and labels [n]."""
        o = self.options
        kind = HistGradientBoostingRegressor if self.target.kind == "regression" else HistGradientBoostingClassifier
        model: stored_trees.Trees = kind(
            max_iter=o.rounds, learning_rate=o.learning_rate, max_leaf_nodes=o.leaves, early_stopping=False,
            min_samples_leaf=o.samples_per_leaf, l2_regularization=o.l2, max_features=o.columns, max_bins=o.bins,
            random_state=seed,
        )  # fmt: skip
        table = np.where(np.isnan(features).all(0), 0.0, features)  # scikit-learn fails where a column is never known
        fitted: stored_trees.Trees = model.fit(table, y)
        return fitted

    def classes_of(self, model: stored_trees.Trees) -> npt.NDArray[np.int64]:
        """Return the classes that a model of several knows."""
        known: npt.NDArray[np.int64] = model.classes_.astype(np.int64)
        return known

    def fits(self, model: stored_trees.Trees, columns: int) -> bool:
        """Return whether a stored model is one of this target and of so many columns."""
        if model.n_features_in_ != columns:
            return False
        if isinstance(model, HistGradientBoostingRegressor):
            return self.target.kind == "regression"
        return self.target.kind != "regression" and model.classes_[-1] < max(2, self.target.output_size)

    def ask(self, model: stored_trees.Trees, features: Array) -> Array:
        """Return log-odds or values [n], or log-chances [n, C] of the classes that the model knows."""
        if self.target.kind == "multiclass":
            with np.errstate(divide="ignore"):
                chances: Array = np.log(model.predict_proba(features))
            return chances
        said = model.predict if isinstance(model, HistGradientBoostingRegressor) else model.decision_function
        answer: Array = said(features)
        return answer
