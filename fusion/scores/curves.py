"""Curves of predictions; of samples whose label and probability are known."""

import numpy as np
from numpy.typing import NDArray

from .metrics import both_classes

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def known(y: Floats, p: Floats) -> Bools:
    """Return where both the label and the probability are known; any shape."""
    return np.isfinite(y) & np.isfinite(p)


def known_labels(y: Floats, p: Floats) -> Floats:
    """Return the labels, NaN where the probability is unknown; any shape."""
    return np.where(known(y, p), y, np.nan)


def has_both_outcomes(y: Floats, p: Floats) -> bool:
    """Return whether y, p: [N] have both classes among what is known; without them there are no curves."""
    return both_classes(y[known(y, p)])


def known_rates(y: Floats) -> Floats:
    """Return the share of positives in each column of y: [N, C] that has a known label."""
    columns = [column[np.isfinite(column)] for column in y.T]
    return np.array([column.mean() for column in columns if len(column)])


def roc_points(y: Floats, p: Floats) -> tuple[Floats, Floats]:
    """Return false and true positive rates, [points] each, of y, p: [N]; empty unless both classes are present."""
    rows = known(y, p)
    if not both_classes(y[rows]):
        return np.empty(0), np.empty(0)
    from sklearn.metrics import roc_curve  # late: a second to import, and most commands draw no curve

    false_positive, true_positive, _ = roc_curve(y[rows], p[rows])
    return false_positive, true_positive


def precision_recall_points(y: Floats, p: Floats) -> tuple[Floats, Floats]:
    """Return recall (falling) and precision, [points] each, of y, p: [N]; empty unless both classes are present."""
    rows = known(y, p)
    if not both_classes(y[rows]):
        return np.empty(0), np.empty(0)
    from sklearn.metrics import precision_recall_curve  # late, as above

    precision, recall, _ = precision_recall_curve(y[rows], p[rows], drop_intermediate=True)
    return recall, precision
