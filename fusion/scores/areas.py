"""What intervals and comparisons of an area under a curve take: influences, weights of samples, trials.

An area is a number between 0 and 1 that says how binary labels y [n] are ranked by a score [n]; it needs both classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from .metrics import FloatArray, both_classes

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Area:
    """How an area is resampled.

    ``influence`` of y, score [n] (both classes, nothing unknown) returns the area and the influence of each sample [n],
    the derivative of the area by its weight. ``under_weights`` of y, score [n] and S sets of sample weights [S, n]
    returns S areas, NaN where a class has no weight; equal scores count as one threshold. ``most_trials`` of an area
    and the numbers of patients with positive and with negative samples returns how many independent trials they are
    worth at most.
    """

    influence: Callable[[FloatArray, FloatArray], tuple[float, Float64Array]]
    under_weights: Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
    most_trials: Callable[[float, int, int], float]

    def over_labels(self, y: FloatArray, scores: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the mean area [S] over the labels that have both classes under weights [S, n]; NaN where none has.

        ``y`` [n, K] are binary labels (see `metrics.one_vs_rest`; NaN: unknown), ``scores`` [n, K].
        """
        per_label = []
        for truth, score in zip(y.T, scores.T, strict=True):
            known = ~np.isnan(truth)
            if both_classes(truth[known]):
                per_label.append(self.under_weights(truth[known], score[known], weights[:, known]))
        if not per_label:
            return np.full(len(weights), np.nan)
        stacked = np.stack(per_label)  # [labels, S]
        defined = ~np.isnan(stacked)
        total, count = np.where(defined, stacked, 0).sum(axis=0), defined.sum(axis=0)
        means: FloatArray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        return means


def auroc_influence(y: FloatArray, score: FloatArray) -> tuple[float, Float64Array]:
    """Return the AUROC of binary y [n] and the influence of each sample, [n], by midranks."""
    positive = y == 1
    count, others = int(positive.sum()), int((~positive).sum())
    ranks, right = (
        scipy.stats.rankdata(score),
        np.empty(len(y)),
    )  # the share of the other class that a sample stands right to
    right[positive] = (ranks[positive] - scipy.stats.rankdata(score[positive])) / others
    right[~positive] = 1 - (ranks[~positive] - scipy.stats.rankdata(score[~positive])) / count
    area = float(right[positive].mean())
    return area, (right - area) / np.where(positive, count, others)


def auprc_influence(y: FloatArray, score: FloatArray) -> tuple[float, Float64Array]:
    """Return the average precision of binary y [n] and the influence of each sample, [n]."""
    _, threshold = np.unique(-score, return_inverse=True)  # [n], 0 the highest; equal scores are one threshold
    new_hits = np.bincount(threshold, weights=y)  # [T]
    hits, alarms = np.cumsum(new_hits), np.cumsum(np.bincount(threshold))
    precision = hits / alarms
    average = float((new_hits * precision).sum() / hits[-1])
    later = np.cumsum((new_hits / alarms)[::-1])[::-1]  # what one more hit adds to precision at all later thresholds
    diluted = np.cumsum((new_hits * precision / alarms)[::-1])[::-1]
    return average, (y * (precision + later - average)[threshold] - diluted[threshold]) / hits[-1]


def auroc_under_weights(y: FloatArray, score: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the AUROC [S] under S sets of sample weights [S, n]."""
    hits, alarms = _counts(y, score, weights)
    misses = alarms - hits
    new_hits, new_misses = np.diff(hits, axis=1, prepend=0), np.diff(misses, axis=1, prepend=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        area: FloatArray = (new_misses * (hits - new_hits / 2)).sum(axis=1) / (hits[:, -1] * misses[:, -1])
    return area


def auprc_under_weights(y: FloatArray, score: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the average precision [S] under S sets of sample weights [S, n]."""
    hits, alarms = _counts(y, score, weights)
    new_hits = np.diff(hits, axis=1, prepend=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(alarms > 0, hits / alarms, 0.0)
        average: FloatArray = (new_hits * precision).sum(axis=1) / hits[:, -1]
    average[alarms[:, -1] == hits[:, -1]] = np.nan
    return average


def _counts(y: FloatArray, score: FloatArray, weights: FloatArray) -> tuple[Float64Array, Float64Array]:
    """Return the weight of positives and of all samples at or above each of T thresholds, [S, T] each."""
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    sorted_weights, positive = weights[:, order], y[order] == 1
    hits = np.cumsum(sorted_weights * positive, axis=1, dtype=np.float64)[:, last_of_tie]
    alarms = np.cumsum(sorted_weights, axis=1, dtype=np.float64)[:, last_of_tie]
    return hits, alarms


def _trials_of_hanley(area: float, positive: int, negative: int) -> float:
    """Return the trials that an AUROC is worth by its variance under exponential scores.

    (Hanley and McNeil, Radiology 143:29, 1982, in the form of Newcombe, Statistics in Medicine 25:559, 2006.)
    """
    others = (positive + negative) / 2 - 1
    return positive * negative / (1 + others * ((1 - area) / (2 - area) + area / (1 + area)))


def _trials_of_positives(_area: float, positive: int, _negative: int) -> float:
    """Return the trials that an average precision is worth, the positives (Boyd, Eng and Page, ECML PKDD 2013)."""
    return float(positive)


AUROC = Area(auroc_influence, auroc_under_weights, _trials_of_hanley)
AUPRC = Area(auprc_influence, auprc_under_weights, _trials_of_positives)
