"""Prototypical modal rebalance: modalities that lag are drawn to the mean embeddings of the classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.balance import EpochMeans, pairwise_ratios
from ..parts.targets import PROBABILITIES, mean_known
from .base import Context, ModelSpec
from .concat import Concat

NO_PROTOTYPE = -1e9
"""Instead of the negative distance to a class that has no prototype."""


class PMR(Concat):
    """Concatenation, helped by prototypes: the mean embedding of each modality for every value of every label.

    The closer an embedding to a prototype, the more probable the value according to that modality alone. Modalities
    that lag behind the others are trained on these probabilities as well, those that are ahead are kept from being too
    sure of them. A value of which too few training samples are known has no prototype, and takes no part.
    """

    name = "pmr"
    family = "balanced learning"
    kinds = PROBABILITIES
    source = "Fan et al. 2023, arXiv 2211.07089: prototypical cross-entropy (PCE) and entropy regularisation (PER)"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "weak": ("options.alpha=0.5",),
        "strong": ("options.alpha=2",),
    }
    fewest_modalities = 2
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.alpha": ("0.5", "1.0", "2.0"),
        "options.balanced": ("0.25", "0.5", "1.0"),
    }

    @dataclass(frozen=True)
    class Options(Concat.Options):
        """Options of the rebalance."""

        alpha: float = 1.0
        """Weight of the prototypical cross-entropy of modalities that lag."""
        mu: float = 0.01
        """Weight of the prototypical entropy of modalities that are ahead."""
        momentum: float = 0.2
        """Share of the old prototypes in the new ones of every epoch."""
        temperature: float | None = None
        """Distances to prototypes are divided by it; by default by the square root of the embeddings' width."""
        balanced: float = 0.5
        """Share of the epochs, from the first on, in which modalities that lag are helped."""
        regularised: float = 0.1
        """Share of the epochs, from the first on, in which modalities that are ahead are kept unsure."""
        fewest_samples: int = 5
        """A value of a label has a prototype if at least so many training samples are known to have it."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("alpha", "mu"):
                if not getattr(self, name) >= 0:
                    raise InputError(f"{name} must not be negative; got {getattr(self, name)}")
            for name in ("momentum", "balanced", "regularised"):
                if not 0 <= getattr(self, name) <= 1:
                    raise InputError(f"{name} must lie between 0 and 1; got {getattr(self, name)}")
            if self.temperature is not None and not self.temperature > 0:
                raise InputError(f"temperature must be positive; got {self.temperature}")
            if self.fewest_samples < 1:
                raise InputError(f"fewest_samples must be at least 1; got {self.fewest_samples}")

    options: Options
    prototypes: Tensor
    has_prototype: Tensor

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        table = self.target.log_probabilities(self.prior)[0]  # [K, C]
        shape = len(spec.inputs), *table.shape
        self.temperature = self.options.temperature or math.sqrt(spec.encoder.dimension)
        self.register_buffer("prototypes", torch.zeros(*shape, spec.encoder.dimension))
        self.register_buffer("has_prototype", torch.zeros(shape, dtype=torch.bool))
        self.alpha, self.mu = self.options.alpha, self.options.mu
        self.trace = EpochMeans(spec.modalities)

    @torch.no_grad()
    def update_prototypes(self, batches: Iterable[Batch]) -> None:
        """Take the mean embedding of every value, and of this and the last prototype the weighted mean."""
        sums, counts = torch.zeros_like(self.prototypes), torch.zeros_like(self.prototypes[..., 0])
        for batch in batches:
            values = batch.y[:, None, :, None] == torch.arange(counts.shape[2]).to(batch.y)  # [B, 1, K, C]
            members = (values & batch.presence[:, :, None, None]).to(sums.dtype)  # [B, M, K, C]
            sums += torch.einsum("bmkc,bmd->mkcd", members, self.encode(batch).embeddings)
            counts += members.sum(0)
        fresh = sums / counts.clamp(min=1).unsqueeze(-1)
        mixed = torch.lerp(fresh, self.prototypes, self.options.momentum)
        self.prototypes.copy_(torch.where(self.has_prototype.unsqueeze(-1), mixed, fresh))
        self.has_prototype.copy_(counts >= self.options.fewest_samples)

    def log_probabilities(self, embeddings: Tensor) -> Tensor:
        """Return log-probabilities [B, M, K, C] by the distance of embeddings [B, M, D] to the prototypes."""
        distance = torch.cdist(  # its gradient at distance 0 is 0
            embeddings.transpose(0, 1), self.prototypes.flatten(1, 2), compute_mode="donot_use_mm_for_euclid_dist"
        )  # [M, B, K * C]
        score = (-distance / self.temperature).transpose(0, 1).reshape(-1, *self.has_prototype.shape)
        return torch.where(self.has_prototype, score, NO_PROTOTYPE).log_softmax(-1)

    def coefficients(self, scores: Tensor, scored: Tensor) -> tuple[Tensor, Tensor]:
        """Return how much each modality lags, and how much it is ahead, both [M] in [0, 1].

        ``scores`` [B, M] are the probabilities of the truth. A modality is compared with the mean of the others, pair
        by pair on the samples that have both; for two modalities this is the published rule.
        """
        behind = pairwise_ratios(scores, scored).nanmean(0)  # [M], scores of the others over its own
        behind = torch.where(behind.isnan(), 1.0, behind)
        return (behind - 1).clamp(0, 1), (1 / behind - 1).clamp(0, 1)

    def prototype_terms(self, embeddings: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return of every modality the cross-entropy and the entropy, and how much it lags and is ahead, each [M].

        Means over the samples that have the modality, and of each over the labels of which two values have prototypes.
        """
        lp, labels = self.log_probabilities(embeddings), batch.y.unsqueeze(1)
        truth, known = self.target.gather(lp, labels)  # [B, M, K], [B, 1, K]
        reached, _ = self.target.gather(self.has_prototype.expand(lp.shape), labels)
        decides = self.has_prototype.sum(-1) > 1  # [M, K]
        usable = batch.presence.unsqueeze(2) & decides  # [B, M, K]
        right = usable & reached & known
        cross_entropy = mean_known(mean_known(-truth, right).T, right.any(2).T)
        entropy = mean_known(mean_known(-(lp.exp() * lp).sum(-1), usable).T, usable.any(2).T)
        scores = mean_known(truth.detach().exp(), right)  # [B, M]
        return cross_entropy, entropy, *self.coefficients(scores, right.any(2))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the joint head, plus that of lagging modalities, minus the entropy of those ahead."""
        encoded = self.encode(batch)
        joint = self.target.loss(self.joint_logits(encoded), batch.y)
        cross_entropy, entropy, behind, ahead = self.prototype_terms(encoded.embeddings, batch)
        if self.training:
            self.trace.add(behind=behind, ahead=ahead)
        pce, per = (behind * cross_entropy).sum(), -(ahead * entropy).sum()
        return {"total": joint + self.alpha * pce + self.mu * per, "ce": joint, "pce": pce, "per": per}

    def on_fit_start(self, context: Context) -> None:
        """Begin a new trace, without prototypes."""
        super().on_fit_start(context)
        self.has_prototype.fill_(False)
        self.trace = EpochMeans(self.spec.modalities)

    def on_epoch_start(self, context: Context) -> None:
        """Renew the prototypes, and balance in the first epochs only."""
        self.alpha, self.mu = (
            weight if context.epoch < share * context.epochs else 0.0
            for weight, share in (
                (self.options.alpha, self.options.balanced),
                (self.options.mu, self.options.regularised),
            )
        )
        self.eval()  # embeddings without dropout
        self.update_prototypes(context.training())
        self.train()

    def on_epoch_end(self, context: Context) -> None:
        """Write the epoch into the trace."""
        self.trace.close(context.epoch)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return how much every modality lagged and was ahead in every epoch, on average."""
        return {"balance": self.trace.rows}
