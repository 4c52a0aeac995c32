"""A model of its own for each combination of modalities, fitted to the pooled vectors of who has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from ..inputs.batches import Batch
from ..parts.combinations import combination_table, largest_within
from ..parts.feature_table import Array, FeatureTable, together
from ..parts.pooled import pooled_vectors
from ..parts.targets import KINDS, Kind
from .base import Method, ModelSpec, Needs, Prediction

if TYPE_CHECKING:
    from .fitting import Fitting


class PerCombination(Method):
    """Base of methods on one table: a sample is predicted by the model of the most modalities that it has.

    A time series gives its statistics, features themselves, token and image embeddings their mean. The model of a
    combination is fitted to all training samples that have it, whatever else they have.

    A subclass implements :meth:`fit_one` and :meth:`answer`.
    """

    kinds: ClassVar[tuple[Kind, ...]] = KINDS
    by_gradient = False
    needs: ClassVar[Needs] = "pooled"

    def __init__(self, spec: ModelSpec, options: Any = None) -> None:
        super().__init__(spec, options)
        # [C, M] bool: whose columns each model reads, and what a sample must have for it
        self.combinations = combination_table(len(spec.inputs))
        self.required = self.combinations

    def fit_one(self, number: int, features: Array, table: FeatureTable, seed: int) -> None:
        """Fit the model of a combination, a row of ``combinations``, to its features [n, F] and the table of its n."""
        raise NotImplementedError

    def answer(self, number: int, features: Array, unknown: Tensor) -> Tensor:
        """Return log-odds, log-chances or values [n, K] by the model of a combination for features [n, F].

        ``unknown`` [n, K] are those of an outcome that it knows nothing of.
        """
        raise NotImplementedError

    def table(self, fitting: Fitting) -> FeatureTable:
        """Return the training part."""
        batch = fitting.inputs.batch(fitting.samples)
        pooled = pooled_vectors(self.spec.inputs, batch)
        return FeatureTable(pooled, batch.presence.cpu(), batch.y.cpu().numpy(), batch.subject.cpu().numpy())

    def fit(self, fitting: Fitting) -> None:
        """Fit all models to the training part."""
        table = self.table(fitting)
        for number in fitting.progress(range(len(self.combinations))):
            rows = (table.present | ~self.required[number]).all(1).numpy()
            features = together(table.pooled, self.combinations[number].numpy())[rows]
            self.fit_one(number, features, table.of(rows), fitting.seed)

    def logits(self, batch: Batch) -> Tensor:
        """Return logits [B, K]; the prior for samples without a model."""
        pooled = pooled_vectors(self.spec.inputs, batch)
        base = self.target.offset(self.prior)  # models say log-odds
        logits = (self.prior + base).expand(len(batch), -1).clone()
        combination = largest_within(batch.presence, self.required)  # [B]
        combination = torch.where(batch.presence.any(1), combination, -1)
        for number in torch.unique(combination[combination >= 0]).tolist():
            rows = combination == number
            features = together(pooled, self.combinations[number].numpy())[rows.cpu().numpy()]
            logits[rows] = self.answer(number, features, logits[rows])
        return logits - base

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction."""
        return {"total": self.target.loss(self.logits(batch), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities."""
        return Prediction(self.target.probabilities(self.logits(batch)))
