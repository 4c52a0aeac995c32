"""TriMF-style fusion: a transformer for each pair of modalities, and the mean of the pairs that a sample has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.contrast import alignment_losses
from ..parts.heads import unimodal_losses
from ..parts.targets import mean_known
from .base import ModelSpec
from .joint import JointFusion
from .transformer import TransformerFusion, new_transformer

MOST_OWN_PAIRS = 6
"""Pairs that have weights of their own; more of them (above 4 modalities) share theirs."""


class PairFusion(nn.Module):
    """Transformer over [CLS] and the tokens of two modalities, and a head on what becomes of [CLS]."""

    def __init__(self, output: int, options: TransformerFusion.Options) -> None:
        super().__init__()
        self.cls = nn.Parameter(0.02 * torch.randn(options.width))
        self.transformer = new_transformer(options)
        self.head = nn.Linear(options.width, output)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [n, K] of tokens [n, 2, W]."""
        sequence = torch.cat([self.cls.expand(len(tokens), 1, -1), tokens], dim=1)  # [n, 3, W]
        logits: Tensor = self.head(self.transformer(sequence)[:, 0])
        return logits


class Said(NamedTuple):
    """What P pairs and M modalities say of B samples.

    ``tokens`` [B, M, W]; logits ``pairs`` [B, P, K] and ``alone`` [B, M, K]; ``both`` bool [B, P], which pairs a sample
    has; ``fused`` logits [B, K].
    """

    tokens: Tensor
    pairs: Tensor
    alone: Tensor
    both: Tensor
    fused: Tensor


class TriMF(JointFusion):
    """TriMF-style, our reconstruction from the abstract: a transformer per pair of modalities, their logits averaged.

    A sample with one modality is predicted by the head of that modality. Besides the prediction every pair and every
    modality has a loss of its own, and the modalities of a sample are drawn together by a contrastive loss.
    """

    name = "trimf"
    family = "joint head"
    source = "TriMF, Wang et al. 2023, arXiv 2309.15529, reconstructed from its abstract; losses and sizes are ours"
    cost = 4.5
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }
    fewest_modalities = 2
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.pair_weight": ("0.3", "1.0"),
        "options.alignment_weight": ("0.03", "0.1", "0.3"),
    }

    @dataclass(frozen=True)
    class Options(TransformerFusion.Options):
        """Options of a joint head, size of each transformer, and weights of the losses."""

        pair_weight: float = 1.0
        """Weight of the mean cross-entropy of the pairs; that of the prediction has weight 1."""
        modality_weight: float = 1.0
        """Weight of the mean cross-entropy of the modalities' heads."""
        alignment_weight: float = 0.1
        """Weight of the mean contrastive loss of the pairs (symmetric InfoNCE)."""
        temperature: float = 0.1
        """Temperature of the contrastive loss."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("pair_weight", "modality_weight", "alignment_weight"):
                if not getattr(self, name) >= 0:
                    raise InputError(f"{name} must not be negative; got {getattr(self, name)}")
            if not self.temperature > 0:
                raise InputError(f"temperature must be positive; got {self.temperature}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        width, output, modalities = self.options.width, spec.target.output_size, len(spec.inputs)
        self.pairs = torch.tensor(list(combinations(range(modalities), 2)))  # [P, 2]
        # without bias: the modality's embedding is one
        self.projections = nn.ModuleList(nn.Linear(spec.encoder.dimension, width, bias=False) for _ in spec.inputs)
        self.modality = nn.Parameter(0.02 * torch.randn(modalities, width))
        own = len(self.pairs) if len(self.pairs) <= MOST_OWN_PAIRS else 1
        self.fusions = nn.ModuleList(PairFusion(output, self.options) for _ in range(own))
        self.heads = nn.ModuleList(nn.Linear(width, output) for _ in spec.inputs)

    def say(self, embeddings: Tensor, shown: Tensor) -> Said:
        """Return what is said of embeddings [B, M, D] by those ``shown`` [B, M]."""
        tokens = each(self.projections, embeddings)  # [B, M, W]
        couples = (tokens + self.modality)[:, self.pairs]  # [B, P, 2, W]
        shares = couples.chunk(len(self.fusions), dim=1)
        said = [
            fusion(share.flatten(0, 1)).unflatten(0, share.shape[:2])
            for fusion, share in zip(self.fusions, shares, strict=True)
        ]
        pairs, alone = torch.cat(said, dim=1), each(self.heads, tokens)
        both = shown[:, self.pairs].all(-1)  # [B, P]
        of_pairs, of_one = mean_known(pairs.mT, both[:, None]), mean_known(alone.mT, shown[:, None])
        fused = torch.where(both.any(1, keepdim=True), of_pairs, of_one)
        return Said(tokens, pairs, alone, both, fused)

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the mean logits [B, K] of a sample's pairs, or those of its only modality."""
        return self.say(embeddings, shown).fused

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction (``ce``), of pairs and of modalities, and contrast."""
        options = self.options
        embeddings, shown = self.complete(self.encode(batch))
        said = self.say(embeddings, shown)
        ce = self.target.loss(torch.where(batch.presence.any(1, keepdim=True), said.fused, self.prior), batch.y)
        pairs = [self.target.loss(said.pairs[has, p], batch.y[has]) for p, has in enumerate(said.both.T)]
        modalities = unimodal_losses(self.target, said.alone, replace(batch, presence=shown))
        contrast = alignment_losses(said.tokens, shown, batch.subject, 1 / options.temperature)
        terms = {
            "pairs": torch.stack(pairs).mean(),
            "modalities": torch.stack(list(modalities.values())).mean(),
            "alignment": torch.stack(list(contrast.values())).mean(),
        }
        weights = (options.pair_weight, options.modality_weight, options.alignment_weight)
        auxiliary = sum(weight * term for weight, term in zip(weights, terms.values(), strict=True))
        return {"total": ce + auxiliary, "ce": ce, **terms}


def each(modules: nn.ModuleList, tokens: Tensor) -> Tensor:
    """Apply the m-th module to the m-th of tokens [B, M, W]: [B, M, output]."""
    return torch.stack([module(tokens[:, m]) for m, module in enumerate(modules)], dim=1)
