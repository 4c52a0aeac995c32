"""MMPareto: where joint and unimodal loss pull an encoder apart, it takes the step that serves both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.balance import EpochMeans
from .base import Context, ModelSpec
from .concat import Concat
from .multi_loss import MultiLoss

NOTHING = 1e-6
"""A common descent shorter than this share of both gradients is rounding: they are opposite, nothing serves both."""


class Descent(NamedTuple):
    """What an encoder does with two gradients.

    ``cosine`` of the two, NaN if one is zero; ``share`` of the joint one in their least-norm combination, and the
    combination as ``gradient`` [P], where they conflict, None otherwise.
    """

    cosine: float
    share: float | None = None
    gradient: Tensor | None = None


def descend(joint: Tensor, alone: Tensor) -> Descent:
    """Return what descends both the joint loss, by its gradient [P], and the unimodal one, by ``alone`` [P].

    It is the vector of least norm in their convex hull, at the length of their sum. Gradients that do not conflict are
    to be added as they are, and so is one to a zero.
    """
    lengths = joint.norm() * alone.norm()
    product = joint @ alone
    cosine = float(product / lengths)
    if not cosine <= 0:
        return Descent(cosine)
    share = (alone @ (alone - joint)) / (joint - alone).square().sum()  # within 0 and 1 where they conflict
    least = share * joint + (1 - share) * alone
    if least.norm() <= NOTHING * (joint.norm() + alone.norm()):
        return Descent(cosine, float(share), torch.zeros_like(joint))
    return Descent(cosine, float(share), least * (joint + alone).norm() / least.norm())


class MMPareto(MultiLoss):
    """Concatenation and a head per modality; of their gradients every encoder takes a combination that descends both.

    Heads learn by their own losses, and an encoder by the sum of the gradients as long as these do not conflict.
    """

    name = "mmpareto"
    family = "balanced learning"
    source = "Wei and Hu 2024, arXiv 2405.17730: Pareto integration of joint and unimodal gradients"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "faster": ("options.encoder_rate=1.5",),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }
    cost = 1.6
    fewest_modalities = 2

    @dataclass(frozen=True)
    class Options(Concat.Options):
        """Options of a joint head, and of the encoders' steps."""

        encoder_rate: float = 1.0
        """Factor on the learning rate of the encoders; published is 1.5, as a factor on gradients, which AdamW would
        cancel."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.encoder_rate > 0:
                raise InputError(f"encoder_rate must be positive; got {self.encoder_rate}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.alone: list[Tensor] = []
        self.trace = EpochMeans(spec.modalities)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Sum of the losses of all heads; in training, remember what the unimodal ones alone want of each encoder."""
        ce, alone = self.losses(self.encode(batch), batch)
        unimodal = torch.stack(list(alone.values())).sum()
        if self.training:
            self.alone = self.gradients_of(unimodal)
        return {"total": ce + unimodal, "ce": ce, **alone}

    def gradients_of(self, loss: Tensor) -> list[Tensor]:
        """Return the gradient [P] of a loss for every encoder, whose graph stays."""
        parts = [list(encoder.parameters()) for encoder in self.encoders.each]
        everything = [parameter for part in parts for parameter in part]
        found = torch.autograd.grad(loss, everything, retain_graph=True, materialize_grads=True)
        flat = torch.cat([gradient.flatten() for gradient in found])
        return list(torch.split(flat, [sum(parameter.numel() for parameter in part) for part in parts]))

    def before_step(self, _: Context) -> None:
        """Replace the sum of both gradients of an encoder where they conflict."""
        descents = [
            self._descend(encoder, alone) for encoder, alone in zip(self.encoders.each, self.alone, strict=True)
        ]
        self.trace.add(
            cosine=torch.tensor([descent.cosine for descent in descents]),
            conflict=torch.tensor([float(descent.gradient is not None) for descent in descents]),
            share=torch.tensor([torch.nan if descent.share is None else descent.share for descent in descents]),
        )

    @staticmethod
    def _descend(encoder: nn.Module, alone: Tensor) -> Descent:
        reached = [p.grad if p.grad is not None else torch.zeros_like(p) for p in encoder.parameters()]
        descent = descend(torch.cat([gradient.flatten() for gradient in reached]) - alone, alone)
        if descent.gradient is not None:
            pieces = torch.split(descent.gradient, [gradient.numel() for gradient in reached])
            for gradient, piece in zip(reached, pieces, strict=True):
                gradient.copy_(piece.view_as(gradient))
        return descent

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Return all parameters of the encoders, and those of the heads."""
        return [list(self.encoders.parameters()), [*self.head.parameters(), *self.heads.parameters()]]

    def step_sizes(self) -> list[float]:
        """Return the factor on the encoders' rate; that of the heads is never changed."""
        return [self.options.encoder_rate, 1.0]

    def on_fit_start(self, context: Context) -> None:
        """Begin a new trace."""
        super().on_fit_start(context)
        self.trace = EpochMeans(self.spec.modalities)

    def on_epoch_end(self, context: Context) -> None:
        """Write the epoch into the trace."""
        self.trace.close(context.epoch)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the mean cosine, how often gradients conflicted, and the joint one's share then, epoch by epoch."""
        return {"conflicts": self.trace.rows}
