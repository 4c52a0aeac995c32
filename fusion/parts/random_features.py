"""Ridge regression with a Gaussian kernel, as one on random features of the inputs: no sample has to be kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def orthogonal_directions(columns: int, count: int, generator: torch.Generator) -> Tensor:
    """Draw directions [columns, count] that are as normal ones, but at right angles within each ``columns`` of them.

    That lessens the error of the kernel (Yu et al., NeurIPS 2016, orthogonal random features).
    """
    blocks = []
    for _ in range(-(-count // columns)):
        turned, _ = torch.linalg.qr(torch.randn(columns, columns, generator=generator, dtype=torch.float64))
        length = torch.randn(columns, columns, generator=generator, dtype=torch.float64).norm(dim=0)
        blocks.append(turned * length)
    return torch.cat(blocks, dim=1)[:, :count]


def random_features(inputs: Tensor, directions: Tensor, width: float) -> Tensor:
    """Return features [n, 2 D] of inputs [n, F] whose products are about ``exp(-width * squared distance)``."""
    angles = math.sqrt(2 * width) * (inputs @ directions)  # [n, D]
    return torch.cat([angles.cos(), angles.sin()], dim=1) / math.sqrt(directions.shape[1])


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression: features [n, R], truth [n, K], coefficients [R, K] and ``factor`` [R, R], Cholesky."""

    features: Tensor
    truth: Tensor
    coefficients: Tensor
    factor: Tensor

    @classmethod
    def fit(cls, features: Tensor, truth: Tensor, ridge: float) -> Ridge:
        """Minimise the sum of squared errors plus ``ridge`` times that of the coefficients."""
        products = features.T @ features
        products.diagonal().add_(ridge)
        factor = torch.linalg.cholesky(products)
        return cls(features, truth, torch.cholesky_solve(features.T @ truth, factor), factor)

    def held_out(self, part: Tensor) -> Tensor:
        """Return what regressions on all other parts say of each part of the samples, ``part`` [n]: [n, K].

        It is exact, and fits nothing anew: what is held out errs by ``(1 - H)^-1`` times the residuals of the whole
        fit, with the block H of the hat matrix.
        """
        said = torch.empty_like(self.truth)
        for number in sorted(set(part.tolist())):
            rows = part == number
            reach = torch.linalg.solve_triangular(self.factor, self.features[rows].T, upper=False)  # [R, b]
            left = torch.eye(reach.shape[1], dtype=reach.dtype) - reach.T @ reach
            residual = self.truth[rows] - self.features[rows] @ self.coefficients
            said[rows] = self.truth[rows] - torch.cholesky_solve(residual, torch.linalg.cholesky(left))
        return said
