"""What methods that read tokens share: who is read, what is made of what encoders would read, loss and prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.completion.patterns import sample_patterns
from ..parts.targets import KINDS
from ..parts.tokens import token_makers
from .base import Context, Method, ModelSpec, Prediction


class Told(NamedTuple):
    """What n samples of a batch have of one modality.

    ``samples`` [n] int64, their positions; ``tokens`` [n, T, W], of which some are ``real`` [n, T]; ``read`` bool [n],
    whose tokens are read.
    """

    samples: Tensor
    tokens: Tensor
    real: Tensor
    read: Tensor


class TokenFusion(Method):
    """Base of methods that read rows instead of embeddings; a subclass says how in ``fuse``.

    Modality dropout is an option of all of them.
    """

    family = "early fusion"
    kinds = KINDS
    needs = "tokens"
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.modality_dropout": ("0.0", "0.25", "0.5"),
    }

    @dataclass(frozen=True)
    class Options:
        """Size of tokens and attention, and what is hidden in training."""

        width: int = 64
        """Width of tokens, a multiple of ``heads``."""
        heads: int = 4
        """Heads of attention."""
        dropout: float = 0.1
        """Share dropped of attention weights and of what feed-forward layers add."""
        modality_dropout: float = 0.0
        """Probability that a training sample shows only a random part of its modalities, which can be all."""

        def __post_init__(self) -> None:
            for name in ("width", "heads"):
                if getattr(self, name) < 1:
                    raise InputError(f"{name} must be 1 or more; got {getattr(self, name)}")
            if self.width % self.heads:
                raise InputError(f"width must be a multiple of heads; got {self.width} and {self.heads}")
            if not 0 <= self.dropout < 1:
                raise InputError(f"dropout must be 0 or more and less than 1; got {self.dropout}")
            if not 0 <= self.modality_dropout <= 1:
                raise InputError(f"modality_dropout must lie between 0 and 1; got {self.modality_dropout}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.tokens = token_makers(spec.inputs, spec.encoder, self.options.width)

    def fuse(self, told: list[Told | None], samples: int) -> Tensor:
        """Return logits [B, K] of what is told of B ``samples`` by each modality; nothing is by one that nobody has."""
        raise NotImplementedError

    def on_fit_start(self, context: Context) -> None:
        """Keep the generator that draws the shown subsets."""
        self.generator = context.generator

    def shown(self, present: Tensor) -> Tensor:
        """Return what is read, bool [B, M]: in training a part of what is ``present`` if the options say so."""
        if self.training and self.options.modality_dropout:
            return sample_patterns(present, self.generator, self.options.modality_dropout)
        return present

    def logits(self, batch: Batch) -> Tensor:
        """Return logits [B, K]; the prior for a sample without modalities."""
        shown = self.shown(batch.presence)
        told: list[Told | None] = []
        for m, (make, inputs) in enumerate(zip(self.tokens, batch.modalities.values(), strict=True)):
            if len(inputs.samples):
                tokens, real = make(inputs)
                told.append(Told(inputs.samples, tokens, real, shown[inputs.samples, m]))
            else:
                told.append(None)
        return torch.where(batch.presence.any(1, keepdim=True), self.fuse(told, len(batch)), self.prior)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction."""
        return {"total": self.target.loss(self.logits(batch), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities."""
        return Prediction(self.target.probabilities(self.logits(batch)))
