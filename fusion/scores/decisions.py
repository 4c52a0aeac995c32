"""What probabilities are worth to who acts on them: calibration error, alerts at a fixed rate, net benefit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from . import intervals
from .intervals import Subjects
from .metrics import FloatArray

Float64Array = npt.NDArray[np.float64]

ALERT_RATE = 0.1
"""Share of the samples that a ward has time to look at."""


def expected_calibration_error(y: FloatArray, p: FloatArray, groups: int = 10) -> float | None:
    """Mean distance of observed rate and mean probability in groups of equal size by probability.

    ``y`` [n] (NaN: unknown), ``p`` [n]; groups count by their samples. Equal probabilities stay in one group. None
    without labels. (Naeini et al., AAAI 2015, there with groups of equal width.)
    """
    known = ~np.isnan(y)
    y, p = y[known], p[known].astype(np.float64)
    if not len(y):
        return None
    group = np.floor((scipy.stats.rankdata(p) - 0.5) / len(p) * groups).astype(np.int64)
    return float(np.abs(np.bincount(group, weights=y - p)).sum() / len(y))


def at_alert_rate(y: FloatArray, p: FloatArray, subjects: Subjects, rate: float = ALERT_RATE) -> dict[str, Any]:
    """Return what alerting for the highest probabilities finds, at most for a share ``rate`` of the samples.

    ``y`` [n] (NaN: unknown), ``p``, ``subjects`` [n]. Equal probabilities alert together or not at all. The result has
    ``rate``, the number of ``samples`` and ``alerts``, the lowest probability that alerts (``threshold``),
    ``sensitivity``, ``specificity`` and ``positive_predictive_value`` with the 95 % interval of that threshold
    (``_ci``); None where nobody is positive or negative, or nothing alerts.
    """
    known = ~np.isnan(y)
    y, p, subjects = y[known], p[known], subjects[known]
    allowed = int(rate * len(y) + 1e-9)  # 0.07 * 100 is a little above 7, 0.29 * 100 a little below 29
    passed_over = np.sort(p)[::-1][allowed:]  # [n - allowed], the highest first
    alert = p > passed_over[0] if len(passed_over) else np.ones(len(p), dtype=bool)
    threshold = float(p[alert].min()) if alert.any() else None
    return {"rate": rate, **_alerting(y, alert, subjects, threshold)}


def at_threshold(y: FloatArray, p: FloatArray, subjects: Subjects, threshold: float) -> dict[str, Any]:
    """Return what alerting from a probability on finds: as :func:`at_alert_rate`, but for the rate."""
    known = ~np.isnan(y)
    return _alerting(y[known], p[known] >= threshold, subjects[known], threshold)


def _alerting(
    y: FloatArray, alert: npt.NDArray[np.bool_], subjects: Subjects, threshold: float | None
) -> dict[str, Any]:
    shares = {
        "sensitivity": (alert, y == 1),
        "specificity": (~alert, y == 0),
        "positive_predictive_value": (y == 1, alert),
    }
    found = {name: intervals.share(part[whole], subjects[whole]) for name, (part, whole) in shares.items()}
    return {
        "samples": len(y),
        "alerts": int(alert.sum()),
        "threshold": threshold,
        **{key: value for name, one in found.items() for key, value in intervals.entries(name, one).items()},
    }


def net_benefit(y: FloatArray, p: FloatArray, thresholds: FloatArray) -> tuple[Float64Array, Float64Array]:
    """Return the net benefit of treating by the model and of treating all, [T] each; treating none has 0.

    ``y`` [n] (NaN: unknown), ``p`` [n], ``thresholds`` [T] below 1: a sample is treated if its probability is at least
    the threshold, whose odds are how much a needless treatment harms, in units of what a needed one is worth. (Vickers
    and Elkin, Medical Decision Making 26:565, 2006.)
    """
    known = ~np.isnan(y)
    y, p = y[known].astype(np.float64), p[known]
    treated = p >= thresholds[:, None]  # [T, n]
    odds: Float64Array = thresholds.astype(np.float64) / (1 - thresholds)
    model = (treated & (y == 1)).mean(axis=1) - odds * (treated & (y == 0)).mean(axis=1)
    return model, y.mean() - odds * (1 - y.mean())
