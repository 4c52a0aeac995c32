"""How far predicted probabilities agree with what happened: over everybody, along the probability, and in groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, gammainc, gammaincc

from . import intervals, metrics
from .decisions import expected_calibration_error
from .intervals import Measured, Subjects
from .metrics import FloatArray

BINS = 10
ROWS_PER_BIN = 20


def calibration(y: FloatArray, p: FloatArray, subjects: Subjects) -> dict[str, Any]:
    """Return what metrics.json says of the calibration of p [n] to binary y [n] (NaN: unknown).

    ``slope`` and ``intercept`` (see `metrics.calibration`), ``observed_expected`` with ``_ci``, and ``ece``.
    """
    return {
        **metrics.calibration(y, p),
        **intervals.entries("observed_expected", observed_expected(y, p, subjects)),
        "ece": expected_calibration_error(y, p),
    }


def observed_expected(y: FloatArray, p: FloatArray, subjects: Subjects) -> Measured | None:
    """Return positives over expected ones among the known labels of y [n]; None without any."""
    return intervals.observed_expected(*_known(y, p, subjects))


def reliability(y: FloatArray, p: FloatArray, subjects: Subjects) -> list[dict[str, float]]:
    """Return mean probability and observed share in at most ten groups of equal size by probability.

    Groups have at least 20 samples, if there are so many. Each has ``predicted``, ``observed``, ``low`` and ``high``.
    """
    y, p, subjects = _known(y, p, subjects)
    groups = np.array_split(np.argsort(p, kind="stable"), max(1, min(BINS, len(p) // ROWS_PER_BIN)))
    shares = [(float(p[rows].mean()), intervals.share(y[rows], subjects[rows])) for rows in groups if len(rows)]
    return [
        {"predicted": predicted, "observed": found.value, "low": found.low, "high": found.high}
        for predicted, found in shares
        if found is not None
    ]


def p_of_everybody(y: FloatArray, p: FloatArray, subjects: Subjects) -> float | None:
    """Return the two-sided p-value of as many positives as expected; None without samples.

    Positives are counted in units of their variance, so that they follow a Poisson law where patients agree with
    themselves or probabilities are informative.
    """
    y, p, subjects = _known(y, p, subjects)
    if not len(y):
        return None
    unit = _dispersion(y, p, subjects)
    found, expected = y.sum() / unit, p.sum() / unit
    return _two_sided(gammainc(found, expected) if found else 1.0, gammaincc(found + 1, expected))


def relative_to_everybody(
    inside: npt.NDArray[np.bool_], y: FloatArray, p: FloatArray, subjects: Subjects
) -> tuple[Measured, float] | None:
    """Return how much more positives a group ``inside`` [n] has than everybody's level predicts, and the p-value.

    The level of everybody is their observed over expected positives. Given how many positives there are, those of the
    group follow a binomial law with its share of the expected ones; they are counted in units of their variance. None
    where there is no positive, or nobody in the group or outside.
    """
    known = ~np.isnan(y)
    inside, (y, p, subjects) = inside[known], _known(y, p, subjects)
    if not y.sum() or inside.all() or not inside.any():
        return None
    level = y.sum() / p.sum()
    found = intervals.observed_expected(y[inside], level * p[inside], subjects[inside])
    assert found is not None
    unit = max(_dispersion(y[rows], p[rows], subjects[rows]) for rows in (np.ones(len(y), dtype=bool), inside))
    group, everybody, expected = y[inside].sum() / unit, y.sum() / unit, p[inside].sum() / p.sum()
    others = everybody - group
    at_least = betainc(group, others + 1, expected) if group else 1.0
    at_most = 1 - betainc(group + 1, others, expected) if others else 1.0
    return found, _two_sided(at_least, at_most)


def _known(y: FloatArray, p: FloatArray, subjects: Subjects) -> tuple[FloatArray, FloatArray, Subjects]:
    known = ~np.isnan(y)
    return y[known].astype(np.float64), np.clip(p[known].astype(np.float64), metrics.NEAREST, 1), subjects[known]


def _dispersion(y: FloatArray, p: FloatArray, subjects: Subjects) -> float:
    """Return the variance of the number of positives for each one; without any that of patients who agree."""
    variance = intervals.variance_of_positives(y, p, subjects)
    return variance / float(y.sum()) if variance > 1e-9 else len(y) / len(np.unique(subjects))


def _two_sided(at_least: float, at_most: float) -> float:
    return min(1.0, 2 * float(min(at_least, at_most)))
