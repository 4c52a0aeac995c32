"""Scores and curves of predictions. Undefined scores (one class only) are None, never a number."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Score = Callable[[Floats, Floats], float | None]
"""A score of y, p: [N]; None where it is not defined."""


def known(y: Floats, p: Floats) -> Bools:
    """Return where both the label and the probability are known; any shape."""
    return np.isfinite(y) & np.isfinite(p)


def known_rates(y: Floats) -> Floats:
    """Return the share of positives in each column of y: [N, C] that has a known label."""
    columns = [column[np.isfinite(column)] for column in y.T]
    return np.array([column.mean() for column in columns if len(column)])


def auroc(y: Floats, p: Floats) -> float | None:
    """Return the area under the ROC curve of y, p: [N]; None unless both classes are present."""
    rows = known(y, p)
    return float(roc_auc_score(y[rows], p[rows])) if _both_classes(y[rows]) else None


def auprc(y: Floats, p: Floats) -> float | None:
    """Return the average precision of y, p: [N]; None unless both classes are present."""
    rows = known(y, p)
    return float(average_precision_score(y[rows], p[rows])) if _both_classes(y[rows]) else None


def macro_auroc(y: Floats, p: Floats, fold: Floats) -> float | None:
    """Return the mean AUROC over the columns of y, p: [N, C] that have both classes, mean over folds; None if none."""
    means = [_mean([auroc(*pair) for pair in zip(y[rows].T, p[rows].T, strict=True)]) for rows in _parts(fold)]
    return _mean(means)


def _parts(fold: Floats) -> list[Bools]:
    """Return the samples of each fold, all of them where there are no folds; masks [N]."""
    return [np.isnan(fold)] * bool(np.isnan(fold).any()) + [
        fold == value for value in np.unique(fold[np.isfinite(fold)])
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def roc_points(y: Floats, p: Floats) -> tuple[Floats, Floats]:
    """Return false and true positive rates, [points] each, of y, p: [N]; empty unless both classes are present."""
    rows = known(y, p)
    if not _both_classes(y[rows]):
        return np.empty(0), np.empty(0)
    false_positive, true_positive, _ = roc_curve(y[rows], p[rows])
    return false_positive, true_positive


def precision_recall_points(y: Floats, p: Floats) -> tuple[Floats, Floats]:
    """Return recall (falling) and precision, [points] each, of y, p: [N]; empty unless both classes are present."""
    rows = known(y, p)
    if not _both_classes(y[rows]):
        return np.empty(0), np.empty(0)
    precision, recall, _ = precision_recall_curve(y[rows], p[rows], drop_intermediate=True)
    return recall, precision


def log_loss(y: Floats, p: Floats) -> float | None:
    """Return the mean negative log probability of the true outcome; probabilities are kept off 0 and 1 by 1e-7."""
    rows = known(y, p)
    if not rows.any():
        return None
    clipped = np.clip(p[rows], 1e-7, 1 - 1e-7)
    return float(-np.mean(y[rows] * np.log(clipped) + (1 - y[rows]) * np.log1p(-clipped)))


def brier(y: Floats, p: Floats) -> float | None:
    """Return the mean squared difference of outcome and probability."""
    rows = known(y, p)
    return float(np.mean((y[rows] - p[rows]) ** 2)) if rows.any() else None


def _both_classes(y: Floats) -> bool:
    return bool(len(y)) and bool(y.min() == 0) and bool(y.max() == 1)
