"""How good predictions are, as functions: AUROC and AUPRC of one label, log loss, Brier score, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
from scipy.special import expit, logit

FloatArray = npt.NDArray[np.floating[Any]]

NEAREST = 1e-7
"""Probabilities are kept this far away from 0 and 1 where their logarithm is taken."""


def one_vs_rest(y: FloatArray, probability: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return binary labels and scores [N, K]: of each label, or of each class against all others.

    ``y`` [N, K] with NaN for unknown labels; of several classes ``y`` [N, 1] holds the index.
    """
    if not _are_classes(y, probability):
        return y, probability
    truth = (y == np.arange(probability.shape[1])).astype(np.float64)
    truth[np.isnan(y[:, 0])] = np.nan
    return truth, probability


def _are_classes(y: FloatArray, probability: FloatArray) -> bool:
    """Return whether one column of labels holds the index of a class, and not a label of its own."""
    return bool(y.shape[1] < probability.shape[1])


def auroc(y: FloatArray, score: FloatArray) -> float | None:
    """Area under the ROC curve of y [N] (NaN: unknown) and score [N]; None where only one class occurs."""
    from sklearn.metrics import roc_auc_score  # late: seconds to import, and a process that fits a fold does without

    known = ~np.isnan(y)
    return float(roc_auc_score(y[known], score[known])) if both_classes(y[known]) else None


def auprc(y: FloatArray, score: FloatArray) -> float | None:
    """Average precision of y [N] (NaN: unknown) and score [N]; None where only one class occurs."""
    from sklearn.metrics import average_precision_score  # late, as above

    known = ~np.isnan(y)
    return float(average_precision_score(y[known], score[known])) if both_classes(y[known]) else None


def both_classes(y: FloatArray) -> bool:
    """Return whether known binary labels y [N] have both classes."""
    return bool(len(y)) and bool((y != y[0]).any())


def mean_defined(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None; None if all are."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def fold_masks(folds: npt.NDArray[Any]) -> list[npt.NDArray[np.bool_]]:
    """Return the samples [N] of each fold; those of no fold (NaN) are one part, the first."""
    without = np.isnan(folds)
    return [without] * bool(without.any()) + [folds == fold for fold in np.unique(folds[~without])]


def log_loss(y: FloatArray, probability: FloatArray) -> float | None:
    """Mean cross-entropy (nats) over known labels y [N, C] for probabilities [N, K]; None where none is known."""
    truth, chance = one_vs_rest(y, np.clip(probability.astype(np.float64), NEAREST, 1 - NEAREST))
    if np.isnan(truth).all():
        return None
    if _are_classes(y, probability):
        return float(np.nanmean(-np.log(chance[truth == 1])))
    return float(-np.nanmean(truth * np.log(chance) + (1 - truth) * np.log1p(-chance)))


def brier(y: FloatArray, probability: FloatArray) -> float | None:
    """Mean squared error of the probabilities over known labels; of several classes summed over them."""
    truth, chance = one_vs_rest(y, probability)
    if np.isnan(truth).all():
        return None
    squares = (chance - truth) ** 2
    return float(np.nanmean(squares.sum(axis=1) if _are_classes(y, probability) else squares))


def calibration(y: FloatArray, probability: FloatArray) -> dict[str, float | None]:
    """Return how far probabilities [N] agree with binary labels y [N] (NaN: unknown).

    ``slope`` of the logistic regression of y on the logit of the probability (below 1: too extreme) and ``intercept``
    of that with slope 1 (below 0: too high on average). Both are None where one class occurs alone, and the slope where
    the probability separates the classes. (Van Calster et al., BMC Medicine 17:230, 2019.)
    """
    known = ~np.isnan(y)
    y, x = y[known], logit(np.clip(probability[known].astype(np.float64), NEAREST, 1 - NEAREST))
    if not both_classes(y):
        return {"slope": None, "intercept": None}
    return {
        "slope": _slope(y, x),
        "intercept": float(scipy.optimize.brentq(lambda shift: np.mean(expit(x + shift) - y), -50, 50)),
    }


def _slope(y: FloatArray, x: FloatArray) -> float | None:
    from sklearn.linear_model import LogisticRegression  # late, as above

    positive, negative = x[y == 1], x[y == 0]
    if positive.min() >= negative.max() or negative.min() >= positive.max():
        return None  # it has no finite maximum of the likelihood
    centred = (x - x.mean())[:, None]
    fitted = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8).fit(centred, y)
    return float(fitted.coef_[0, 0])
