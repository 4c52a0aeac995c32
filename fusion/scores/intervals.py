"""95 % intervals when a patient may have several samples: how many independent trials the patients are worth.

A measure between 0 and 1 is treated as a share of as many independent trials as would have the variance that it has
with whole patients, and gets the Wilson interval of such a share (Korn and Graubard, Survey Methodology 24:193, 1998).
It holds its estimate, stays between 0 and 1, and in simulation (``benchmarks/interval_coverage.py``) covers better than
a bootstrap of patients; the average precision of few positives less often than 95 %. Variances are what that bootstrap
has in the limit (the infinitesimal jackknife): each sample has an influence, the derivative of the measure by its
weight; those of a patient add up, and their squares over patients are the variance. For the AUROC that is the variance
of DeLong et al. (Biometrics 44:837, 1988), with several samples a patient that of Obuchowski (Biometrics 53:567, 1997).

Errors of quantities and measures of survival have no such trials: theirs are quantiles over 500 draws of the patients.

Intervals are for these models and predictions; what another training would change is not in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .areas import Area, Float64Array
from .measures import Measure
from .metrics import FloatArray, one_vs_rest
from .resampling import Predicted, Resampled, mean_over_folds, patient_weights

Subjects = npt.NDArray[Any]

TAILS = (0.025, 0.975)
"""Quantiles that a 95 % interval lies between."""

Z = 1.959964
"""Half width of a 95 % interval in standard deviations of a normal law."""

LEVEL = 0.05
"""Chance of a false finding that is accepted: of any among all that are corrected together, see `paired.holm`."""


@dataclass(frozen=True)
class Measured:
    """An estimate and its 95 % interval, which holds it."""

    value: float
    low: float
    high: float

    @property
    def ci(self) -> list[float]:
        """The bounds as metrics.json has them."""
        return [self.low, self.high]

    def minus(self, other: Measured, correlation: float = 0.0) -> Measured:
        """Return the difference to another estimate.

        ``correlation`` is that of both estimates, 0 of those from other patients (Newcombe, Statistics in Medicine
        17:873, 1998; with a correlation Zou and Donner, Statistics in Medicine 27:1693, 2008).
        """
        value = self.value - other.value
        below = _reach(self.value - self.low, other.high - other.value, correlation)
        above = _reach(self.high - self.value, other.value - other.low, correlation)
        return Measured(value, value - below, value + above)


def _reach(mine: float, theirs: float, correlation: float) -> float:
    return float(np.sqrt(max(0.0, mine**2 + theirs**2 - 2 * correlation * mine * theirs)))


def entries(name: str, found: Measured | None) -> dict[str, Any]:
    """Return the two entries of metrics.json, the value and ``_ci``; None where nothing is defined."""
    return {name: found.value if found else None, f"{name}_ci": found.ci if found else None}


def wilson(share: float, trials: float) -> Measured:
    """Return a share and its 95 % Wilson score interval; ``trials`` need not be a whole number."""
    centre, reach = share + Z**2 / (2 * trials), Z * np.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    low, high = ((centre + sign * reach) / (1 + Z**2 / trials) for sign in (-1, 1))
    return Measured(share, float(np.clip(low, 0, share)), float(np.clip(high, share, 1)))  # digits may be lost at 0, 1


def of_patients(values: Float64Array, subjects: Subjects) -> Float64Array:
    """Return the sum over each patient's samples, [P] of values [n]."""
    _, subject = np.unique(subjects, return_inverse=True)
    sums: Float64Array = np.bincount(subject, weights=values).astype(np.float64)
    return sums


def share(y: FloatArray, subjects: Subjects) -> Measured | None:
    """Return the share of ones among y [n] of 0 and 1; None without any."""
    return observed_expected(y, np.ones(len(y)), subjects)


def observed_expected(y: FloatArray, p: FloatArray, subjects: Subjects) -> Measured | None:
    """Return the positives among y [n] over the sum of probabilities p [n]; None without samples."""
    if not len(y):
        return None
    expected = float(p.sum())
    found = wilson(float(y.mean()), trials_of(y, p, subjects))
    return Measured(float(y.sum()) / expected, *(bound * len(y) / expected for bound in found.ci))


def trials_of(y: FloatArray, p: FloatArray, subjects: Subjects) -> float:
    """Return the independent trials of the rate of positives whose relative variance is that of observed over expected.

    ``y`` [n], n of 1 or more, are 0 or 1; ``p`` [n] the probabilities, or ones for the trials of the rate itself.
    """
    positives, rate = float(y.sum()), float(y.mean())
    variance = variance_of_positives(y, p, subjects)
    if variance > 1e-9 and rate < 1:
        return positives**2 * (1 - rate) / (rate * variance)
    return float(len(np.unique(subjects)))  # where nothing varies patients are all there is to count


