"""What methods of independent models share: one model per modality, all trained at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..inputs.batches import Batch
from ..parts.heads import UnimodalHeads, unimodal_losses
from ..parts.targets import KINDS
from .base import Method, ModelSpec


class IndependentModels(Method):
    """Base of methods with an encoder and a head per modality, each trained on the samples that have it.

    The models share no parameter and no gradient; a subclass says in ``predict`` what becomes of their answers.
    """

    kinds = KINDS

    def __init__(self, spec: ModelSpec, options: Any = None) -> None:
        super().__init__(spec, options)
        self.heads = UnimodalHeads(len(spec.inputs), spec.target.output_size, spec.encoder)

    def independent_parts(self) -> list[nn.Module]:
        """One model per modality: an encoder and its head."""
        return [nn.ModuleList(pair) for pair in zip(self.encoders.each, self.heads, strict=True)]

    def logits(self, batch: Batch) -> Tensor:
        """Return what each modality says, [B, M, K]; the prior where it is missing."""
        said: Tensor = self.heads(self.encode(batch), self.prior)
        return said

    def terms(self, logits: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Mean cross-entropy of each modality's ``logits`` [B, M, K] over the samples that have it, and their sum."""
        losses = unimodal_losses(self.target, logits, batch)
        return {"total": torch.stack(list(losses.values())).sum(), **losses}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Mean cross-entropy of each modality over the samples that have it; ``total`` is their sum."""
        return self.terms(self.logits(batch), batch)
