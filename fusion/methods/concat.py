"""Concatenation: all embeddings side by side into one head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ...cache_schema import InputError
from ..batches import Batch
from ..encoders import Encoded, mlp
from ..imputation import fill, sample_patterns
from ..ridge import RidgeImputation
from .base import Context, Method, ModelSpec, Prediction


class Concat(Method):
    """Joint head on [v_1; ...; v_M], with the missing embedding in the slots of absent modalities."""

    name = "concat"
    family = "joint head"
    source = "the paper's Concat baseline; joint fusion of Stahlschmidt et al. 2022"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
        "ridge": ("options.imputation=ridge",),
        "modality-dropout-ridge": ("options.modality_dropout=0.5", "options.imputation=ridge"),
    }

    @dataclass(frozen=True)
    class Options:
        """Options of concatenation."""

        modality_dropout: float = 0.0
        """Probability that a training sample shows only a random non-empty subset of its modalities."""
        imputation: Literal["none", "ridge"] = "none"
        """What predictions put into the slots of absent modalities: the missing embedding, or a linear estimate from
        the others, fitted when training has ended."""

        def __post_init__(self) -> None:
            if not 0 <= self.modality_dropout <= 1:
                raise InputError(f"modality_dropout must lie between 0 and 1; got {self.modality_dropout}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        encoder = spec.encoder
        width = encoder.dimension * len(spec.inputs)
        self.head = mlp(width, encoder.hidden, spec.target.output_size, encoder.dropout)
        ridge = self.options.imputation == "ridge"
        self.ridge = RidgeImputation(len(spec.inputs), encoder.dimension) if ridge else None

    def on_fit_start(self, context: Context) -> None:
        """Keep the generator that draws the shown subsets."""
        self.generator = context.generator

    def on_fit_end(self, context: Context) -> None:
        """Fit the imputation."""
        if self.ridge is not None:
            encoded = [self.encode(batch) for batch in context.training()]
            self.ridge.fit(torch.cat([e.embeddings for e in encoded]), torch.cat([e.presence for e in encoded]))

    def joint_logits(self, encoded: Encoded) -> Tensor:
        """Return what the joint head says, [B, K]."""
        embeddings, presence = encoded.embeddings, encoded.presence  # [B, M, D], [B, M]
        if self.training and self.options.modality_dropout:
            shown = sample_patterns(presence, self.generator, 1 - self.options.modality_dropout)
            embeddings = fill(embeddings, encoded.missing, shown)
        elif self.ridge is not None and not self.training:
            embeddings = self.ridge(embeddings, presence)
        said: Tensor = self.head(embeddings.flatten(1))
        return said

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the joint head."""
        return {"total": self.target.loss(self.joint_logits(self.encode(batch)), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the joint head's probabilities."""
        imputed = None if self.ridge is None else ~batch.presence
        return Prediction(self.target.probabilities(self.joint_logits(self.encode(batch))), imputed=imputed)
