"""Concatenation: all embeddings side by side into one head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from ...cache_schema import InputError
from ..batches import Batch
from ..encoders import Encoded, mlp
from ..imputation import fill, sample_patterns
from .base import Context, Method, ModelSpec, Prediction


class Concat(Method):
    """Joint head on [v_1; ...; v_M], with the missing embedding in the slots of absent modalities."""

    name = "concat"
    family = "joint head"
    source = "the paper's Concat baseline; joint fusion of Stahlschmidt et al. 2022"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }

    @dataclass(frozen=True)
    class Options:
        """Options of concatenation."""

        modality_dropout: float = 0.0
        """Probability that a training sample shows only a random non-empty subset of its modalities."""

        def __post_init__(self) -> None:
            if not 0 <= self.modality_dropout <= 1:
                raise InputError(f"modality_dropout must lie between 0 and 1; got {self.modality_dropout}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        encoder = spec.encoder
        width = encoder.dimension * len(spec.inputs)
        self.head = mlp(width, encoder.hidden, spec.target.output_size, encoder.dropout)

    def logits(self, encoded: Encoded) -> Tensor:
        """Return logits [B, K] of embeddings [B, M, D]."""
        said: Tensor = self.head(encoded.embeddings.flatten(1))
        return said

    def on_fit_start(self, context: Context) -> None:
        """Keep the generator that draws the shown subsets."""
        self.generator = context.generator

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the joint head."""
        encoded = self.encode(batch)
        if self.training and self.options.modality_dropout:
            shown = sample_patterns(batch.presence, self.generator, 1 - self.options.modality_dropout)
            encoded = replace(encoded, embeddings=fill(encoded.embeddings, encoded.missing, shown))
        return {"total": self.target.loss(self.logits(encoded), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the joint head's probabilities."""
        return Prediction(self.target.probabilities(self.logits(self.encode(batch))))
