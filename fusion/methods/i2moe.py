"""I²MoE: experts for what one modality alone knows, what only all together know, and what each of them knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.balance import EpochMeans
from ..parts.completion.patterns import fill
from ..parts.encoders import mlp
from ..parts.targets import PROBABILITIES, mean_known
from .base import Context, ModelSpec
from .joint import JointFusion

SMALLEST = 1e-8
"""Lengths of vectors are at least this where they are divided by."""


class Opinions(NamedTuple):
    """What E = M + 2 experts say of B samples: M specialists, one for synergy and one for redundancy.

    ``full`` logits [B, E, K]; ``without`` logits [B, E, M, K], one modality replaced; ``weights`` [B, E] sum to one.
    """

    full: Tensor
    without: Tensor
    weights: Tensor

    @property
    def fused(self) -> Tensor:
        """Logits [B, K] of the prediction."""
        return torch.einsum("be,bek->bk", self.weights, self.full)


class I2MoE(JointFusion):
    """Interpretable mixture of interaction experts: concatenations whose logits a gate weighs for every sample.

    What an expert is there for it learns from what it says if one modality is replaced by its missing embedding: a
    specialist says something else without its own and the same without another, the expert for synergy something else
    without any, that for redundancy always the same.
    """

    name = "i2moe"
    family = "joint head"
    kinds = PROBABILITIES
    source = (
        "I2MoE, Xin et al. 2025, arXiv 2505.19190: experts by interaction, weakly supervised by replaced modalities"
    )
    cost = 2.0
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
        "strong": ("options.interaction_weight=0.3",),
    }
    fewest_modalities = 2
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.interaction_weight": ("0.01", "0.1", "0.3"),
    }

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of a joint head, and of what experts learn besides the prediction."""

        interaction_weight: float = 0.01
        """Weight of the mean of what the experts are taught: 0.01 on MIMIC, 0.3 on ADNI."""
        margin: float = 1.0
        """How much further from itself a specialist must be without its modality than without another."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("interaction_weight", "margin"):
                if not getattr(self, name) >= 0:
                    raise InputError(f"{name} must not be negative; got {getattr(self, name)}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        encoder, count = spec.encoder, len(spec.inputs)
        width, output = count * encoder.dimension, spec.target.output_size
        self.experts = nn.ModuleList(mlp(width, encoder.hidden, output, encoder.dropout) for _ in range(count + 2))
        self.gate = mlp(width, encoder.hidden, count + 2, encoder.dropout)
        self.roles = (*(f"unique {name}" for name in spec.modalities), "synergy", "redundancy")
        self.trace = EpochMeans(self.roles, "expert")

    def fuse(self, embeddings: Tensor, _: Tensor) -> Tensor:
        """Return the weighed logits of the experts."""
        said = torch.stack([expert(embeddings.flatten(1)) for expert in self.experts], dim=1)
        logits: Tensor = torch.einsum("be,bek->bk", self.weights(embeddings), said)
        return logits

    def weights(self, embeddings: Tensor) -> Tensor:
        """Return how much each expert counts, [B, E]."""
        weights: Tensor = self.gate(embeddings.flatten(1)).softmax(-1)
        return weights

    def opinions(self, embeddings: Tensor, missing: Tensor) -> Opinions:
        """Return what all experts say of embeddings [B, M, D], and with one after the other replaced by ``missing``."""
        size, count, _ = embeddings.shape
        keeps = ~torch.eye(count, dtype=torch.bool, device=embeddings.device)
        replaced = [fill(embeddings, missing, kept.expand(size, -1)) for kept in keeps]
        variants = torch.stack([embeddings, *replaced], dim=1).flatten(2)  # [B, 1 + M, M * D]
        said = torch.stack([expert(variants) for expert in self.experts], dim=1)  # [B, E, 1 + M, K]
        return Opinions(said[:, :, 0], said[:, :, 1:], self.weights(embeddings))

    def interactions(self, said: Opinions, shown: Tensor) -> Tensor:
        """Return what each expert is taught, [E]: means over the samples and modalities that are ``shown`` [B, M].

        Experts are compared by the log-probabilities of a decision's values, as the cosine of single logits is 1 or -1.
        """
        full = self.target.log_probabilities(said.full)[0].unsqueeze(2)  # [B, E, 1, decisions, C]
        without = self.target.log_probabilities(said.without)[0]  # [B, E, M, decisions, C]
        count = without.shape[2]
        distance = torch.linalg.vector_norm(full - without + SMALLEST, dim=-1).mean(-1)  # [B, E, M]
        cosine = F.cosine_similarity(full, without, dim=-1, eps=SMALLEST).mean(-1)  # [B, E, M]
        terms = []
        for m in range(count):
            others = torch.arange(count) != m
            closer = F.relu(distance[:, m, others] - distance[:, m, m, None] + self.options.margin)  # [B, M - 1]
            compared = shown[:, m] & shown[:, others].any(1)
            terms.append(mean_known(mean_known(closer, shown[:, others]), compared))
        some = shown.any(1)
        terms.append(mean_known(mean_known(cosine[:, count], shown), some))
        terms.append(mean_known(mean_known(1 - cosine[:, count + 1], shown), some))
        return torch.stack(terms)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy (``ce``), and the mean of what experts are taught (``interaction``)."""
        encoded = self.encode(batch)
        embeddings, shown = self.complete(encoded)
        said, has = self.opinions(embeddings, encoded.missing), encoded.presence.any(1)
        if self.training:
            self.trace.add(weight=said.weights[has].detach().mean(0))
        ce = self.target.loss(torch.where(has[:, None], said.fused, self.prior), batch.y)
        interaction = self.interactions(said, shown & has[:, None]).mean()
        return {"total": ce + self.options.interaction_weight * interaction, "ce": ce, "interaction": interaction}

    def on_fit_start(self, context: Context) -> None:
        """Begin a new trace."""
        super().on_fit_start(context)
        self.trace = EpochMeans(self.roles, "expert")

    def on_epoch_end(self, context: Context) -> None:
        """Write the epoch into the trace."""
        self.trace.close(context.epoch)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return how much every expert counted in every epoch, on average."""
        return {"experts": self.trace.rows}