def variance_of_positives(y: FloatArray, p: FloatArray, subjects: Subjects) -> float:
    """Return how much the number of positives varies around a multiple of the expected one, by patient; 0 of one."""
    off = of_patients(y - y.sum() / p.sum() * p, subjects)
    return float(len(off) / max(1, len(off) - 1) * (off**2).sum())


def of_measure(
    measure: Measure, y: FloatArray, predicted: Predicted, subjects: Subjects, folds: npt.NDArray[Any]
) -> Measured | None:
    """Return the mean of a measure over folds with its interval; None for one that has none, or is not defined.

    Parameters
    ----------
    measure : one of the table of measures
    y, predicted : [N, C], and [N, K] or curves of N samples
        As the measure takes them.
    subjects, folds : [N]
        The patient, and the fold that tested each sample. No patient is in two folds.
    """
    if measure.area is not None:
        assert isinstance(predicted, np.ndarray), f"{measure.title} is an area: it takes probabilities"
        return mean_area(measure.area, *one_vs_rest(y, predicted), subjects, folds)
    if measure.under_weights is None:
        return None
    return of_draws(measure.under_weights, y, predicted, subjects, folds)


def of_draws(
    under_weights: Resampled, y: FloatArray, predicted: Predicted, subjects: Subjects, folds: npt.NDArray[Any]
) -> Measured | None:
    """Return the mean over folds of a measure that takes weights, with its quantiles over draws of the patients."""
    if not len(y):
        return None
    names, patients = np.unique(subjects, return_inverse=True)
    drawn = mean_over_folds(under_weights, y, [predicted], folds, patients, patient_weights(len(names)))
    if np.isnan(drawn[0]):
        return None
    value = float(drawn[0])
    low, high = np.quantile(drawn[~np.isnan(drawn)], TAILS)
    return Measured(value, min(value, float(low)), max(value, float(high)))


def mean(values: FloatArray, subjects: Subjects) -> Measured | None:
    """Return the mean of values [n] with the interval of a normal law, by patient; None without any."""
    if not len(values):
        return None
    centre = float(values.mean(dtype=np.float64))
    off = of_patients(values.astype(np.float64) - centre, subjects)
    reach = Z * float(np.sqrt(len(off) / max(1, len(off) - 1) * (off**2).sum())) / len(values)
    return Measured(centre, centre - reach, centre + reach)


def mean_area(
    area: Area, y: FloatArray, score: FloatArray, subjects: Subjects, folds: npt.NDArray[Any]
) -> Measured | None:
    """Return the mean over folds of the macro area of each; None where no fold has both classes.

    Parameters
    ----------
    area : which
    y, score : float [N, K]
        Binary labels, NaN where unknown (see `metrics.one_vs_rest`), and what ranks them.
    subjects, folds : [N]
        The patient, and the fold that tested each sample. No patient is in two folds.
    """
    influence, means, cells = np.zeros(len(y)), [], []
    for rows in (np.flatnonzero(folds == fold) for fold in np.unique(folds)):
        labels = np.flatnonzero((y[rows] == 0).any(axis=0) & (y[rows] == 1).any(axis=0))
        if not len(labels):
            continue
        values = []
        for label in labels:
            known = rows[~np.isnan(y[rows, label])]
            value, moved, trials = _of_label(area, y[known, label], score[known, label], subjects[known])
            influence[known] += moved / len(labels)
            values.append(value)
            cells.append((1 / len(labels)) ** 2 / trials)
        means.append(float(np.mean(values)))
    if not means:
        return None
    value, most = float(np.mean(means)), len(means) ** 2 / sum(cells)
    variance = float((of_patients(influence, subjects) ** 2).sum()) / len(means) ** 2
    trials = min(most, value * (1 - value) / variance) if variance > 0 and 0 < value < 1 else most
    return wilson(value, trials)


def _of_label(area: Area, y: FloatArray, score: FloatArray, subjects: Subjects) -> tuple[float, Float64Array, float]:
    """Return an area, the influence of each sample [n], and how many trials the patients are worth at most.

    Influences of a class are enlarged as in a variance of so many patients, for each class by its own.
    """
    positive = y == 1
    patients = [len(np.unique(subjects[rows])) for rows in (positive, ~positive)]
    value, influence = area.influence(y, score)
    enlarged = [np.sqrt(count / max(1, count - 1)) for count in patients]
    return value, influence * np.where(positive, *enlarged), area.most_trials(value, *patients)
