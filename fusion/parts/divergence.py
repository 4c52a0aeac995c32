"""Mean and disagreement of what several modalities say, over those that take part."""

from __future__ import annotations

import torch
from torch import Tensor


def log_mean(lp: Tensor, present: Tensor) -> Tensor:
    """Logarithm of the mean probability over modalities.

    Parameters
    ----------
    lp : float [B, M, ..., C], log-probabilities
    present : bool [B, M], who takes part; where nobody does, all are averaged

    Returns
    -------
    float [B, ..., C]
    """
    counted = _counted(lp, present | ~present.any(1, keepdim=True))
    return lp.masked_fill(~counted, -torch.inf).logsumexp(1) - counted.sum(1).log()


def jensen_shannon(lp: Tensor, present: Tensor) -> Tensor:
    """Jensen-Shannon divergence in nats: the mean Kullback-Leibler divergence of each distribution from their mean.

    Parameters
    ----------
    lp : float [B, M, ..., C], log-probabilities; over C they sum to one, or are part of what does
    present : bool [B, M], who takes part

    Returns
    -------
    float [B, ...] in [0, log M] if they sum to one; 0 where fewer than two take part
    """
    counted = _counted(lp, present)
    surplus = lp - log_mean(lp, present).unsqueeze(1)
    divergence = torch.where(counted, lp.exp() * surplus, 0.0).sum((1, -1))
    return divergence / counted.sum(1).clamp(min=1).squeeze(-1)


def _counted(lp: Tensor, present: Tensor) -> Tensor:
    """Return ``present`` as [B, M, 1, ..., 1], to go with ``lp``."""
    return present.view(*present.shape, *(1 for _ in lp.shape[2:]))
