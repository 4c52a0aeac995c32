"""Ridge regression on everything that is known of a sample, logistic or linear: the reference of tabular work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.linear_head import HeldOut, LinearHead, best_penalty
from ..parts.table import pooled_table, table_columns
from ..parts.targets import KINDS
from .base import Method, ModelSpec, Prediction

if TYPE_CHECKING:
    from .fitting import Fitting

BATCH = 1024
"""Samples whose rows are pooled at once."""


class Logistic(Method):
    """Logistic regression with an L2 penalty on the pooled vectors of all modalities side by side.

    Quantities are predicted by linear regression with that penalty; a time to an event by one logistic regression of
    the hazards of all intervals, which have the same coefficients, and each its own intercept.

    It reads the same table as ``early``. Columns are penalised as they are: normal scores share a scale, and
    standardisation would make much of a value that is unknown for once. The penalty is the one of lowest cross-entropy
    on parts of the training part that are held out in turn, whole subjects each.
    """

    name = "logistic"
    family = "early fusion"
    source = "ridge logistic regression, le Cessie and van Houwelingen 1992; LogisticRegression of scikit-learn"
    cost = 3.0
    kinds = KINDS
    by_gradient = False
    needs = "pooled"

    @dataclass(frozen=True)
    class Options:
        """How the penalty is chosen."""

        penalties: tuple[float, ...] = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
        """Weights of half the squared coefficients beside the mean cross-entropy, to choose from."""
        folds: int = 5
        """Parts of the training part that are held out in turn to choose the penalty."""

        def __post_init__(self) -> None:
            if not self.penalties or min(self.penalties) <= 0:
                raise InputError(f"penalties must be positive, one at least; got {self.penalties}")
            if self.folds < 2:
                raise InputError(f"folds must be at least 2; got {self.folds}")

    options: Options
    penalty: Tensor

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.head = LinearHead(table_columns(spec.inputs), spec.target, standardise=False)
        self.register_buffer("penalty", torch.zeros(()))

    def fit(self, fitting: Fitting) -> None:
        """Choose the penalty within the training part, and fit the regression to all of it."""
        batches = fitting.inputs.batches(fitting.samples, BATCH)
        table = torch.cat([pooled_table(self.spec.inputs, batch) for batch in batches])
        y = fitting.inputs.y[fitting.samples]
        parts = self._parts(fitting, table, y)
        penalty = best_penalty(self.target, self.prior, parts, self.options.penalties, standardise=False)
        self.penalty.fill_(penalty)
        self.head.fit(table, y, self.prior, penalty)

    def _parts(self, fitting: Fitting, table: Tensor, y: Tensor) -> Iterator[HeldOut]:
        folds = fitting.folds_within(self.options.folds, self.target.kind)
        for number in fitting.progress(range(len(folds))):
            rest, held_out = folds[number]
            yield HeldOut(table[rest], y[rest], table[held_out], y[held_out])

    def logits(self, batch: Batch) -> Tensor:
        """Return logits [B, K]; the prior for samples without modalities."""
        logits = self.head(pooled_table(self.spec.inputs, batch))
        return torch.where(batch.presence.any(1, keepdim=True), logits, self.prior)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction."""
        return {"total": self.target.loss(self.logits(batch), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities."""
        return Prediction(self.target.probabilities(self.logits(batch)))

    def details(self) -> dict[str, Any]:
        """Return the penalty."""
        return {"penalty": round(float(self.penalty), 8)}  # the digits of float32
