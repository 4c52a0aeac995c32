"""Graph convolution over samples that resemble each other, for samples outside the graph as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST_SIMILARITY = 1e-6
"""Samples without a positive cosine are never neighbours, nor is one that is zero, which lacks the modality."""


@dataclass(frozen=True)
class Links:
    """Who is linked to whom: n samples to nodes, and how much everyone counts in a sample's mean.

    ``ends`` [2, E] int64, a sample and a node; ``weights`` [E]; ``own`` [n, 1], the sample's own weight. The weights of
    a sample sum to one.
    """

    ends: Tensor
    weights: Tensor
    own: Tensor

    def mean(self, samples: Tensor, nodes: Tensor) -> Tensor:
        """Return the mean of each sample [n, d] and of the nodes [R, d] that it is linked to, [n, d]."""
        sample, node = self.ends
        return (self.own * samples).index_add(0, sample, self.weights[:, None] * nodes[node])

    def of(self, samples: Tensor) -> Links:
        """Return the links of some samples [n'] alone, given in ascending order and numbered so."""
        kept = torch.isin(self.ends[0], samples)
        sample, node = self.ends[:, kept]
        return Links(torch.stack([torch.searchsorted(samples, sample), node]), self.weights[kept], self.own[samples])

    def to(self, nodes: Tensor) -> Links:
        """Return the same links to nodes of which only some [R'] are left, given in ascending order and numbered so."""
        sample, node = self.ends
        return Links(torch.stack([sample, torch.searchsorted(nodes, node)]), self.weights, self.own)


def link(similarity: Tensor, threshold: Tensor) -> Links:
    """Link samples to the nodes whose ``similarity`` [n, R] is not below the threshold and count as much as it."""
    ends = (similarity >= threshold).nonzero().T
    weights = similarity[ends[0], ends[1]]
    own = 1 / (1 + similarity.new_zeros(len(similarity)).index_add(0, ends[0], weights))
    return Links(ends, weights * own[ends[0]], own[:, None])


def cosines(samples: Tensor, nodes: Tensor) -> Tensor:
    """Return the cosine similarity of samples [n, d] and nodes [R, d]: [n, R]; 0 where one is zero."""
    return F.normalize(samples, dim=1) @ F.normalize(nodes, dim=1).T


def threshold_for(similarity: Tensor, degree: float) -> Tensor:
    """Return the least similarity that gives nodes ``degree`` neighbours on average; the diagonal [R, R] is zero."""
    nodes = int((similarity != 0).any(1).sum())
    links = max(1, min(round(degree * nodes), similarity.numel()))
    return similarity.flatten().topk(links).values[-1].clamp(min=LEAST_SIMILARITY)


class GraphNetwork(nn.Module):
    """Graph convolutions, Kipf and Welling 2017, over stored nodes, and a linear head for samples linked to them.

    A sample has no influence on the nodes, nor on other samples. Nodes are data of training samples: whoever has the
    model has them.
    """

    features: Tensor
    threshold: Tensor

    def __init__(self, columns: int, hidden: Sequence[int], output: int, degree: float, dropout: float) -> None:
        super().__init__()
        self.degree = degree
        self.layers = nn.ModuleList(nn.Linear(*sizes) for sizes in pairwise([columns, *hidden]))
        self.head = nn.Linear(hidden[-1], output)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("features", torch.zeros(0, columns), persistent=False)  # stored as extra state
        self.register_buffer("threshold", torch.zeros(()))
        self._link_nodes()

    def store(self, features: Tensor) -> None:
        """Take nodes [R, d], zero where the modality is missing, and link them."""
        self.features = features
        self.threshold.copy_(threshold_for(cosines(features, features).fill_diagonal_(0.0), self.degree))
        self._link_nodes()

    def _link_nodes(self) -> None:
        self.links = link(cosines(self.features, self.features).fill_diagonal_(0.0), self.threshold)

    def get_extra_state(self) -> Tensor:
        """Return the nodes [R, d], of which a new network cannot know how many there are."""
        return self.features

    def set_extra_state(self, state: Tensor) -> None:
        """Take the nodes of :meth:`get_extra_state`; the threshold has been loaded by then."""
        self.features = state.to(self.features)
        self._link_nodes()

    def forward(self, samples: Tensor, same: Tensor | None = None) -> Tensor:
        """Return logits [B, K] of samples [B, d]; they are not linked to nodes that are the ``same`` (bool [B, R])."""
        similarity = cosines(samples, self.features)
        links = link(similarity if same is None else similarity.masked_fill(same, 0.0), self.threshold)
        read, *later = self._read(links)
        nodes = self.features[read]
        for layer, following in zip(self.layers, [*later, read[:0]], strict=True):  # nobody reads the last states
            samples = self._activated(layer(links.to(read).mean(samples, nodes)))
            own = nodes[torch.searchsorted(read, following)]
            nodes = self._activated(layer(self.links.of(following).to(read).mean(own, nodes)))
            read = following
        logits: Tensor = self.head(samples)
        return logits

    def _read(self, links: Links) -> list[Tensor]:
        """Return the nodes [R'] that each layer reads, in ascending order, so that no others are computed.

        The last layer reads those that samples are linked to; any other, those that the next reads, and their
        neighbours.
        """
        reads = [torch.unique(links.ends[1])]
        for _ in self.layers[1:]:
            reads.append(torch.unique(torch.cat([reads[-1], self.links.of(reads[-1]).ends[1]])))
        return reads[::-1]

    def _activated(self, values: Tensor) -> Tensor:
        activated: Tensor = self.dropout(F.leaky_relu(values, 0.25))
        return activated
