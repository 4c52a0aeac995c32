"""A joint head and a head per modality with a given weight each: what Gradient-Blend trains."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..inputs.batches import Batch
from .base import Context, ModelSpec
from .concat import Concat
from .multi_loss import MultiLoss

SMALLEST_SQUARE = 1e-4
"""Least square of an increase in overfitting that a gain is divided by."""


def blend_weights(gain: Tensor, overfitting: Tensor, smallest: float) -> Tensor:
    """Return the weights of H heads, which sum to one.

    They are in proportion to the gain divided by the square of the overfitting; all alike if nothing was gained.

    Parameters
    ----------
    gain : float [H], decrease of the loss on held-out samples
    overfitting : float [H], increase of the held-out loss minus the training loss
    smallest : least weight of a head before weights are made to sum to one again
    """
    merit = gain.clamp(min=0) / overfitting.square().clamp(min=SMALLEST_SQUARE)
    weights = merit / merit.sum() if merit.any() else torch.ones_like(merit) / len(merit)
    weights = weights.clamp(min=smallest)
    return weights / weights.sum()


class Blend(MultiLoss):
    """Concatenation and a head per modality; the losses of all heads are weighed, the joint head predicts.

    ``weights`` [S, M + 1], those of the modalities and the joint head in each of S equal parts of the training, the
    super-epochs.
    """

    weights: Tensor

    def __init__(self, spec: ModelSpec, options: Concat.Options, super_epochs: int) -> None:
        super().__init__(spec, options)
        self.super_epoch = 0
        count = len(spec.inputs) + 1
        self.register_buffer("weights", torch.full((super_epochs, count), 1 / count))

    def independent_parts(self) -> list[nn.Module]:
        """If the joint head has no weight, every modality has a model of its own."""
        if self.weights[:, -1].any():
            return [self]
        return [nn.ModuleList(pair) for pair in zip(self.encoders.each, self.heads, strict=True)]

    def on_epoch_start(self, context: Context) -> None:
        """Find the super-epoch."""
        self.super_epoch = context.epoch * len(self.weights) // context.epochs

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted sum of the cross-entropies of every modality, over the samples that have it, and the joint head."""
        ce, alone = self.losses(self.encode(batch), batch)
        losses = torch.stack([*alone.values(), ce])
        return {"total": (self.weights[self.super_epoch] * losses).sum(), "ce": ce, **alone}
