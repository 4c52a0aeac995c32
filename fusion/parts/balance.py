"""How far ahead of the others each modality is in learning, which balanced learning slows or helps by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

SMALLEST = 1e-12
"""Sums of probabilities are at least this where one is divided by another."""


def pairwise_ratios(scores: Tensor, scored: Tensor) -> Tensor:
    """Return how each modality compares with each other one on the samples that have both.

    Parameters
    ----------
    scores : float [B, M], probability of the true answer according to each modality alone
    scored : bool [B, M], which scores there are; the others are not read

    Returns
    -------
    float [M, M], sum of the scores of the row's modality over that of the column's; NaN on the diagonal and for
    modalities that no sample has both of
    """
    both = scored.to(scores.dtype)
    sums = torch.where(scored, scores, 0.0).T @ both  # [M, M], of the row's where the column's is there as well
    there = (both.T @ both > 0).fill_diagonal_(False)
    return torch.where(there, sums / sums.T.clamp(min=SMALLEST), torch.nan)


def pairwise_gaps(scores: Tensor, scored: Tensor) -> Tensor:
    """Return by how much each modality is ahead of each other one on the samples that have both.

    Parameters
    ----------
    scores : float [B, M], probability of the true answer according to each modality alone
    scored : bool [B, M], which scores there are; the others are not read

    Returns
    -------
    float [M, M], mean score of the row's modality minus that of the column's; NaN where :func:`pairwise_ratios` is
    """
    both = scored.to(scores.dtype)
    sums, counts = torch.where(scored, scores, 0.0).T @ both, both.T @ both
    there = (counts > 0).fill_diagonal_(False)
    return torch.where(there, (sums - sums.T) / counts.clamp(min=1), torch.nan)


class EpochMeans:
    """Means over the steps of an epoch of values that every modality has, or whatever is ``named``, as table rows."""

    def __init__(self, modalities: Sequence[str], named: str = "modality") -> None:
        self.modalities, self.named = tuple(modalities), named
        self.rows: list[dict[str, Any]] = []
        self._steps: list[dict[str, Tensor]] = []

    def add(self, **values: Tensor) -> None:
        """Remember the values [M] of one step; NaN where there is none."""
        self._steps.append(values)

    def close(self, epoch: int) -> None:
        """Write one row a modality, with null where no step had a value."""
        names = self._steps[0] if self._steps else ()
        means = {name: torch.stack([step[name] for step in self._steps]).nanmean(0).tolist() for name in names}
        for m, modality in enumerate(self.modalities):
            values = {name: None if math.isnan(mean[m]) else mean[m] for name, mean in means.items()}
            self.rows.append({"epoch": epoch, self.named: modality, **values})
        self._steps = []
