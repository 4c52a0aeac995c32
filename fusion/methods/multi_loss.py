"""A concatenation and a head per modality, each with a loss of its own: what methods share that balance these."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..inputs.batches import Batch
from ..parts.encoders import Encoded
from ..parts.heads import UnimodalHeads, unimodal_losses
from .base import ModelSpec, Prediction
from .concat import Concat


class MultiLoss(Concat):
    """Base of concatenations whose encoders also learn from what their modality says alone; the joint head predicts."""

    def __init__(self, spec: ModelSpec, options: Any = None) -> None:
        super().__init__(spec, options)
        self.heads = UnimodalHeads(len(spec.inputs), spec.target.output_size, spec.encoder)

    def losses(self, encoded: Encoded, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of the joint head, and by modality that of its head over the samples that have it."""
        alone = unimodal_losses(self.target, self.heads(encoded, self.prior), batch)
        return self.target.loss(self.joint_logits(encoded), batch.y), alone

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Sum of the losses of the joint head (``ce``) and of every modality, over the samples that have it."""
        ce, alone = self.losses(self.encode(batch), batch)
        return {"total": torch.stack([ce, *alone.values()]).sum(), "ce": ce, **alone}

    def head_logits(self, batch: Batch) -> Tensor:
        """Return what every modality and the joint head say, [B, M + 1, K]; the prior where they have no input."""
        encoded = self.encode(batch)
        return torch.cat([self.heads(encoded, self.prior), self.joint_logits(encoded).unsqueeze(1)], dim=1)

    def predict(self, batch: Batch) -> Prediction:
        """Return the joint head's probabilities, and of a binary task those of each modality."""
        probability = self.target.probabilities(self.head_logits(batch))  # [B, M + 1, K]
        alone = probability[:, :-1, 0] if self.target.kind == "binary" else None
        imputed = self.filler.imputed(batch.presence)
        return Prediction(probability[:, -1], alone, imputed=imputed)
