"""Joint and individual variation of modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...cache_schema import InputError
from .base import ModelSpec
from .decomposition import decompose
from .multiview import MultiView, ViewTable

RIDGE = 0.01
"""Penalty when joint scores are estimated from one modality, as a share of its mean variance."""


class AJIVE(MultiView):
    """Angle-based joint and individual variation explained, for samples that it was not fitted to as well.

    Training samples that have all modalities are decomposed. The joint scores of any sample are estimated by ridge
    regression from each modality that it has, and averaged; its individual scores are those of what the joint scores
    leave of each modality, zero where it is missing.
    """

    name = "ajive"
    source = "Feng et al. 2018, J. Multivar. Anal. 166: 241; estimates for new samples are ours"
    cost = 0.5
    fewest_modalities = 2
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.components": ("32", "64", "128"),
        "options.signal": ("0.8", "0.9", "0.95"),
    }

    @dataclass(frozen=True)
    class Options(MultiView.Options):
        """What is signal, and how sure the bounds are."""

        signal: float = 0.9
        """Share of a modality's variance that is its signal."""
        draws: int = 1000
        """Random subspaces for each of the two bounds on joint variation."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not 0 < self.signal <= 1:
                raise InputError(f"signal must be above 0 and at most 1; got {self.signal}")
            if self.draws < 1:
                raise InputError(f"draws must be at least 1; got {self.draws}")

    options: Options
    mean: Tensor
    to_joint: Tensor
    from_joint: Tensor
    to_individual: Tensor
    ranks: Tensor

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        widths = self.views.widths
        columns = sum(widths)
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("to_joint", torch.zeros(columns, min(widths)))
        self.register_buffer("from_joint", torch.zeros(min(widths), columns))
        self.register_buffer("to_individual", torch.zeros(columns, max(widths)))
        self.register_buffer("ranks", torch.zeros(1 + len(widths), dtype=torch.int64))  # joint, then each modality

    def score_columns(self) -> int:
        """Return the most joint scores, and as many individual ones as columns."""
        return min(self.views.widths) + sum(self.views.widths)

    def learn(self, table: ViewTable, seed: int) -> None:
        """Decompose the samples that have everything, and learn to estimate the scores of others."""
        complete = table.present.all(1)
        if complete.sum() < 2:
            raise InputError("AJIVE needs training samples that have all modalities; there is none, or one only.")
        columns = torch.cat(list(table.views), dim=1)[complete].cpu().double()
        mean = columns.mean(0)
        views = self._split(columns - mean, dim=1)
        found = decompose([view.numpy() for view in views], self.options.signal, self.options.draws, seed)
        joint = torch.from_numpy(found.joint)[:, : min(self.views.widths)] * len(columns) ** 0.5  # of variance 1
        for buffer in (self.to_joint, self.from_joint, self.to_individual):
            buffer.zero_()
        self.mean.copy_(mean)
        self.to_joint[:, : joint.shape[1]] = torch.cat([ridge(view, joint) for view in views])
        self.from_joint[: joint.shape[1]] = joint.T @ (columns - mean) / len(columns)
        for rows, axes in zip(self._split(self.to_individual), found.individual, strict=True):
            rows[:, : axes.shape[1]] = torch.from_numpy(axes)
        self.ranks.copy_(torch.tensor([joint.shape[1], *(axes.shape[1] for axes in found.individual)]))

    def scores(self, views: Sequence[Tensor], present: Tensor) -> Tensor:
        """Return joint scores and the individual ones of all modalities side by side, [B, S]."""
        share = present / present.sum(1, keepdim=True).clamp(min=1)  # [B, M]
        columns = torch.cat(list(views), dim=1) - self.mean
        each = zip(self._split(columns, dim=1), self._split(self.to_joint), share.T, strict=True)
        joint = torch.stack([weight[:, None] * (view @ weights) for view, weights, weight in each]).sum(0)  # [B, J]
        left = columns - joint @ self.from_joint
        each = zip(self._split(left, dim=1), self._split(self.to_individual), present.T, strict=True)
        individual = [shown[:, None] * (view @ axes[:, : view.shape[1]]) for view, axes, shown in each]
        return torch.cat([joint, *individual], dim=1)

    def details(self) -> dict[str, Any]:
        """Return the penalty of the head, and the ranks of what is joint and of what is individual."""
        joint, *individual = self.ranks.tolist()
        ranks = dict(zip(self.spec.modalities, individual, strict=True))
        return {**super().details(), "joint_rank": joint, "individual_ranks": ranks}

    def _split(self, columns: Tensor, dim: int = 0) -> Sequence[Tensor]:
        """Cut columns of all modalities into those of each."""
        return torch.split(columns, self.views.widths, dim=dim)


def ridge(view: Tensor, joint: Tensor) -> Tensor:
    """Return weights [d, J] that estimate joint scores [n, J] from centred columns [n, d]."""
    gram = view.T @ view
    penalty = RIDGE * gram.diagonal().mean().clamp(min=1e-6) * torch.eye(len(gram)).to(gram)
    weights: Tensor = torch.linalg.solve(gram + penalty, view.T @ joint)
    return weights
