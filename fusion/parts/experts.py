"""Sparse mixtures of experts: gates that choose a few small networks for every token."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

GateKind = Literal["laplace", "softmax"]


class Gate(nn.Module):
    """Scores of E experts for what a gate reads: ``-|w_e - u|`` (Laplace) or ``w_e . u`` (softmax).

    The distance is that of Han et al. 2024 (FuseMoE, arXiv 2402.03226); the product that of Shazeer et al. 2017
    (arXiv 1701.06538), whose noise can be added to either in training.
    """

    def __init__(self, width: int, experts: int, kind: GateKind, noise: float = 0.0) -> None:
        super().__init__()
        self.kind, self.noise = kind, noise
        self.weight = nn.Parameter(torch.randn(experts, width) / math.sqrt(width))

    def forward(self, read: Tensor) -> Tensor:
        """Return scores [..., E] of what is read, [..., W]."""
        if self.kind == "softmax":
            scores = read @ self.weight.T
        else:
            flat = read.flatten(0, -2)  # products instead of differences would lose digits
            distance = torch.cdist(flat, self.weight, compute_mode="donot_use_mm_for_euclid_dist")
            scores = -distance.view(*read.shape[:-1], -1)
        if self.training and self.noise:
            scores = scores + self.noise * torch.randn_like(scores)
        return scores


def chosen_shares(scores: Tensor, chosen: int) -> Tensor:
    """Return the softmax of scores [..., E] over the ``chosen`` largest of them, 0 for all others."""
    highest, places = scores.topk(chosen, dim=-1)
    return torch.zeros_like(scores).scatter(-1, places, highest.softmax(-1))


class Experts(nn.Module):
    """E networks of one hidden layer, Linear - GELU - Linear, all computed at once; dropout on what they add."""

    def __init__(self, experts: int, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.into = nn.Parameter(torch.empty(experts, width, hidden))
        self.inner = nn.Parameter(torch.zeros(experts, hidden))
        self.out = nn.Parameter(torch.empty(experts, hidden, width))
        self.outer = nn.Parameter(torch.zeros(experts, width))
        self.dropout = nn.Dropout(dropout)
        for weights in (*self.into, *self.out):
            nn.init.xavier_uniform_(weights)

    def forward(self, tokens: Tensor, shares: Tensor) -> Tensor:
        """Return what the experts make of tokens [..., W], weighed by their shares [..., E]: [..., W].

        A few thousand tokens through a few small experts take less time at once than sorted by expert.
        """
        hidden = torch.einsum("...w,ewh->...eh", tokens, self.into) + self.inner
        hidden = nn.functional.gelu(hidden) * shares[..., None]
        added: Tensor = self.dropout(torch.einsum("...eh,ehw->...w", hidden, self.out) + shares @ self.outer)
        return added


def spread(probabilities: Tensor, there: Tensor) -> Tensor:
    """Return how sure the gate of each modality is, minus how unlike the modalities are: FuseMoE's entropy term.

    Parameters
    ----------
    probabilities : float [B, M, E], of all experts
    there : bool [B, M]; a modality's distribution is the mean over the samples that have it

    Returns
    -------
    scalar, the mean entropy of the modalities' distributions minus the entropy of their mean, in [-log M, 0]; 0 where
    nobody has anything
    """
    has = there.any(0)  # [M]
    mean = (probabilities * there[:, :, None]).sum(0) / there.sum(0).clamp(min=1)[:, None]  # [M, E]
    count = has.sum().clamp(min=1)
    each = (entropy(mean) * has).sum() / count
    return each - entropy((mean * has[:, None]).sum(0) / count)


def entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy [...] in nats of distributions [..., E]."""
    smallest = torch.finfo(probabilities.dtype).tiny  # 0 log 0 is 0, and so is its gradient
    return -(probabilities * probabilities.clamp(min=smallest).log()).sum(-1)


def unevenness(shares: Tensor) -> Tensor:
    """Return the squared coefficient of variation of what each expert gets of shares [n, E]; 0 for one expert."""
    importance = shares.sum(0)
    if len(importance) == 1:
        return importance.new_zeros(())
    return importance.var() / (importance.mean() ** 2 + 1e-10)
