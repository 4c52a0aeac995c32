"""How far predicted quantities are from those that were measured: absolute and squared errors, explained variance.

All take quantities y [n, C] of C outcomes (NaN: unknown), what was predicted of them [n, C], and S sets of sample
weights [S, n], and return the mean over the outcomes that have a value, [S]; NaN where none has.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .metrics import FloatArray

Float64Array = npt.NDArray[np.float64]


def mean_absolute_error(y: FloatArray, predicted: FloatArray, weights: FloatArray) -> Float64Array:
    """Return the mean absolute error, in the unit of the outcomes."""
    return _over_outcomes(lambda y, predicted, weights: weights @ np.abs(predicted - y), y, predicted, weights)


def root_mean_squared_error(y: FloatArray, predicted: FloatArray, weights: FloatArray) -> Float64Array:
    """Return the square root of the mean squared error, in the unit of the outcomes."""
    return _over_outcomes(lambda y, predicted, weights: np.sqrt(_squared(y, predicted, weights)), y, predicted, weights)


def explained_variance(y: FloatArray, predicted: FloatArray, weights: FloatArray) -> Float64Array:
    """Return R², 1 less the mean squared error over the variance; NaN for an outcome that is the same everywhere.

    Who always predicts the mean reaches 0; worse predictions have less.
    """
    return _over_outcomes(_r2, y, predicted, weights)


def _squared(y: Float64Array, predicted: Float64Array, weights: Float64Array) -> Float64Array:
    squares: Float64Array = weights @ (predicted - y) ** 2
    return squares


def _r2(y: Float64Array, predicted: Float64Array, weights: Float64Array) -> Float64Array:
    y, predicted = y - y.mean(), predicted - y.mean()  # so that no digits are lost in the variance
    variance = weights @ y**2 - (weights @ y) ** 2
    varies = np.full(len(weights), bool((y != y[0]).any())) & (variance > 1e-12 * (y**2).max())
    share = np.divide(_squared(y, predicted, weights), variance, out=np.full(len(weights), np.nan), where=varies)
    explained: Float64Array = 1 - share
    return explained


def _over_outcomes(
    of_one: Callable[[Float64Array, Float64Array, Float64Array], Float64Array],
    y: FloatArray,
    predicted: FloatArray,
    weights: FloatArray,
) -> Float64Array:
    """Return the mean over outcomes of a function of one outcome's known y, predicted [m], and weights of sum 1."""
    means, count = np.zeros(len(weights)), np.zeros(len(weights))
    for truth, said in zip(y.T.astype(np.float64), predicted.T.astype(np.float64), strict=True):
        known = ~np.isnan(truth)
        total = weights[:, known].sum(axis=1, dtype=np.float64, keepdims=True)
        if not known.any():
            continue
        shares = np.divide(weights[:, known], total, out=np.full((len(total), known.sum()), np.nan), where=total > 0)
        value = of_one(truth[known], said[known], shares)
        means += np.where(np.isnan(value), 0, value)
        count += ~np.isnan(value)
    mean: Float64Array = np.divide(means, count, out=np.full(len(weights), np.nan), where=count > 0)
    return mean
