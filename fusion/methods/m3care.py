"""M3Care-style fusion: what a sample lacks is borrowed from stored samples that resemble it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.completion.patterns import fill
from ..parts.neighbours import Nodes, kernel, mean_of_neighbours, median_distance
from .base import Context, ModelSpec, Prediction
from .transformer import TransformerFusion


class M3Care(TransformerFusion):
    """M3Care-style: every slot is mixed with what similar training samples have in it, then a Transformer fuses.

    An absent modality is what the neighbours have of it. Neighbours are training samples that the model stores after
    every epoch, never those that are predicted at the same time; how alike two samples are is told by the modalities
    that both have. The model holds the embeddings of these samples: whoever has it has them.
    """

    name = "m3care"
    family = "graph"
    source = "M3Care, Zhang et al. 2022, KDD, arXiv 2210.17292; its graph is of stored training samples here"
    cost = 6.0
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.threshold": ("0.4", "0.5", "0.7"),
    }

    @dataclass(frozen=True)
    class Options(TransformerFusion.Options):
        """Options of the Transformer, and of the neighbours."""

        threshold: float = 0.5
        """How alike a neighbour is at least, where the training begins to learn it; equal embeddings are 1."""
        nodes: int = 1024
        """Most training samples that are stored."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not 0 < self.threshold < 1:
                raise InputError(f"threshold must lie between 0 and 1, not at them; got {self.threshold}")
            if self.nodes < 1:
                raise InputError(f"nodes must be 1 or more; got {self.nodes}")

    options: Options
    bandwidths: Tensor

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        width, modalities = spec.encoder.dimension, len(spec.inputs)
        self.comparisons = nn.ModuleList(nn.Linear(width, width) for _ in spec.inputs)
        self.threshold = nn.Parameter(torch.logit(torch.tensor(self.options.threshold)))
        self.first, self.second = (nn.ModuleList(nn.Linear(width, width) for _ in spec.inputs) for _ in range(2))
        self.gates = nn.ModuleList(nn.Linear(width, 1) for _ in range(2))
        self.nodes = Nodes(modalities, width)
        # [2, M] of embeddings, and of these projected
        self.register_buffer("bandwidths", torch.ones(2, modalities))
        self.owner = torch.zeros(0, dtype=torch.int64)

    def projected(self, embeddings: Tensor) -> Tensor:
        """Return embeddings [n, M, D] as they are compared besides."""
        return per_modality(self.comparisons, embeddings)

    def likeness(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return how alike samples [B, M, D] and nodes are, [B, R] in [0, 1]; 0 without a modality of both."""
        both = [
            (embeddings, self.nodes.embeddings),
            (self.projected(embeddings), self.projected(self.nodes.embeddings)),
        ]
        has, total = shown.to(embeddings), embeddings.new_zeros(len(embeddings), len(self.nodes.there))
        for m in range(shown.shape[1]):
            alike = torch.stack(
                [
                    kernel(one[:, m], other[:, m], width[m])
                    for (one, other), width in zip(both, self.bandwidths, strict=True)
                ]
            ).mean(0)
            total = total + alike * has[:, m, None] * self.nodes.there[:, m]
        return total / (has @ self.nodes.there.T).clamp(min=1)

    def weights(self, embeddings: Tensor, shown: Tensor, own: Tensor | None = None) -> Tensor:
        """Return how much each node counts, [B, R]: its likeness above the threshold; 0 for the sample's ``own``."""
        weights = F.relu(self.likeness(embeddings, shown) - self.threshold.sigmoid())
        return weights if own is None else weights.masked_fill(own, 0.0)

    def borrow(self, embeddings: Tensor, shown: Tensor, missing: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return embeddings [B, M, D] mixed with what neighbours have, and which slots hold anything, bool [B, M]."""
        weights = self.weights(embeddings, shown, own)
        states = F.relu(per_modality(self.first, self.nodes.around))  # [R, M, D]
        mean, some = mean_of_neighbours(weights, states, self.nodes.there)
        heard = F.relu(per_modality(self.second, mean))
        own_share, other_share = (
            gate(values).sigmoid() for gate, values in zip(self.gates, (embeddings, heard), strict=True)
        )
        mixed = (own_share * embeddings + other_share * heard) / (own_share + other_share)
        borrowed = torch.where((shown & some)[:, :, None], mixed, fill(embeddings, heard, shown))
        there = shown | some
        return fill(borrowed, missing, there), there

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return logits [B, K], the prior for a sample without modalities, and which slots hold anything, [B, M]."""
        encoded = self.encode(batch)
        embeddings, shown = self.complete(encoded)
        # numbers of patients of another cohort mean nothing
        own = batch.subject[:, None] == self.owner.to(batch.subject) if self.training else None
        borrowed, there = self.borrow(embeddings, shown, encoded.missing, own)
        return torch.where(encoded.presence.any(1, keepdim=True), self.fuse(borrowed, there), self.prior), there

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction."""
        return {"total": self.target.loss(self.logits(batch)[0], batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities, and what was borrowed."""
        logits, there = self.logits(batch)
        return Prediction(self.target.probabilities(logits), imputed=there & ~batch.presence)

    @torch.no_grad()
    def store(self, context: Context) -> None:
        """Store training samples as they are encoded now, and what their neighbours among each other have."""
        batches = [(self.encode(batch), batch.subject) for batch in context.training()]
        embeddings, there = (
            torch.cat([getattr(encoded, name) for encoded, _ in batches]) for name in ("embeddings", "presence")
        )
        every = -(-len(embeddings) // self.options.nodes)
        embeddings, there = embeddings[::every], there[::every]
        self.owner = torch.cat([subject for _, subject in batches])[::every]
        for row, values in enumerate((embeddings, self.projected(embeddings))):
            for m, has in enumerate(there.T):
                self.bandwidths[row, m] = median_distance(values[has, m])
        self.nodes.store(embeddings, embeddings, there)
        weights = self.weights(embeddings, there, self.owner[:, None] == self.owner)
        mean, some = mean_of_neighbours(weights, embeddings, self.nodes.there)
        self.nodes.store(embeddings, fill(mean, embeddings, some), there)

    def on_fit_start(self, context: Context) -> None:
        """Store samples as they are encoded before the training."""
        super().on_fit_start(context)
        self.eval()
        self.store(context)

    def on_epoch_end(self, context: Context) -> None:
        """Store samples as they are encoded now."""
        self.store(context)


def per_modality(layers: nn.ModuleList, slots: Tensor) -> Tensor:
    """Return what the layer of each modality makes of its slots [n, M, D], [n, M, D]."""
    return torch.stack([layer(slot) for layer, slot in zip(layers, slots.unbind(1), strict=True)], dim=1)
