"""A joint head and a head per modality, trained together and averaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.heads import UnimodalHeads, unimodal_losses
from .base import ModelSpec, Prediction
from .concat import Concat


class Hybrid(Concat):
    """Concatenation with modality dropout, helped by a head per modality that is never hidden.

    The prediction is the mean of two logits: the joint head's, and the mean of those of the sample's modalities.
    """

    name = "hybrid"
    family = "joint head"
    source = "joint fusion with auxiliary unimodal heads; modality dropout as in Neverova et al. 2015, arXiv 1501.00102"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {"default": ()}
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.head_weight": ("0.1", "0.3", "1.0"),
        "options.modality_dropout": ("0.25", "0.5"),
    }

    @dataclass(frozen=True)
    class Options(Concat.Options):
        """Options of concatenation, and the weight of the modalities' heads."""

        modality_dropout: float = 0.5
        """Probability that the joint head is shown only a random non-empty subset of a training sample's modalities."""
        head_weight: float = 0.3
        """Weight of each modality's loss; that of the joint head has weight 1."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.head_weight >= 0:
                raise InputError(f"head_weight must not be negative; got {self.head_weight}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.heads = UnimodalHeads(len(spec.inputs), spec.target.output_size, spec.encoder)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the joint head plus that of every modality, over the samples that have it."""
        encoded = self.encode(batch)
        terms = unimodal_losses(self.target, self.heads(encoded, self.prior), batch)
        joint = self.target.loss(self.joint_logits(encoded), batch.y)
        total = joint + self.options.head_weight * torch.stack(list(terms.values())).sum()
        return {"total": total, "joint": joint, **terms}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities, and those of each modality."""
        encoded = self.encode(batch)
        heads, there = self.heads(encoded, self.prior), batch.presence
        share = there / there.sum(1, keepdim=True).clamp(min=1)  # [B, M]
        fused = (self.joint_logits(encoded) + (share[:, :, None] * heads).sum(1)) / 2
        fused = torch.where(there.any(1, keepdim=True), fused, self.prior)
        alone = self.target.probabilities(heads)[:, :, 0] if self.target.kind == "binary" else None
        return Prediction(self.target.probabilities(fused), alone, imputed=self.filler.imputed(there))
