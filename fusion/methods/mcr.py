"""MCR: encoders play for the prediction, each to make it depend on its own modality and not on the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.func import functional_call

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.balance import EpochMeans
from ..parts.combinations import combination_table
from ..parts.divergence import jensen_shannon
from ..parts.encoders import Encoded
from ..parts.targets import PROBABILITIES
from .base import Context, ModelSpec
from .concat import Concat
from .multi_loss import MultiLoss

MOST_PARTS = 14
"""Parts of the modalities that are exchanged in a step: all there are of four; of more modalities some are drawn."""


class MCR(MultiLoss):
    """Concatenation and a head per modality, whose encoders compete in a game.

    How much the prediction depends on a part of the modalities is told by exchanging their embeddings between samples:
    it is the Jensen-Shannon divergence between what the joint head says before and after. Every encoder raises it for
    the parts that it belongs to and lowers it for the others; the head takes no side, and is asked without dropout.
    """

    name = "mcr"
    family = "balanced learning"
    kinds = PROBABILITIES
    source = "multimodal competition regularizer, Kontras et al. 2025, arXiv 2411.07335"
    cost = 1.7
    fewest_modalities = 2
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "multi-loss": ("options.weight=0",),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.weight": ("0.03", "0.1", "0.3"),
    }

    @dataclass(frozen=True)
    class Options(Concat.Options):
        """Options of a joint head, and of the game."""

        weight: float = 0.1
        """Weight of the game beside the losses of the heads."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.weight >= 0:
                raise InputError(f"weight must not be negative; got {self.weight}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.parts = combination_table(len(spec.inputs))[:-1]  # bool [P, M], those of one modality first
        self.trace = EpochMeans(spec.modalities)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Sum of the losses of all heads; in training, encoders also get the gradient of the game, which has no value.

        What one encoder wins others lose, so that no number falls as all learn.
        """
        encoded = self.encode(batch)
        ce, alone = self.losses(encoded, batch)
        total = torch.stack([ce, *alone.values()]).sum()
        if self.training and self.options.weight:
            stakes = self.options.weight * self.game(encoded)
            total = total + stakes - stakes.detach()
        return {"total": total, "ce": ce, **alone}

    def game(self, encoded: Encoded) -> Tensor:
        """Return the sum of the dependences on all parts, as every encoder is to see it: of its own with a minus."""
        chosen = torch.arange(len(self.parts))
        if len(chosen) > MOST_PARTS:
            chosen = torch.randperm(len(chosen), generator=self.generator)[:MOST_PARTS]
        dependence, asked = self.dependence(encoded, self.parts[chosen], self.partners(encoded.presence))
        noted = torch.full((len(self.parts),), torch.nan, device=dependence.device)
        noted[chosen.to(dependence.device)] = torch.where(asked, dependence.detach(), torch.nan)
        self.trace.add(dependence=noted[: len(self.spec.inputs)])
        return len(self.parts) / len(chosen) * dependence.sum()

    def partners(self, present: Tensor) -> Tensor:
        """Draw whose embedding each sample gets of each modality, [B, M]; those that have it exchange it."""
        partner = torch.arange(len(present), device=present.device)[:, None].repeat(1, present.shape[1])
        for m, has in enumerate(present.T):
            owners = has.nonzero()[:, 0]
            order = torch.randperm(len(owners), generator=self.generator, device=self.generator.device)
            partner[owners, m] = owners[order.to(owners.device)]
        return partner

    def dependence(self, encoded: Encoded, parts: Tensor, partner: Tensor) -> tuple[Tensor, Tensor]:
        """Return how much the prediction depends on each of some parts, and whether it could be asked.

        Parameters
        ----------
        encoded : embeddings [B, M, D]
        parts : bool [P, M], the modalities of each part
        partner : int64 [B, M], whose embedding takes the place of a sample's own

        Returns
        -------
        divergence : float [P], mean over decisions and the samples that have all of a part and something else; its
            gradient is reversed for the modalities of the part
        asked : bool [P], whether there is such a sample; 0 is the divergence otherwise
        """
        parts, present = parts.to(encoded.presence.device), encoded.presence
        within = parts[:, None, :, None]  # [P, 1, M, 1]
        own = torch.where(within, 2 * encoded.embeddings.detach() - encoded.embeddings, encoded.embeddings)
        other = own.gather(1, partner[None, :, :, None].expand_as(own))
        pair = torch.stack([own, torch.where(within, other, own)], dim=2)  # [P, B, 2, M, D]
        lp = self.target.log_probabilities(self.at_rest(pair.flatten(3)))[0].flatten(0, 1)  # [P * B, 2, K, C]
        both = torch.ones(lp.shape[:2], dtype=torch.bool, device=lp.device)
        divergence = jensen_shannon(lp, both).mean(-1).view(len(parts), -1)  # [P, B]
        counted = (present | ~parts[:, None]).all(-1) & (present & ~parts[:, None]).any(-1)
        number = counted.sum(1)
        return (divergence * counted).sum(1) / number.clamp(min=1), number > 0

    def at_rest(self, features: Tensor) -> Tensor:
        """Return what the joint head says of features [..., M * D], without dropout, and without learning from it."""
        frozen = {name: parameter.detach() for name, parameter in self.head.named_parameters()}
        self.head.eval()
        logits: Tensor = functional_call(self.head, frozen, (features,))
        self.head.train(self.training)
        return logits

    def on_fit_start(self, context: Context) -> None:
        """Begin a new trace."""
        super().on_fit_start(context)
        self.trace = EpochMeans(self.spec.modalities)

    def on_epoch_end(self, context: Context) -> None:
        """Write the epoch into the trace."""
        self.trace.close(context.epoch)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return how much the prediction depended on every modality in every epoch, in nats."""
        return {"dependence": self.trace.rows}
