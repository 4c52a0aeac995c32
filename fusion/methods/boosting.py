"""Gradient boosting on pooled features, whatever modalities are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.combinations import combination_table, largest_within
from ..parts.completion.patterns import sample_patterns
from ..parts.pooled import pooled_vectors
from ..parts.targets import KINDS
from .base import Method, ModelSpec, Prediction
from .stored_trees import Models, Trees, dump_trees, load_trees

if TYPE_CHECKING:
    from .fitting import Fitting

Array = npt.NDArray[np.floating[Any]]


class Forest(nn.Module):
    """The models of one combination of modalities; stored ones are read when they are first asked, which takes long.

    ``models``: one per label or quantity, or one of all classes or all intervals of time; None where only one outcome
    occurred.
    """

    def __init__(self) -> None:
        super().__init__()
        self.models: Models = []
        self._stored: bytes | None = None

    def read(self) -> Models:
        """Return the models; raises InputError if anything but trees was stored."""
        if self._stored is not None:
            self.models, self._stored = load_trees(self._stored), None
        return self.models

    def get_extra_state(self) -> Tensor:
        """Return the models as bytes of skops, uint8 [n]."""
        stored = self._stored or dump_trees(self.models)
        return torch.frombuffer(bytearray(stored), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the bytes of :meth:`get_extra_state`."""
        self._stored = state.cpu().numpy().tobytes()


@dataclass(frozen=True)
class FeatureTable:
    """Training samples: ``pooled`` M tables [n, F], NaN where unknown, ``present`` bool [n, M], and ``y`` [n, C]."""

    pooled: list[Array]
    present: Tensor
    y: Array

    def with_copies(self, generator: torch.Generator) -> FeatureTable:
        """Add a copy of each sample of several modalities, which shows a random non-empty proper part of them."""
        shown = sample_patterns(self.present, generator, dropout=1.0, patterns="proper")
        copied = (shown != self.present).any(1).numpy()
        pooled = [
            np.concatenate([table, np.where(kept[:, None], table, np.nan)[copied]])
            for table, kept in zip(self.pooled, shown.T.numpy(), strict=True)
        ]
        present = torch.cat([self.present, shown[torch.from_numpy(copied)]])
        return FeatureTable(pooled, present, np.concatenate([self.y, self.y[copied]]))


