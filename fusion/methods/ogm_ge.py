"""On-the-fly gradient modulation: the encoder of a modality that is ahead of the others learns more slowly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.balance import EpochMeans, pairwise_ratios
from ..parts.completion.patterns import fill
from ..parts.encoders import Encoded, mlp
from ..parts.targets import PROBABILITIES, mean_known
from .base import Context, ModelSpec
from .joint import JointFusion


class OGMGE(JointFusion):
    """Concatenation, with a linear head, whose encoders are slowed down where their modality alone says the truth.

    That is decided step by step. What a modality says alone is its part of the joint head's logits, of which each also
    gets an equal part of the bias; for a head that is not linear, what the head says of the modality beside missing
    embeddings. The ratio of the probabilities that two modalities give to the truth is taken over the samples that have
    both.
    """

    name = "ogm-ge"
    family = "balanced learning"
    kinds = PROBABILITIES
    source = "Peng et al. 2022, arXiv 2203.15332: discrepancy ratio, coefficient and update with noise"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "strong": ("options.alpha=0.8",),
        "gradient": ("options.apply=gradient",),
        "mlp": ("options.head=mlp",),
    }
    fewest_modalities = 2
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.alpha": ("0.1", "0.3", "0.8"),
    }

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of the modulation."""

        alpha: float = 0.1
        """How much a modality that is ahead is slowed down; 0 not at all. 0.1 on VGGSound, 0.8 on CREMA-D."""
        ratio: Literal["mean_pairwise", "min"] = "mean_pairwise"
        """How far a modality is ahead: mean of its ratios to the others, or its ratio to the weakest of them."""
        apply: Literal["rate", "gradient"] = "rate"
        """Scale the learning rate of an encoder or, as published, its gradient, which Adam soon makes up for."""
        noise: bool = True
        """Generalisation enhancement: gradients that are slowed down get normal noise, whose standard deviation is
        that of the gradient's entries in the same tensor."""
        modulated: float = 0.5
        """Share of the epochs, from the first on, in which encoders are slowed down."""
        head: Literal["linear", "mlp"] = "linear"
        """Joint head; only a linear one is the sum of what each modality says."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.alpha >= 0:
                raise InputError(f"alpha must not be negative; got {self.alpha}")
            if not 0 <= self.modulated <= 1:
                raise InputError(f"modulated must lie between 0 and 1; got {self.modulated}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        encoder, count, output = spec.encoder, len(spec.inputs), spec.target.output_size
        width = count * encoder.dimension
        linear = self.options.head == "linear"
        self.head: nn.Module = (
            nn.Linear(width, output) if linear else mlp(width, encoder.hidden, output, encoder.dropout)
        )
        self.modulates = False
        self.coefficients = [1.0] * count
        self.trace = EpochMeans(spec.modalities)

    def fuse(self, embeddings: Tensor, _: Tensor) -> Tensor:
        """Return the logits of the head."""
        logits: Tensor = self.head(embeddings.flatten(1))
        return logits

    def unimodal_logits(self, encoded: Encoded) -> Tensor:
        """Return what each modality alone adds to the logits, or would say alone: [B, M, K]."""
        embeddings, count = encoded.embeddings, len(self.spec.inputs)
        if isinstance(self.head, nn.Linear):
            weight = self.head.weight.view(-1, count, embeddings.shape[2])  # [K, M, D]
            return torch.einsum("bmd,kmd->bmk", embeddings, weight) + self.head.bias / count
        alone = torch.eye(count, dtype=torch.bool, device=embeddings.device)
        shown = [only.expand(len(embeddings), -1) for only in alone]
        return torch.stack([self.fuse(fill(embeddings, encoded.missing, only), only) for only in shown], dim=1)

    def discrepancy(self, encoded: Encoded, y: Tensor) -> Tensor:
        """Return how far each modality is ahead, [M]; NaN without a sample that has another one as well."""
        lp = self.target.log_probabilities(self.unimodal_logits(encoded))[0]  # [B, M, K, C]
        values, known = self.target.gather(lp, y.unsqueeze(1))
        scores = mean_known(values.exp(), known)  # [B, M]
        ratios = pairwise_ratios(scores, encoded.presence & self.target.known(y)[:, None])
        if self.options.ratio == "mean_pairwise":
            return ratios.nanmean(1)
        return torch.where(ratios.isnan().all(1), torch.nan, ratios.nan_to_num(float("-inf")).amax(1))

    def coefficients_of(self, discrepancy: Tensor) -> Tensor:
        """Return the factor on every encoder's steps, [M]; 1 for modalities that are not ahead."""
        return torch.where(discrepancy > 1, 1 - torch.tanh(self.options.alpha * discrepancy), 1.0)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the joint head; in training, decide how the encoders' next step is modulated."""
        encoded = self.encode(batch)
        if self.training:
            self._decide(encoded, batch.y)
        return {"total": self.target.loss(self.joint_logits(encoded), batch.y)}

    @torch.no_grad()
    def _decide(self, encoded: Encoded, y: Tensor) -> None:
        discrepancy = self.discrepancy(encoded, y)
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

    def on_fit_start(self, context: Context) -> None:
        """Begin a new trace."""
        super().on_fit_start(context)
        self.trace = EpochMeans(self.spec.modalities)

    def on_epoch_start(self, context: Context) -> None:
        """Modulate in the first epochs only."""
        self.modulates = context.epoch < self.options.modulated * context.epochs

    def on_epoch_end(self, context: Context) -> None:
        """Write the epoch into the trace."""
        self.trace.close(context.epoch)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the mean coefficient and ratio of every modality in every epoch."""
        return {"modulation": self.trace.rows}
