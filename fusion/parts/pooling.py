"""Reductions over ragged rows: rows of one sample lie together, ``segments`` names the sample of each row."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..inputs.batches import Rows


def segment_sum(values: Tensor, segments: Tensor, count: int) -> Tensor:
    """Sum values [R] per sample: [count]."""
    return values.new_zeros(count).index_add(0, segments, values)


def segment_softmax(scores: Tensor, segments: Tensor, count: int) -> Tensor:
    """Softmax of scores [R] within each sample; sums to one over the rows of every sample that has rows."""
    highest = scores.detach().new_full((count,), -torch.inf)
    highest = highest.scatter_reduce(0, segments, scores.detach(), "amax")
    weights = torch.exp(scores - highest[segments])
    return weights / segment_sum(weights, segments, count)[segments]


def weighted_sum(rows: Rows, weights: Tensor) -> Tensor:
    """Sum the rows [R, d] of n samples with weights [R]: [n, d]."""
    first = torch.cumsum(rows.lengths, 0) - rows.lengths
    index = torch.arange(len(weights), device=weights.device)
    # embedding_bag multiplies and adds in one pass, several times faster than index_add of the product
    return F.embedding_bag(index, rows.values, first, mode="sum", per_sample_weights=weights)


class GatedAttention(nn.Module):
    """Weighted mean of a sample's rows, with weights softmax(w . (tanh(V x) * sigmoid(U x))) (Ilse et al. 2018).

    Rows are pooled as they are and projected afterwards: projecting first costs a third more and gains nothing.
    """

    def __init__(self, columns: int, gate: int) -> None:
        super().__init__()
        self.gate = nn.Linear(columns, 2 * gate)
        self.score = nn.Linear(gate, 1, bias=False)

    def forward(self, rows: Rows) -> Tensor:
        """Pool rows [R, d] of n samples to [n, d]."""
        content, openness = self.gate(rows.values).chunk(2, dim=1)  # [R, gate] each
        scores = self.score(torch.tanh(content) * torch.sigmoid(openness)).squeeze(1)  # [R]
        return weighted_sum(rows, segment_softmax(scores, rows.segments, len(rows.lengths)))


def padded(rows: Rows) -> tuple[Tensor, Tensor]:
    """Return rows as [n, T, d] with zeros after each sample's end, and which steps are real, [n, T] bool."""
    steps = torch.arange(int(rows.lengths.max()), device=rows.lengths.device)
    real = steps < rows.lengths[:, None]  # [n, T]
    values = rows.values.new_zeros((*real.shape, rows.values.shape[1]))
    values[real] = rows.values
    return values, real