class Boosting(Method):
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
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "masked": ("options.missing=masked",),
        "native": ("options.missing=native",),
    }
    kinds = KINDS
    by_gradient = False
    needs = "pooled"
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.rounds": ("150", "300", "450"),
        "options.learning_rate": ("0.02", "0.03", "0.05"),
        "options.leaves": ("4", "8", "16"),
        "options.columns": ("0.1", "0.2", "0.5"),
    }

    @dataclass(frozen=True)
    class Options:
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
        missing: Literal["per_combination", "masked", "native"] = "per_combination"
        """A model for each combination of modalities; or one model, fitted to the samples and to a copy of each that
        shows only a random part of its modalities, or to the samples alone."""

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        # [C, M] bool: whose columns each model reads, and what a sample must have for it
        self.combinations = combination_table(len(spec.inputs))
        self.required = self.combinations
        if self.options.missing != "per_combination":
            self.combinations = torch.ones(1, len(spec.inputs), dtype=torch.bool)
            self.required = ~self.combinations
        self.forests = nn.ModuleList(Forest() for _ in self.combinations)

    def fit(self, fitting: Fitting) -> None:
        """Fit all models to the training part."""
        batch = fitting.inputs.batch(fitting.samples)
        table = FeatureTable(pooled_vectors(self.spec.inputs, batch), batch.presence.cpu(), batch.y.cpu().numpy())
        if self.options.missing == "masked":
            table = table.with_copies(torch.Generator().manual_seed(fitting.seed))
        for number in fitting.progress(range(len(self.combinations))):
            rows = (table.present | ~self.required[number]).all(1).numpy()
            features = _together(table.pooled, self.combinations[number].numpy())[rows]
            self.forest(number).models = self._models(features, table.y[rows], fitting.seed)

    def forest(self, combination: int) -> Forest:
        """Return the models of a combination, a row of ``combinations``."""
        return cast("Forest", self.forests[combination])

    @property
    def pools(self) -> bool:
        """Whether one model predicts several labels: those of intervals of time."""
        return self.target.kind == "survival" and self.target.classes > 1

    def _models(self, features: Array, y: Array, seed: int) -> Models:
        """Fit to features [n, F] and labels [n, C]."""
        if not self.pools:
            return [self._model(features, label, seed) for label in y.T]
        sample, interval = np.nonzero(~np.isnan(y))
        return [self._model(_within(features[sample], interval), y[sample, interval], seed)]

    def _model(self, features: Array, y: Array, seed: int) -> Trees | None:
        known, o = ~np.isnan(y), self.options
        if len(np.unique(y[known])) < 2:
            return None
        kind = HistGradientBoostingRegressor if self.target.kind == "regression" else HistGradientBoostingClassifier
        model: Trees = kind(
            max_iter=o.rounds, learning_rate=o.learning_rate, max_leaf_nodes=o.leaves, early_stopping=False,
            min_samples_leaf=o.samples_per_leaf, l2_regularization=o.l2, max_features=o.columns, max_bins=o.bins,
            random_state=seed,
        )  # fmt: skip
        table = features[known]
        table = np.where(np.isnan(table).all(0), 0.0, table)  # scikit-learn fails where a column is never known
        fitted: Trees = model.fit(table, y[known])
        return fitted

    def logits(self, batch: Batch) -> Tensor:
        """Return logits [B, K]; the prior for samples without a model."""
        pooled = pooled_vectors(self.spec.inputs, batch)
        base = self.target.offset(self.prior)  # trees say log-odds
        logits = (self.prior + base).expand(len(batch), -1).clone()
        combination = largest_within(batch.presence, self.required)  # [B]
        combination = torch.where(batch.presence.any(1), combination, -1)
        for number in torch.unique(combination[combination >= 0]).tolist():
            rows = (combination == number).cpu()
            features = _together(pooled, self.combinations[number].numpy())[rows.numpy()]
            models = self.forest(number).read()
            if self.pools:
                self._answer_pooled(logits, rows, models, features)
                continue
            for column, model in enumerate(models):
                self._answer(logits, rows, column, model, features)
        return logits - base

    def _answer_pooled(self, logits: Tensor, rows: Tensor, models: Models, features: Array) -> None:
        intervals = self.target.classes
        each = _within(features.repeat(intervals, axis=0), np.tile(np.arange(intervals), len(features)))
        said = torch.empty(len(each), 1).to(logits)
        said[:, 0] = logits[rows].flatten()
        for model in models:
            self._answer(said, torch.ones(len(each), dtype=torch.bool), 0, model, each)
        logits[rows] = said.view(-1, intervals)

    def _answer(self, logits: Tensor, rows: Tensor, column: int, model: Trees | None, features: Array) -> None:
        if model is None:
            return
        if not self._fits(model, features):
            raise InputError("The stored boosting is of other columns or classes than the run. Train again.")
        if isinstance(model, HistGradientBoostingRegressor):
            logits[rows, column] = torch.from_numpy(model.predict(features)).to(logits)
            return
        if self.target.kind != "multiclass":
            logits[rows, column] = torch.from_numpy(model.decision_function(features)).to(logits)
            return
        seen = torch.from_numpy(model.classes_).long().to(logits.device)
        chance = torch.from_numpy(model.predict_proba(features)).to(logits)
        logits[rows] = logits[rows].index_copy(1, seen, chance.log())

    def _fits(self, model: Trees, features: Array) -> bool:
        if model.n_features_in_ != features.shape[1]:
            return False
        if isinstance(model, HistGradientBoostingRegressor):
            return self.target.kind == "regression"
        return self.target.kind != "regression" and model.classes_[-1] < max(2, self.target.output_size)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction."""
        return {"total": self.target.loss(self.logits(batch), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities."""
        return Prediction(self.target.probabilities(self.logits(batch)))


def _within(features: Array, interval: npt.NDArray[np.int64]) -> Array:
    """Return features [n, F] with the number of an interval of time [n] as a last column."""
    return np.concatenate([features, interval[:, None].astype(features.dtype)], axis=1)


def _together(tables: list[Array], shown: npt.NDArray[np.bool_]) -> Array:
    return np.concatenate([table for table, wanted in zip(tables, shown, strict=True) if wanted], axis=1)
