"""Partial least squares of several modalities."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from sklearn.cross_decomposition import PLSRegression
from torch import Tensor

from ...cache_schema import InputError
from ..parts.targets import Target
from .base import ModelSpec
from .multiview import MultiView, ViewTable


class PLS(MultiView):
    """Partial least squares discriminant analysis of all modalities side by side.

    Modalities are scaled to the same variance in all, whatever their widths; a missing one is taken for its mean.
    """

    name = "pls"
    source = "PLS regression of Wold et al. 2001, Chemom. Intell. Lab. Syst. 58: 109, on block-scaled columns"
    cost = 0.1
    supervised = True
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.dimensions": ("2", "4", "8", "16", "32"),
    }

    @dataclass(frozen=True)
    class Options(MultiView.Options):
        """Size of the regression."""

        dimensions: int = 8
        """Most PLS components; there are no more than columns."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.dimensions < 1:
                raise InputError(f"dimensions must be at least 1; got {self.dimensions}")

    options: Options
    directions: Tensor
    offset: Tensor

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.register_buffer("directions", torch.zeros(sum(self.views.widths), self.score_columns()))
        self.register_buffer("offset", torch.zeros(self.score_columns()))

    def score_columns(self) -> int:
        """Return the number of PLS components."""
        return min(self.options.dimensions, sum(self.views.widths))

    def learn(self, table: ViewTable, _: int) -> None:
        """Fit the regression to the samples of which some label is known."""
        self.directions.zero_()
        self.offset.zero_()
        table = table.take(self.target.known(table.y))
        outcomes = indicators(self.target, table.y)  # [n, Q]
        outcomes = outcomes[:, (outcomes != outcomes[:1]).any(0)]
        if not outcomes.numel():
            return
        scale = block_scale(table).cpu()
        columns = torch.cat(list(table.views), dim=1).cpu().double() * scale
        regression = PLSRegression(min(self.score_columns(), len(columns) - 1), scale=False, max_iter=1000)
        with warnings.catch_warnings():
            # components of nearly equal covariance take long to tell apart, and either will do;
            # none are left where nothing of the labels is
            warnings.simplefilter("ignore", UserWarning)
            regression.fit(columns.numpy(), outcomes.cpu().double().numpy())
        rotations = torch.from_numpy(regression.x_rotations_)  # [W, k]
        found = rotations.shape[1]
        self.directions[:, :found] = (scale[:, None] * rotations).to(self.directions)
        self.offset[:found] = (columns.mean(0) @ rotations).to(self.offset)

    def scores(self, views: Sequence[Tensor], _: Tensor) -> Tensor:
        """Return the PLS components, [B, k]."""
        return torch.cat(list(views), dim=1) @ self.directions - self.offset


def block_scale(table: ViewTable) -> Tensor:
    """Return the factor of each column [W] that makes the variances of a modality's columns sum to one."""
    factors = []
    for view, present in zip(table.views, table.present.T, strict=True):
        variance = (view**2).sum() / present.sum().clamp(min=1)
        factors.append(torch.where(variance > 0, variance, torch.inf).rsqrt().expand(view.shape[1]))
    return torch.cat(factors).double()


def indicators(target: Target, y: Tensor) -> Tensor:
    """Return labels y [n, C] as numbers [n, Q]: one column per label or class; the mean where unknown."""
    if target.kind == "multiclass":
        return torch.nn.functional.one_hot(y[:, 0].long(), target.classes).double()
    return torch.where(y.isnan(), y.nanmean(0).nan_to_num(0.0), y).double()
