"""Stored samples that others borrow from: how alike they are, and what those alike have of a modality."""

from __future__ import annotations

import torch
from torch import Tensor, nn

BANDWIDTHS = 5
"""Gaussian kernels that are averaged: each has twice the bandwidth of the one before, the middle one the median's."""
NEAREST_BANDWIDTH = 1e-6
MOST_COMPARED = 512
"""Samples whose distances from each other the median is of."""


def median_distance(vectors: Tensor) -> Tensor:
    """Return the median squared distance of vectors [n, D] from each other, a scalar; 1 for fewer than two."""
    some = vectors[:MOST_COMPARED]
    if len(some) < 2:
        return vectors.new_ones(())
    return (torch.pdist(some) ** 2).median().clamp(min=NEAREST_BANDWIDTH)


def kernel(samples: Tensor, nodes: Tensor, bandwidth: Tensor) -> Tensor:
    """Return how alike samples [B, D] and nodes [R, D] are, [B, R] in (0, 1]: a mean of Gaussian kernels."""
    distance = (samples**2).sum(1, keepdim=True) - 2 * samples @ nodes.T + (nodes**2).sum(1)
    widest = torch.exp(-distance.clamp(min=0) / (2 ** (BANDWIDTHS // 2) * bandwidth))
    total = one = widest
    for _ in range(BANDWIDTHS - 1):
        one = one**2  # half the bandwidth
        total = total + one
    return total / BANDWIDTHS


class Nodes(nn.Module):
    """Embeddings of R stored samples, and the mean of those around each; whoever has the model has them.

    ``embeddings`` and ``around`` [R, M, D], ``there`` [R, M] 0 or 1, which modalities they have.
    """

    embeddings: Tensor
    around: Tensor
    there: Tensor

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        empty = torch.zeros(0, modalities, width)
        # stored as extra state: a new model cannot know how many there are
        self.register_buffer("embeddings", empty, persistent=False)
        self.register_buffer("around", empty.clone(), persistent=False)
        self.register_buffer("there", torch.zeros(0, modalities), persistent=False)

    def store(self, embeddings: Tensor, around: Tensor, there: Tensor) -> None:
        """Take the samples in the place of all others."""
        self.embeddings, self.around, self.there = embeddings, around, there.to(embeddings)

    def get_extra_state(self) -> Tensor:
        """Return everything that is stored, [R, M, 2 D + 1]."""
        return torch.cat([self.embeddings, self.around, self.there[:, :, None]], dim=2)

    def set_extra_state(self, state: Tensor) -> None:
        """Take what :meth:`get_extra_state` returned."""
        width = self.embeddings.shape[2]
        stored = state.to(self.there)
        self.store(stored[..., :width].contiguous(), stored[..., width:-1].contiguous(), stored[..., -1].contiguous())


def mean_of_neighbours(weights: Tensor, values: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighed mean of what neighbours have of each modality, and whether any has it.

    Parameters
    ----------
    weights : float [B, R], 0 for those that are no neighbours
    values : float [R, M, D]
    there : float [R, M], 0 or 1

    Returns
    -------
    mean [B, M, D], 0 without neighbours, and bool [B, M]
    """
    total = weights @ there  # [B, M]
    summed = torch.einsum("br,rmd->bmd", weights, values * there[:, :, None])
    some = total > 0
    return summed / torch.where(some, total, 1.0)[:, :, None], some
