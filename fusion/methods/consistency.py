"""Multi-view consistency: a head per modality, taught to agree with the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.divergence import jensen_shannon, log_mean
from ..parts.heads import UnimodalHeads, unimodal_losses
from .base import Method, ModelSpec, Prediction


class Consistency(Method):
    """Co-training of one head per modality: all are right, and they agree; the prediction is their mean probability.

    Agreement needs no label, so that unknown labels of a sample teach as well.
    """

    name = "consistency"
    family = "late fusion"
    source = "deep co-training, Qiao et al. 2018, arXiv 1803.05984 (Eqs. 1 and 2); the views are the modalities"
    fewest_modalities = 2
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.weight": ("0.3", "1.0", "3.0"),
    }

    @dataclass(frozen=True)
    class Options:
        """Options of multi-view consistency."""

        weight: float = 1.0
        """Weight of the Jensen-Shannon divergence among the predictions of a sample's modalities."""

        def __post_init__(self) -> None:
            if not self.weight >= 0:
                raise InputError(f"weight must not be negative; got {self.weight}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.heads = UnimodalHeads(len(spec.inputs), spec.target.output_size, spec.encoder)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of every modality plus the divergence among them; ``ce`` is that of the prediction."""
        logits = self.heads(self.encode(batch), self.prior)  # [B, M, K]
        terms = unimodal_losses(self.target, logits, batch)
        lp, present = self.target.log_probabilities(logits)[0], batch.presence  # [B, M, K, C]
        divergence = jensen_shannon(lp, present).mean(1)  # [B]
        compared = (present.sum(1) > 1).sum().clamp(min=1)
        disagreement = divergence.sum() / compared
        total = torch.stack(list(terms.values())).sum() + self.options.weight * disagreement
        fused = self.target.loss(self.fused(lp, present), batch.y)
        return {"total": total, "ce": fused, "disagreement": disagreement, **terms}

    def fused(self, lp: Tensor, present: Tensor) -> Tensor:
        """Return logits [B, K] of the mean probability of those ``present`` [B, M] of ``lp`` [B, M, K, C]."""
        logits = self.target.logits(log_mean(lp, present))
        return torch.where(present.any(1, keepdim=True), logits, self.prior)

    def predict(self, batch: Batch) -> Prediction:
        """Return the mean probability of a sample's modalities, and that of each."""
        logits = self.heads(self.encode(batch), self.prior)
        fused = self.fused(self.target.log_probabilities(logits)[0], batch.presence)
        alone = self.target.probabilities(logits)[:, :, 0] if self.target.kind == "binary" else None
        return Prediction(self.target.probabilities(fused), alone)
