"""Other patients: measures under draws of the patients with replacement.

A patient is drawn with all samples. What is drawn are weights, how often each patient counts, the same for all that is
to be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .metrics import FloatArray
from .survival import SurvivalCurves

Predicted = FloatArray | SurvivalCurves
"""What is predicted of n samples: probabilities or quantities [n, K], or survival curves."""

Resampled = Callable[[FloatArray, Any, FloatArray], FloatArray]
"""A measure of y [n, C] and what was predicted under S sets of sample weights [S, n]: values [S], NaN if undefined."""

DRAWS = 500
"""Draws of patients: their variance is then known to a fifteenth."""

CELLS_AT_ONCE = 1 << 24
"""Weights of samples that are held together: 64 MB of them."""


def patient_weights(patients: int, draws: int = DRAWS, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return how often each patient counts, [1 + B, P]: all once, then in B draws of P with replacement."""
    shares = np.full(patients, 1 / patients)
    drawn = np.random.default_rng(seed).multinomial(patients, shares, size=draws)
    return np.concatenate([np.ones((1, patients)), drawn]).astype(np.uint8)


def mean_over_folds(
    measure: Resampled,
    y: FloatArray,
    versions: Sequence[Predicted] | FloatArray,
    folds: npt.NDArray[Any],
    patients: npt.NDArray[np.integer],
    weights: npt.NDArray[Any],
) -> FloatArray:
    """Return a measure under S sets of weights of P patients, [S]: the mean over folds and versions.

    ``y`` [n, C] as the measure takes it, ``versions`` [D] what was predicted of the n samples, once or several times,
    such as under several draws of who lacks what; ``folds`` [n], the fold that tested each sample, ``patients`` [n],
    the place of its patient among the P of ``weights`` [S, P]. Folds where the measure is not defined are left out; NaN
    where it is in none.
    """
    values = []
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        step = max(1, CELLS_AT_ONCE // max(1, len(rows)))
        parts = []
        for begin in range(0, len(weights), step):
            chosen = weights[begin : begin + step, patients[rows]].astype(np.float32)
            parts.append(np.mean([measure(y[rows], version[rows], chosen) for version in versions], axis=0))
        values.append(np.concatenate(parts))
    if not values:
        return np.full(len(weights), np.nan)
    means: FloatArray = np.ma.masked_invalid(np.stack(values)).mean(axis=0).filled(np.nan)
    return means
