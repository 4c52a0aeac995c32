"""What all methods with one head on all embeddings share: who is shown, what fills the gaps, loss and prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.completion.filling import Filling, new_completion
from ..parts.completion.patterns import fill, sample_patterns
from ..parts.encoders import Encoded
from ..parts.targets import KINDS
from .base import Context, Method, ModelSpec, Prediction


class JointFusion(Method):
    """Base of methods that fuse the embeddings of all modalities; a subclass says how in ``fuse``.

    Modality dropout and imputation are options of every such method, so that none gets the credit for them.
    """

    kinds = KINDS
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.modality_dropout": ("0.0", "0.25", "0.5"),
    }

    @dataclass(frozen=True)
    class Options:
        """What every joint head can be given."""

        modality_dropout: float = 0.0
        """Probability that a training sample shows only a random part of its modalities, which can be all."""
        imputation: Filling = "none"
        """What predictions put into the slots of absent modalities, which then take part like any other: nothing (they
        keep the missing embedding), zeros, the mean, or an estimate from the others; fitted when training has ended."""

        def __post_init__(self) -> None:
            if not 0 <= self.modality_dropout <= 1:
                raise InputError(f"modality_dropout must lie between 0 and 1; got {self.modality_dropout}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.filler = new_completion(self.options.imputation, len(spec.inputs), spec.encoder.dimension)

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return logits [B, K] of embeddings [B, M, D].

        Slots that are not ``shown`` (bool [B, M]) hold the missing embedding. Every sample shows something.
        """
        raise NotImplementedError

    def on_fit_start(self, context: Context) -> None:
        """Keep the generator that draws the shown subsets; nothing can be filled in yet."""
        self.generator = context.generator
        self.filler.begin()

    def on_fit_end(self, context: Context) -> None:
        """Fit the imputation."""
        self.filler.end(map(self.encode, context.training()))

    def complete(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """Return what :meth:`fuse` gets: embeddings [B, M, D], and which of them take part, bool [B, M]."""
        embeddings, present = encoded.embeddings, encoded.presence
        if self.training and self.options.modality_dropout:
            shown = sample_patterns(present, self.generator, self.options.modality_dropout)
            return fill(embeddings, encoded.missing, shown), shown
        return self.filler.complete(embeddings, present)

    def joint_logits(self, encoded: Encoded) -> Tensor:
        """Return what the joint head says, [B, K]; the prior for a sample without modalities."""
        logits = self.fuse(*self.complete(encoded))
        return torch.where(encoded.presence.any(1, keepdim=True), logits, self.prior)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the joint head."""
        return {"total": self.target.loss(self.joint_logits(self.encode(batch)), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the joint head's probabilities."""
        probability = self.target.probabilities(self.joint_logits(self.encode(batch)))
        return Prediction(probability, imputed=self.filler.imputed(batch.presence))
