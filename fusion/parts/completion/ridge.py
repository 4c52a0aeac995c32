"""Imputation of missing embeddings by ridge regression: the simplest rival of the cascade residual autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor

from .completion import Completion


class RidgeImputation(Completion):
    """The linear estimate of what a sample lacks from what it has, for any combination of modalities.

    It is the conditional mean of a normal distribution with the training samples' mean and covariance, of which every
    entry is taken over the samples that have both modalities. ``penalty`` is added to the diagonal, as a share of its
    mean, before a system is solved.
    """

    mean: Tensor
    covariance: Tensor

    def __init__(self, modalities: int, width: int, penalty: float = 0.05) -> None:
        super().__init__()
        self.width, self.penalty = width, penalty
        self.register_buffer("mean", torch.zeros(modalities * width))
        self.register_buffer("covariance", torch.eye(modalities * width))

    def fit(self, embeddings: Tensor, present: Tensor) -> None:
        """Take the moments of embeddings [n, M, D]; slots that are not ``present`` [n, M] are not read."""
        shown = self._columns(present).double()  # [n, M * D]
        values = torch.where(shown > 0, embeddings.flatten(1).double(), 0.0)
        mean = values.sum(0) / shown.sum(0).clamp(min=1)
        centred = (values - mean) * shown
        covariance = centred.T @ centred / (shown.T @ shown).clamp(min=1)
        size, direction = torch.linalg.eigh(covariance)  # pairs of other samples can make it indefinite
        self.mean.copy_(mean)
        self.covariance.copy_(direction * size.clamp(min=0) @ direction.T)

    def forward(self, embeddings: Tensor, used: Tensor) -> Tensor:
        """Return embeddings [B, M, D] with estimates in the slots that are not ``used`` [B, M]."""
        filled = embeddings.flatten(1).clone()  # [B, M * D]
        for pattern in torch.unique(used, dim=0):
            rows = (used == pattern).all(1)
            known = self._columns(pattern)
            deviation = filled[rows][:, known] - self.mean[known]
            estimate = self.mean[~known] + deviation @ self._weights(known)
            filled[rows] = filled[rows].index_copy(1, (~known).nonzero().flatten(), estimate)
        return filled.view_as(embeddings)

    def _columns(self, slots: Tensor) -> Tensor:
        """Repeat flags of modalities [..., M] for each of their columns, [..., M * D]."""
        return slots.repeat_interleave(self.width, dim=-1)

    def _weights(self, known: Tensor) -> Tensor:
        """Return the regression of the other columns on the ``known`` ones, [known, others]."""
        among = self.covariance[known][:, known]
        ridge = self.penalty * among.diagonal().mean() if len(among) else 0.0
        weights: Tensor = torch.linalg.solve(
            among + ridge * torch.eye(len(among)).to(among), self.covariance[known][:, ~known]
        )
        return weights
