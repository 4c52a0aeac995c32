"""Marginal intermediate fusion: encoders learnt one by one, then frozen, and one head on all their embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..inputs.batches import Batch
from ..parts.heads import UnimodalHeads, unimodal_losses
from .base import Context, ModelSpec, Phase, Prediction
from .concat import Concat

UNIMODAL = 0
"""Number of the phase in which the encoders learn."""


class Marginal(Concat):
    """Concatenation of embeddings that were learnt without the other modalities, in as many epochs again.

    First each encoder learns with a head of its own on the samples that have its modality. Then the encoders are frozen
    and rid of their dropout, and the joint head learns from their embeddings, as long again.
    """

    name = "marginal"
    family = "joint head"
    source = "marginal intermediate fusion of Stahlschmidt et al. 2022, doi 10.1093/bib/bbab569"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {"default": ()}

    def __init__(self, spec: ModelSpec, options: Any = None) -> None:
        super().__init__(spec, options)
        self.heads = UnimodalHeads(len(spec.inputs), spec.target.output_size, spec.encoder)

    def phases(self) -> Sequence[Phase]:
        """Return the training of encoders with their own heads, then that of the joint head."""
        return [Phase("unimodal", self.unimodal_loss, [self.encoders, self.heads]), Phase("", self.loss, [self.head])]

    def independent_parts(self) -> list[nn.Module]:
        """One model per modality, an encoder and its head, and the joint head."""
        alone = [nn.ModuleList(pair) for pair in zip(self.encoders.each, self.heads, strict=True)]
        return [*alone, self.head]

    def on_epoch_start(self, context: Context) -> None:
        """Switch the dropout of frozen encoders off."""
        self.encoders.train(context.phase == UNIMODAL)

    def unimodal_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Mean cross-entropy of each modality over the samples that have it; ``total`` is their sum."""
        terms = unimodal_losses(self.target, self.heads(self.encode(batch), self.prior), batch)
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities, and those of each modality."""
        encoded = self.encode(batch)
        said = self.target.probabilities(self.heads(encoded, self.prior))  # [B, M, K]
        alone = said[:, :, 0] if self.target.kind == "binary" else None
        imputed = self.filler.imputed(batch.presence)
        return Prediction(self.target.probabilities(self.joint_logits(encoded)), alone, imputed=imputed)
