"""Canonical correlation of several modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import block_diag, eigh
from torch import Tensor

from ...cache_schema import InputError
from ..parts.completion.ridge import RidgeImputation
from .base import ModelSpec
from .multiview import MultiView, ViewTable

Array = npt.NDArray[np.floating[Any]]

SMALLEST = 1e-6
"""Variance that a modality is taken to have at least; only one of constants has less."""


class CCA(MultiView):
    """Multi-set canonical correlation analysis with a ridge.

    Each modality gets directions along which it varies with the others. The scores of a sample are its canonical
    variates side by side; those of a missing modality are estimated from the others by ridge regression.
    """

    name = "cca"
    source = "Kettenring 1971, Biometrika 58: 433, sum of covariances; canonical ridge of Vinod 1976"
    cost = 0.1
    fewest_modalities = 2
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.dimensions": ("8", "16", "32", "64"),
        "options.shrinkage": ("0.1", "0.5", "0.9"),
    }

    @dataclass(frozen=True)
    class Options(MultiView.Options):
        """Size and ridge of the analysis."""

        dimensions: int = 32
        """Most canonical variates of a modality; there are no more than the second widest has columns."""
        shrinkage: float = 0.5
        """How far each modality's covariance is drawn to the identity, which makes partial least squares of it at 1."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.dimensions < 1:
                raise InputError(f"dimensions must be at least 1; got {self.dimensions}")
            if not 0 < self.shrinkage <= 1:
                raise InputError(f"shrinkage must be above 0 and at most 1; got {self.shrinkage}")

    options: Options
    directions: Tensor
    eigenvalues: Tensor

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.register_buffer("directions", torch.zeros(sum(self.views.widths), self.dimensions))
        self.register_buffer("eigenvalues", torch.zeros(self.dimensions))
        self.imputation = RidgeImputation(len(spec.inputs), self.dimensions)

    @property
    def dimensions(self) -> int:
        """Canonical variates of each modality."""
        return min(self.options.dimensions, sorted(self.views.widths)[-2])

    def score_columns(self) -> int:
        """Return the variates of all modalities."""
        return len(self.spec.inputs) * self.dimensions

    def learn(self, table: ViewTable, _: int) -> None:
        """Solve for the directions, and learn to estimate variates from others."""
        between, within = covariances(table, self.options.shrinkage)
        eigenvalues, directions = canonical_directions(between, within, self.dimensions)
        self.eigenvalues.copy_(torch.from_numpy(eigenvalues))
        self.directions.copy_(torch.from_numpy(directions))
        self.imputation.fit(self.variates(table.views), table.present)

    def variates(self, views: Sequence[Tensor]) -> Tensor:
        """Return the canonical variates of each modality [B, M, k]; zeros of a missing one."""
        each = zip(views, torch.split(self.directions, self.views.widths), strict=True)
        return torch.stack([view @ directions for view, directions in each], dim=1)

    def scores(self, views: Sequence[Tensor], present: Tensor) -> Tensor:
        """Return the variates of all modalities side by side, [B, M * k]."""
        complete: Tensor = self.imputation(self.variates(views), present)
        return complete.flatten(1)

    def details(self) -> dict[str, Any]:
        """Return the penalty of the head, and the eigenvalues: the canonical correlations of two modalities."""
        return {**super().details(), "eigenvalues": self.eigenvalues.tolist()}


def covariances(table: ViewTable, shrinkage: float) -> tuple[Array, Array]:
    """Return the covariances [W, W] between modalities, and within each, drawn to the identity by ``shrinkage``.

    Each is taken over all samples that have the modality, or both modalities, so that none has to be complete. The
    identity is scaled to the mean variance of the modality.

    Raises
    ------
    InputError
        If no sample has two modalities.
    """
    widths = [view.shape[1] for view in table.views]
    present = table.present.cpu().double().numpy()
    counts = present.T @ present  # [M, M]
    if not np.triu(counts, 1).any():
        raise InputError("Canonical correlation needs samples with two modalities; the training part has none.")
    views = np.concatenate([view.cpu().double().numpy() for view in table.views], axis=1)  # [n, W]
    covariance = views.T @ views / counts.repeat(widths, axis=0).repeat(widths, axis=1).clip(min=1)
    inside = block_diag(*(np.ones((width, width)) for width in widths))
    variance = inside @ covariance.diagonal() / inside.sum(1)  # [W]
    within = (1 - shrinkage) * covariance * inside + shrinkage * np.diag(variance.clip(min=SMALLEST))
    return covariance * (1 - inside), within


def canonical_directions(between: Array, within: Array, count: int) -> tuple[Array, Array]:
    """Return the ``count`` largest rho [k] with ``between @ w = rho * within @ w``, and their directions w [W, k]."""
    columns = len(between)
    rho, directions = eigh(between, within, subset_by_index=[columns - count, columns - 1])
    return rho[::-1].copy(), directions[:, ::-1].copy()
