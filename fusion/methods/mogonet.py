"""Graph networks of similar samples, one per modality, whose beliefs are combined by their cross product."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.heads import unimodal_losses
from ..parts.targets import Target
from ..parts.views import Views
from .base import Context, Method, ModelSpec, Phase, Prediction
from .graph import GraphNetwork

CORRELATION_STEP = 10.0
"""Steps of the network that combines, in steps of the graph networks; its inputs are small, and its epochs few."""
MOST_PRODUCTS = 1024
"""Entries of the cross product of beliefs; were there more, their sum is used."""


class Mogonet(Method):
    """Multi-omics graph convolutional networks and view correlation discovery.

    Training samples are nodes of a graph per modality, linked to those that resemble them. A graph network per modality
    believes in a label; from the products of all modalities' beliefs a small network makes the prediction. Every
    sample, in training and later, is linked to training samples alone: what is predicted of it does not depend on
    whom it is predicted with. The model holds the data of its nodes, at most ``fit.mining_rows`` training samples.
    """

    name = "mogonet"
    family = "graph"
    source = "Wang et al. 2021, Nat. Commun. 12: 3445"
    cost = 5.0
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "small": ("fit.epochs=40", "options.components=256"),  # for a few hundred samples of many columns
    }
    needs = "pooled"
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.degree": ("2", "5", "10"),
        "options.dropout": ("0.3", "0.5"),
        "options.components": ("64", "256"),
    }

    @dataclass(frozen=True)
    class Options:
        """Sizes and density of the graphs."""

        components: int = 64
        """Most columns of a modality; a wider one is reduced to as many principal components."""
        degree: float = 2.0
        """Neighbours of a node on average."""
        hidden: tuple[int, ...] = (200, 200, 100)
        """Units of the graph convolutions."""
        dropout: float = 0.5
        """Share of hidden units dropped."""
        pretraining: float = 0.2
        """Share of the epochs in which the graph networks are trained without the network that combines them."""

        def __post_init__(self) -> None:
            if self.components < 1:
                raise InputError(f"components must be at least 1; got {self.components}")
            if not self.degree > 0:
                raise InputError(f"degree must be positive; got {self.degree}")
            if not self.hidden or min(self.hidden) < 1:
                raise InputError(f"hidden must name units of at least one layer; got {self.hidden}")
            if not 0 <= self.dropout < 1:
                raise InputError(f"dropout must be at least 0 and below 1; got {self.dropout}")
            if not 0 < self.pretraining < 1:
                raise InputError(f"pretraining must lie between 0 and 1; got {self.pretraining}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        o = self.options
        self.views = Views(spec.inputs, o.components)
        self.networks = nn.ModuleList(
            GraphNetwork(width, o.hidden, spec.target.output_size, o.degree, o.dropout) for width in self.views.widths
        )
        self.correlation = ViewCorrelation(spec.target, len(spec.inputs))
        self.nodes = torch.zeros(0, dtype=torch.int64)

    def phases(self) -> Sequence[Phase]:
        """Train the graph networks, then these and the network that combines them."""
        share = self.options.pretraining
        networks = [self.networks]
        return [Phase("pretraining", self.pretraining_loss, networks, share), Phase("", self.loss, [self], 1 - share)]

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Return the parameters of the graph networks, and of the network that combines them."""
        return [list(self.networks.parameters()), list(self.correlation.parameters())]

    def step_sizes(self) -> Sequence[float]:
        """Let the network that combines take longer steps."""
        return [1.0, CORRELATION_STEP]

    def on_fit_start(self, context: Context) -> None:
        """Store the nodes."""
        batches = list(context.training())
        self.views.fit(batches)
        self.nodes = torch.cat([batch.index for batch in batches])
        for network, *parts in zip(self._each(), *map(self.views, batches), strict=True):
            network.store(torch.cat(parts))

    def logits(self, batch: Batch) -> Tensor:
        """Return what each modality's graph says, [B, M, K]; the prior where it is missing."""
        same = batch.index[:, None] == self.nodes if self.training else None  # indices of another cohort mean nothing
        each = zip(self._each(), self.views(batch), strict=True)
        logits = torch.stack([network(view, same) for network, view in each], dim=1)
        return torch.where(batch.presence[:, :, None], logits, self.prior)

    def combined(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return logits [B, K] of the network that combines [B, M, K], whose gradient ends here."""
        beliefs = self.target.log_probabilities(logits.detach())[0].exp()  # [B, M, decisions, C]
        there = batch.presence[:, :, None, None]
        combined = self.correlation(torch.where(there, beliefs, 1 / beliefs.shape[-1]))
        return torch.where(batch.presence.any(1, keepdim=True), combined, self.prior)

    def pretraining_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of every graph network over the samples that have its modality; ``total`` is their sum."""
        terms = unimodal_losses(self.target, self.logits(batch), batch)
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the same, and in the total the cross-entropy of the prediction, ``ce``."""
        logits = self.logits(batch)
        terms = unimodal_losses(self.target, logits, batch)
        ce = self.target.loss(self.combined(logits, batch), batch.y)
        return {"total": torch.stack([ce, *terms.values()]).sum(), "ce": ce, **terms}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities, and those of each modality."""
        logits = self.logits(batch)
        alone = self.target.probabilities(logits)[:, :, 0] if self.target.kind == "binary" else None
        return Prediction(self.target.probabilities(self.combined(logits, batch)), alone)

    def _each(self) -> Iterator[GraphNetwork]:
        return iter(cast("list[GraphNetwork]", list(self.networks)))


class ViewCorrelation(nn.Module):
    """A network for each decision that reads the products of what all modalities believe of its values."""

    def __init__(self, target: Target, modalities: int) -> None:
        super().__init__()
        decisions, values = (1, target.classes) if target.kind == "multiclass" else (target.classes, 2)
        self.multiplied = values**modalities <= MOST_PRODUCTS
        entries = values**modalities if self.multiplied else values
        outputs = target.output_size // decisions
        self.networks = nn.ModuleList(
            nn.Sequential(nn.Linear(entries, entries), nn.LeakyReLU(0.25), nn.Linear(entries, outputs))
            for _ in range(decisions)
        )

    def forward(self, beliefs: Tensor) -> Tensor:
        """Return logits [B, outputs] of probabilities [B, M, decisions, C]."""
        first, *others = beliefs.unbind(1)
        for other in others:
            first = (first[..., None] * other[..., None, :]).flatten(2) if self.multiplied else first + other
        return torch.cat([network(entries) for network, entries in zip(self.networks, first.unbind(1), strict=True)], 1)
