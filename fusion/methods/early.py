"""Early fusion: everything that is known of a sample in one row, and one perceptron."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..inputs.batches import Batch
from ..parts.encoders import mlp
from ..parts.table import pooled_table, table_columns
from ..parts.targets import KINDS
from .base import Method, ModelSpec, Prediction


class Early(Method):
    """One perceptron on the pooled vectors of all modalities side by side, and on which of them a sample has.

    A time series gives its statistics, features themselves, token and image embeddings their mean. Normal scores are
    read as encoders read them, and columns are dropped in training as theirs are.
    """

    name = "early"
    family = "early fusion"
    source = "early fusion of Stahlschmidt et al. 2022, doi 10.1093/bib/bbab569"
    cost = 0.7
    kinds = KINDS
    needs = "pooled"
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "encoder.dropout": ("0.3", "0.5", "0.7"),
        "encoder.hidden": ("32", "64", "128"),
    }

    def __init__(self, spec: ModelSpec, options: Any = None) -> None:
        super().__init__(spec, options)
        encoder, columns = spec.encoder, table_columns(spec.inputs)
        self.dropout = nn.Dropout(encoder.input_dropout if columns > encoder.wide else 0.0)
        self.head = mlp(columns, encoder.hidden, spec.target.output_size, encoder.dropout)

    def logits(self, batch: Batch) -> Tensor:
        """Return logits [B, K]; the prior for samples without modalities."""
        logits = self.head(self.dropout(pooled_table(self.spec.inputs, batch)))
        return torch.where(batch.presence.any(1, keepdim=True), logits, self.prior)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction."""
        return {"total": self.target.loss(self.logits(batch), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities."""
        return Prediction(self.target.probabilities(self.logits(batch)))
