"""On-the-fly gradient modulation: the encoder of a modality that is ahead of the others learns more slowly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from .base import Context, ModelSpec
from .discrepancy import DiscrepancyFusion


class OGMGE(DiscrepancyFusion):
    """Concatenation, with a linear head, whose encoders are slowed down where their modality alone says the truth.

    That is decided step by step. What a modality says alone is its part of the joint head's logits, of which each also
    gets an equal part of the bias; for a head that is not linear, what the head says of the modality beside missing
    embeddings. The ratio of the probabilities that two modalities give to the truth is taken over the samples that have
    both.
    """

    name = "ogm-ge"
    family = "balanced learning"
    source = "Peng et al. 2022, arXiv 2203.15332: discrepancy ratio, coefficient and update with noise"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "strong": ("options.alpha=0.8",),
        "gradient": ("options.apply=gradient",),
        "mlp": ("options.head=mlp",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.alpha": ("0.1", "0.3", "0.8"),
    }

    @dataclass(frozen=True)
    class Options(DiscrepancyFusion.Options):
        """Options of the modulation."""

        alpha: float = 0.1
        """How much a modality that is ahead is slowed down; 0 not at all. 0.1 on VGGSound, 0.8 on CREMA-D."""
        apply: Literal["rate", "gradient"] = "rate"
        """Scale the learning rate of an encoder or, as published, its gradient, which Adam soon makes up for."""
        noise: bool = True
        """Generalisation enhancement: gradients that are slowed down get normal noise, whose standard deviation is
        that of the gradient's entries in the same tensor."""
        modulated: float = 0.5
        """Share of the epochs, from the first on, in which encoders are slowed down."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.alpha >= 0:
                raise InputError(f"alpha must not be negative; got {self.alpha}")
            if not 0 <= self.modulated <= 1:
                raise InputError(f"modulated must lie between 0 and 1; got {self.modulated}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.coefficients = [1.0] * len(spec.inputs)

    def coefficients_of(self, discrepancy: Tensor) -> Tensor:
        """Return the factor on every encoder's steps, [M]; 1 for modalities that are not ahead."""
        return torch.where(discrepancy > 1, 1 - torch.tanh(self.options.alpha * discrepancy), 1.0)

    def decide(self, discrepancy: Tensor) -> None:
        """Decide how much of its next step each encoder takes."""
        coefficients = self.coefficients_of(discrepancy) if self.modulates else torch.ones_like(discrepancy)
        self.coefficients = coefficients.tolist()
        self.trace.add(coefficient=coefficients, ratio=discrepancy)

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Return all parameters of each encoder, and those of the head."""
        return [list(module.parameters()) for module in (*self.encoders.each, self.head)]

    def step_sizes(self) -> list[float]:
        """Return the coefficient of each encoder if they apply to rates; the head is never slowed down."""
        by_rate = self.options.apply == "rate"
        return [*(k if by_rate else 1.0 for k in self.coefficients), 1.0]

    def before_step(self, _: Context) -> None:
        """Scale the gradients of slowed encoders if coefficients apply to gradients, and add the noise."""
        for encoder, coefficient in zip(self.encoders.each, self.coefficients, strict=True):
            if coefficient == 1:
                continue
            for parameter in encoder.parameters():
                if parameter.grad is not None:
                    self._modulate(parameter.grad, coefficient)

    def _modulate(self, gradient: Tensor, coefficient: float) -> None:
        noise = torch.randn_like(gradient) * gradient.std(correction=0)
        if self.options.apply == "gradient":
            gradient.mul_(coefficient)
        if self.options.noise:
            gradient.add_(noise)

    def on_epoch_start(self, context: Context) -> None:
        """Modulate in the first epochs only."""
        self.modulates = context.epoch < self.options.modulated * context.epochs

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the mean coefficient and ratio of every modality in every epoch."""
        return {"modulation": self.trace.rows}
