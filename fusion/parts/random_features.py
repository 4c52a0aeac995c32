"""Ridge regression with a Gaussian kernel, as one on random features of the inputs: no sample has to be kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve, solve_triangular
from scipy.stats import chi

FloatArray = npt.NDArray[np.float64]


def orthogonal_directions(columns: int, count: int, generator: np.random.Generator) -> FloatArray:
    """Draw directions [columns, count] that are as normal ones, but at right angles within each ``columns`` of them.

    That halves the error of the kernel (Yu et al., NeurIPS 2016, orthogonal random features).
    """
    blocks = []
    for _ in range(-(-count // columns)):
        turned, _ = np.linalg.qr(generator.normal(size=(columns, columns)))
        blocks.append(turned * chi.rvs(columns, size=columns, random_state=generator))
    drawn: FloatArray = np.concatenate(blocks, axis=1)[:, :count]
    return drawn


def random_features(inputs: npt.NDArray[Any], directions: npt.NDArray[Any], width: float) -> FloatArray:
    """Return features [n, 2 D] of inputs [n, F] whose products are about ``exp(-width * squared distance)``."""
    angles = np.sqrt(2 * width) * (inputs @ directions)  # [n, D]
    features: FloatArray = np.concatenate([np.cos(angles), np.sin(angles)], axis=1, dtype=np.float64)
    features /= np.sqrt(directions.shape[1])
    return features


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression: features [n, R], truth [n, K], coefficients [R, K] and ``factor`` [R, R], Cholesky."""

    features: FloatArray
    truth: FloatArray
    coefficients: FloatArray
    factor: FloatArray

    @classmethod
    def fit(cls, features: FloatArray, truth: FloatArray, ridge: float) -> Ridge:
        """Minimise the sum of squared errors plus ``ridge`` times that of the coefficients."""
        products = features.T @ features
        products[np.diag_indices_from(products)] += ridge
        factor, _ = cho_factor(products, lower=True, overwrite_a=True, check_finite=False)
        coefficients = cho_solve((factor, True), features.T @ truth, check_finite=False)
        return cls(features, truth, coefficients, factor)

    def held_out(self, part: npt.NDArray[np.int64]) -> FloatArray:
        """Return what regressions on all other parts say of each part of the samples, ``part`` [n]: [n, K].

        It is exact, and fits nothing anew: what is held out errs by ``(1 - H)^-1`` times the residuals of the whole
        fit, with the block H of the hat matrix.
        """
        said = np.empty_like(self.truth)
        for number in np.unique(part):
            rows = part == number
            reach = solve_triangular(self.factor, self.features[rows].T, lower=True, check_finite=False)  # [R, b]
            residual = self.truth[rows] - self.features[rows] @ self.coefficients
            left = np.eye(rows.sum()) - reach.T @ reach
            said[rows] = self.truth[rows] - solve(left, residual, assume_a="pos", check_finite=False)
        return said
