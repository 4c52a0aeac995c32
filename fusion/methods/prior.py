"""The label frequencies for everybody: what any model has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ..inputs.batches import Batch
from ..parts.targets import KINDS
from .base import Method, Prediction

if TYPE_CHECKING:
    from .fitting import Fitting


class Prior(Method):
    """The label frequencies of the training part for everybody, whatever they have."""

    name = "prior"
    family = "reference"
    kinds = KINDS
    source = "relative frequencies, one count added to each outcome (Laplace's rule of succession)"
    cost = 0.1
    by_gradient = False
    needs = "pooled"

    def fit(self, fitting: Fitting) -> None:
        """Do nothing: the frequencies of the labels are taken for every method."""

    def logits(self, batch: Batch) -> Tensor:
        """Return the logits of the frequencies, [B, K]."""
        return self.prior.expand(len(batch), -1)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the frequencies."""
        return {"total": self.target.loss(self.logits(batch), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the frequencies."""
        return Prediction(self.target.probabilities(self.logits(batch)))
