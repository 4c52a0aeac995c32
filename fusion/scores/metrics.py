"""How good predictions are: AUROC, AUPRC, log loss, Brier score, calibration, and areas under weights of patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

FloatArray = npt.NDArray[np.floating[Any]]

MEASURES = ("auroc", "auprc", "log_loss", "brier")

NEAREST = 1e-7
"""Probabilities are kept this far away from 0 and 1 where their logarithm is taken."""


def one_vs_rest(kind: str, y: FloatArray, probability: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return binary labels and scores [N, K]: of each label, or of each class against all others.

    ``y`` [N, C] with NaN for unknown labels; of several classes ``y`` [N, 1] holds the index.
    """
    if kind != "multiclass":
        return y, probability
    truth = (y == np.arange(probability.shape[1])).astype(np.float64)
    truth[np.isnan(y[:, 0])] = np.nan
    return truth, probability


def auroc(y: FloatArray, score: FloatArray) -> float | None:
    """Area under the ROC curve of y [N] (NaN: unknown) and score [N]; None where only one class occurs."""
    known = ~np.isnan(y)
    return float(roc_auc_score(y[known], score[known])) if _both(y[known]) else None


def auprc(y: FloatArray, score: FloatArray) -> float | None:
    """Average precision of y [N] (NaN: unknown) and score [N]; None where only one class occurs."""
    known = ~np.isnan(y)
    return float(average_precision_score(y[known], score[known])) if _both(y[known]) else None


def _both(y: FloatArray) -> bool:
    return bool(len(y)) and bool((y != y[0]).any())


@dataclass(frozen=True)
class Scores:
    """AUROC and AUPRC of each label, and their means over the labels that have both classes (None: no label has)."""

    auroc_per_label: list[float | None]
    auprc_per_label: list[float | None]

    @property
    def auroc(self) -> float | None:
        """Macro AUROC."""
        return mean_defined(self.auroc_per_label)

    @property
    def auprc(self) -> float | None:
        """Macro AUPRC."""
        return mean_defined(self.auprc_per_label)


def mean_defined(values: list[float | None]) -> float | None:
    """Return the mean of the values that are not None; None if all are."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def score(y: FloatArray, probability: FloatArray) -> Scores:
    """Score each column of binary labels and scores [N, K] (see `one_vs_rest`)."""
    pairs = list(zip(y.T, probability.T, strict=True))
    return Scores([auroc(*pair) for pair in pairs], [auprc(*pair) for pair in pairs])


def log_loss(kind: str, y: FloatArray, probability: FloatArray) -> float:
    """Mean cross-entropy over known labels (nats)."""
    truth, chance = one_vs_rest(kind, y, np.clip(probability.astype(np.float64), NEAREST, 1 - NEAREST))
    if kind == "multiclass":
        return float(np.nanmean(-np.log(chance[truth == 1])))
    return float(-np.nanmean(truth * np.log(chance) + (1 - truth) * np.log1p(-chance)))


def brier(kind: str, y: FloatArray, probability: FloatArray) -> float:
    """Mean squared error of the probabilities over known labels; of several classes summed over them."""
    truth, chance = one_vs_rest(kind, y, probability)
    squares = (chance - truth) ** 2
    return float(np.nanmean(squares.sum(axis=1) if kind == "multiclass" else squares))


def measures(kind: str, y: FloatArray, probability: FloatArray) -> dict[str, float | None]:
    """Return all of `MEASURES` for labels y [N, C] and probabilities [N, K]."""
    scores = score(*one_vs_rest(kind, y, probability))
    losses = (log_loss(kind, y, probability), brier(kind, y, probability))
    return dict(zip(MEASURES, (scores.auroc, scores.auprc, *losses), strict=True))


def calibration(y: FloatArray, probability: FloatArray) -> dict[str, float | None]:
    """Return how far probabilities [N] agree with binary labels y [N] (NaN: unknown).

    ``slope`` of the logistic regression of y on the logit of the probability (below 1: too extreme) and ``intercept``
    of that with slope 1 (below 0: too high on average). Both are None where one class occurs alone, and the slope where
    the probability separates the classes. (Van Calster et al., BMC Medicine 17:230, 2019.)
    """
    known = ~np.isnan(y)
    y, x = y[known], logit(np.clip(probability[known].astype(np.float64), NEAREST, 1 - NEAREST))
    if not _both(y):
        return {"slope": None, "intercept": None}
    return {
        "slope": _slope(y, x),
        "intercept": float(brentq(lambda shift: np.mean(expit(x + shift) - y), -50, 50)),
    }


def _slope(y: FloatArray, x: FloatArray) -> float | None:
    positive, negative = x[y == 1], x[y == 0]
    if positive.min() >= negative.max() or negative.min() >= positive.max():
        return None  # it has no finite maximum of the likelihood
    centred = (x - x.mean())[:, None]
    fitted = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8).fit(centred, y)
    return float(fitted.coef_[0, 0])


def weighted_areas(y: FloatArray, score: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return AUROC and average precision [S] under S sets of sample weights [S, N]; NaN where a class has no weight.

    Equal scores count as one threshold, as in scikit-learn.
    """
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    sorted_weights, positive = weights[:, order], y[order] == 1
    hits = np.cumsum(sorted_weights * positive, axis=1, dtype=np.float64)[:, last_of_tie]  # [S, T]
    alarms = np.cumsum(sorted_weights, axis=1, dtype=np.float64)[:, last_of_tie]
    misses = alarms - hits
    new_hits = np.diff(hits, axis=1, prepend=0)
    new_misses = np.diff(misses, axis=1, prepend=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        area = (new_misses * (hits - new_hits / 2)).sum(axis=1) / (hits[:, -1] * misses[:, -1])
        precision = np.where(alarms > 0, hits / alarms, 0.0)
        average = (new_hits * precision).sum(axis=1) / hits[:, -1]
    average[misses[:, -1] == 0] = np.nan
    return area, average


def macro_areas(y: FloatArray, probability: FloatArray, weights: FloatArray) -> FloatArray:
    """Return macro AUROC and AUPRC [2, S] of y, probability [N, K] under S sets of sample weights [S, N].

    The mean is over the labels that have both classes under the weights; NaN where none has.
    """
    per_label = []
    for truth, chance in zip(y.T, probability.T, strict=True):
        known = ~np.isnan(truth)
        if _both(truth[known]):
            per_label.append(np.stack(weighted_areas(truth[known], chance[known], weights[:, known])))
    if not per_label:
        return np.full((2, len(weights)), np.nan)
    stacked = np.stack(per_label)  # [labels, 2, S]
    defined = ~np.isnan(stacked)
    total, count = np.where(defined, stacked, 0).sum(axis=0), defined.sum(axis=0)
    means: FloatArray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return means
