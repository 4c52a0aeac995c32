"""A head per modality that speaks for its own embedding alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..inputs.batches import Batch
from ..inputs.spec import EncoderConfig
from .encoders import Encoded, mlp
from .targets import Target


class UnimodalHeads(nn.ModuleList):
    """One MLP per modality, in model order."""

    def __init__(self, modalities: int, output: int, config: EncoderConfig) -> None:
        super().__init__(mlp(config.dimension, config.hidden, output, config.dropout) for _ in range(modalities))

    def forward(self, encoded: Encoded, prior: Tensor) -> Tensor:
        """Return what each modality says, [B, M, K]; the ``prior`` [K] where it is missing."""
        said = torch.stack([head(encoded.embeddings[:, m]) for m, head in enumerate(self)], dim=1)
        return torch.where(encoded.presence[:, :, None], said, prior)


def unimodal_losses(target: Target, logits: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Return by modality the mean cross-entropy of logits [B, M, K] over the samples that have it, scalars."""
    losses = {}
    for m, name in enumerate(batch.modalities):
        has = batch.presence[:, m]
        losses[name] = target.loss(logits[has, m], batch.y[has])
    return losses
