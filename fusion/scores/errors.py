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
    return _over_outcomes(lambda _, off: (np.abs(off),), lambda error: error, y, predicted, weights)


def root_mean_squared_error(y: FloatArray, predicted: FloatArray, weights: FloatArray) -> Float64Array:
    """Return the square root of the mean squared error, in the unit of the outcomes."""
    return _over_outcomes(lambda _, off: (off**2,), np.sqrt, y, predicted, weights)


def explained_variance(y: FloatArray, predicted: FloatArray, weights: FloatArray) -> Float64Array:
    """Return R², 1 less the mean squared error over the variance; NaN for an outcome that is the same everywhere.

    Who always predicts the mean reaches 0; worse predictions have less.
    """
    return _over_outcomes(lambda y, off: (off**2, y, y**2), _r2, y, predicted, weights)


def _r2(error: Float64Array, mean: Float64Array, square: Float64Array) -> Float64Array:
    variance = square - mean**2
    varies = variance > 1e-12 * square
    explained: Float64Array = 1 - np.divide(error, variance, out=np.full(len(error), np.nan), where=varies)
    return explained


def _over_outcomes(
    terms: Callable[[Float64Array, Float64Array], tuple[Float64Array, ...]],
    of_means: Callable[..., Float64Array],
    y: FloatArray,
    predicted: FloatArray,
    weights: FloatArray,
) -> Float64Array:
    """Return the mean over outcomes of a function of the weighted means of some ``terms``.

    These are of the known y [m] of an outcome, from its own mean, and how far predictions are off [m].
    """
    total, count = np.zeros(len(weights)), np.zeros(len(weights))
    for truth, said in zip(y.T.astype(np.float64), predicted.T.astype(np.float64), strict=True):
        known = ~np.isnan(truth)
        if not known.any():
            continue
        summed = np.zeros((len(truth), 1 + len(terms(truth[:0], said[:0]))))  # [n, 1 + terms], 0 where unknown
        centred = truth[known] - truth[known].mean()  # so that no digits are lost in the variance
        summed[known] = np.stack([np.ones(known.sum()), *terms(centred, said[known] - truth[known])], axis=1)
        weight, *sums = (weights @ summed).T
        means = [np.divide(one, weight, out=np.full(len(weight), np.nan), where=weight > 0) for one in sums]
        value = of_means(*means)
        total += np.where(np.isnan(value), 0, value)
        count += ~np.isnan(value)
    mean: Float64Array = np.divide(total, count, out=np.full(len(weights), np.nan), where=count > 0)
    return mean
