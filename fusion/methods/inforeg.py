"""InfoReg: while an encoder's information grows fast, it is held near its last weights if its modality is ahead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.balance import pairwise_gaps
from ..parts.heads import unimodal_losses
from .base import Context, ModelSpec
from .discrepancy import ToldAlone


def opens(before: Tensor, last: Tensor, threshold: float) -> Tensor:
    """Return whether information [M] has grown between two epochs by more than a share of what it is now, bool [M]."""
    return last - before > threshold * last


class InfoReg(ToldAlone):
    """Concatenation, with a linear head, that keeps encoders of modalities that are ahead from running away early.

    A modality's information is the trace of the Fisher information of its encoder: the squared gradient of the loss,
    mean over the steps of an epoch. In the epoch after one in which it grew fast, the encoder is drawn to its weights
    of the epoch's start, the more the further its modality alone is ahead of those that say the truth worse.
    """

    name = "inforeg"
    family = "balanced learning"
    source = "Huang et al. 2025, arXiv 2503.18595: information regulation in the prime learning window"
    cost = 1.1
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "multi-loss": ("options.unimodal_weight=1",),
        "mlp": ("options.head=mlp",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.beta": ("0.1", "0.9", "2.0"),
        "options.threshold": ("0.0", "0.04"),
    }

    @dataclass(frozen=True)
    class Options(ToldAlone.Options):
        """Options of the regulation."""

        beta: float = 0.9
        """How much the pull grows with how far a modality is ahead; of one that is just ahead it is 1."""
        threshold: float = 0.04
        """Growth of a modality's information from one epoch to the next, as a share of it, above which it is fast."""
        unimodal_weight: float = 0.0
        """Weight of the loss of what each modality alone says by the joint head; 1 is the paper's InfoReg*."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("beta", "unimodal_weight"):
                if not getattr(self, name) >= 0:
                    raise InputError(f"{name} must not be negative; got {getattr(self, name)}")
            if not self.threshold < 1:
                raise InputError(f"threshold must be below 1; got {self.threshold}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self._begin()

    def _begin(self) -> None:
        count = len(self.spec.inputs)
        self.gap = torch.full((count,), torch.nan)
        self.window = torch.zeros(count, dtype=torch.bool)
        self.squares: list[Tensor] = []
        self.information: list[Tensor] = []
        self.anchors: list[list[Tensor]] = []

    def lead(self, scores: Tensor, scored: Tensor) -> Tensor:
        """Return how far each modality is ahead of those behind it, on average, [M]; NaN where none is behind."""
        gaps = pairwise_gaps(scores, scored)
        return torch.where(gaps > 0, gaps, torch.nan).nanmean(1)

    def pulls(self, lead: Tensor) -> Tensor:
        """Return the weight of half the squared distance from the last weights, [M]; 0 for those that lead nobody."""
        return torch.where(lead.isnan(), 0.0, torch.exp(self.options.beta * torch.tanh(lead)))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the joint head (``ce``), and of each modality alone if it has a weight."""
        encoded = self.encode(batch)
        if self.training:
            with torch.no_grad():
                self.gap = self.lead(*self.scores(encoded, batch.y))
        ce = self.target.loss(self.joint_logits(encoded), batch.y)
        if not self.options.unimodal_weight:
            return {"total": ce, "ce": ce}
        alone = unimodal_losses(self.target, self.unimodal_logits(encoded), batch)
        return {"total": ce + self.options.unimodal_weight * torch.stack(list(alone.values())).sum(), "ce": ce, **alone}

    def on_fit_start(self, context: Context) -> None:
        """Forget what was seen of an earlier training."""
        super().on_fit_start(context)
        self._begin()

    def on_epoch_start(self, _: Context) -> None:
        """Remember the weights, and find out whose information grew fast."""
        self.anchors = [[p.detach().clone() for p in encoder.parameters()] for encoder in self.encoders.each]
        if len(self.information) > 1:
            before, last = self.information[-2:]
            self.window = opens(before, last, self.options.threshold)

    def before_step(self, _: Context) -> None:
        """Measure the information in the gradients of the loss, then draw encoders to where they were."""
        squares = [self._squared_gradient(encoder) for encoder in self.encoders.each]
        pulls = torch.where(self.window.to(self.gap.device), self.pulls(self.gap), 0.0)
        self.squares.append(torch.stack(squares))
        self.trace.add(information=self.squares[-1], lead=self.gap, window=self.window.float(), pull=pulls)
        for encoder, anchor, pull in zip(self.encoders.each, self.anchors, pulls.tolist(), strict=True):
            if not pull:
                continue
            for parameter, start in zip(encoder.parameters(), anchor, strict=True):
                if parameter.grad is not None:
                    parameter.grad.add_(parameter.detach() - start, alpha=pull)

    def _squared_gradient(self, encoder: torch.nn.Module) -> Tensor:
        gradients = [p.grad.square().sum() for p in encoder.parameters() if p.grad is not None]
        return torch.stack(gradients).sum() if gradients else self.prior.new_zeros(())

    def on_epoch_end(self, context: Context) -> None:
        """Keep the mean information of the epoch, and write it into the trace."""
        super().on_epoch_end(context)
        self.information.append(torch.stack(self.squares).mean(0))
        self.squares = []

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return of every modality in every epoch the mean information, lead and pull, and whether it was held."""
        return {"regulation": self.trace.rows}
