"""On-the-fly prediction modulation: the further a modality is ahead, the more often it is hidden in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...cache_schema import InputError
from ..parts.completion.patterns import fill
from ..parts.encoders import Encoded
from .base import Context, ModelSpec
from .discrepancy import DiscrepancyFusion


class OPM(DiscrepancyFusion):
    """Concatenation, with a linear head, that hides modalities from it where alone they say the truth best.

    How often is decided step by step, by the ratio of `ogm-ge`. A hidden modality leaves its missing embedding, and no
    sample loses all that it has. It is modality dropout that chooses, so that
    `concat --preset modality-dropout` is what it has to beat.
    """

    name = "opm"
    family = "balanced learning"
    source = "Wei et al. 2024, arXiv 2410.11582: on-the-fly prediction modulation"
    cost = 1.1
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "always": ("options.executed=1",),
        "mlp": ("options.head=mlp",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.base": ("0.25", "0.5"),
        "options.slope": ("0.0", "0.5", "1.0"),
    }

    @dataclass(frozen=True)
    class Options(DiscrepancyFusion.Options):
        """Options of a concatenation that tells who is ahead, and of what is hidden."""

        base: float = 0.5
        """Probability that a modality which is just ahead is hidden."""
        slope: float = 0.5
        """How much the probability grows with the ratio; 0 not at all."""
        executed: float = 0.7
        """Share of the steps in which anything is hidden."""
        warm_up: float = 0.1
        """Share of the epochs, from the first on, in which nothing is hidden."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.slope >= 0:
                raise InputError(f"slope must not be negative; got {self.slope}")
            for name in ("base", "executed", "warm_up"):
                if not 0 <= getattr(self, name) <= 1:
                    raise InputError(f"{name} must lie between 0 and 1; got {getattr(self, name)}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.hidden = torch.zeros(len(spec.inputs))

    def chances(self, discrepancy: Tensor) -> Tensor:
        """Return the probability that each modality is hidden, [M]; 0 for those that are not ahead."""
        chance = self.options.base * (1 + self.options.slope * torch.tanh(discrepancy - 1))
        return torch.where(discrepancy > 1, chance.clamp(max=1), 0.0)

    def complete(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """Return embeddings [B, M, D] and who takes part, bool [B, M]; in training without what is hidden."""
        embeddings, shown = super().complete(encoded)
        if not (self.training and self.hidden.any()):
            return embeddings, shown
        draw = torch.rand(shown.shape, generator=self.generator, device=self.generator.device).to(shown.device)
        surplus = torch.where(shown, draw - self.hidden, -torch.inf)  # [B, M]
        kept = shown & ((surplus >= 0) | (surplus == surplus.amax(1, keepdim=True)))
        return fill(embeddings, encoded.missing, kept), kept

    def decide(self, discrepancy: Tensor) -> None:
        """Draw whether anything is hidden in this step, and how likely each modality is."""
        executed = self.modulates and float(torch.rand((), generator=self.generator)) < self.options.executed
        self.hidden = self.chances(discrepancy) if executed else torch.zeros_like(discrepancy)
        self.trace.add(hidden=self.hidden, ratio=discrepancy)

    def on_epoch_start(self, context: Context) -> None:
        """Hide nothing in the first epochs."""
        self.modulates = context.epoch >= self.options.warm_up * context.epochs

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the mean probability of being hidden, and the mean ratio, of every modality in every epoch."""
        return {"hiding": self.trace.rows}
