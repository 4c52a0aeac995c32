"""How two methods differ that were tested on the same samples: intervals, tests and their correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from .areas import auroc_influence
from .intervals import TAILS
from .metrics import FloatArray

MARGIN = 0.005
"""Differences of an area smaller than this are of no consequence, unless a study says otherwise."""


@dataclass(frozen=True)
class Difference:
    """First method minus second: the mean, its 95 % interval and the two-sided p-value of no difference.

    ``p_equivalence`` is that of two one-sided tests of a difference as large as the margin: below .05, the 90 %
    interval lies within the margin. (TOST; Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15:657, 1987.)
    """

    mean: float
    low: float
    high: float
    p: float
    p_equivalence: float


def paired_t(differences: FloatArray, margin: float = MARGIN) -> Difference | None:
    """Paired t-test over folds of differences [F] (NaN: undefined in a fold); None with fewer than two.

    Training parts of folds overlap, so that it finds differences too easily (Nadeau and Bengio, Machine Learning
    52:239, 2003); `corrected_resampled_t` does not.
    """
    return corrected_resampled_t(differences, 0.0, margin)


def corrected_resampled_t(differences: FloatArray, test_share: float, margin: float = MARGIN) -> Difference | None:
    """Corrected resampled t-test of differences [n], one a test part (NaN: undefined); None with fewer than two.

    For procedures, not for fixed models: cross-validation with k folds, better repeated. ``test_share`` is the share
    of the samples that a part tests, 1 / k. The variance of the mean is ``1 / n + test / train`` times that of the
    differences, since training parts overlap. (Nadeau and Bengio, Machine Learning 52:239, 2003; Bouckaert and Frank,
    PAKDD 2004, for repeated folds.)
    """
    known = differences[~np.isnan(differences)]
    if len(known) < 2:
        return None
    factor = 1 / len(known) + test_share / (1 - test_share)
    error = float(np.sqrt(factor * known.var(ddof=1)))
    return _studentised(float(known.mean()), error, scipy.stats.t(len(known) - 1), margin)


def _studentised(mean: float, error: float, law: Any, margin: float) -> Difference:
    """Return the difference if ``mean / error`` follows a symmetric law where there is none."""
    reach = float(law.ppf(TAILS[1])) * error
    p = float(2 * law.sf(abs(mean) / error)) if error > 0 else float(mean == 0)
    beyond = margin - abs(mean)  # of the two tests that of the nearer margin has the larger p-value
    equivalence = float(law.sf(beyond / error)) if error > 0 else float(beyond <= 0)
    return Difference(mean, mean - reach, mean + reach, p, equivalence)


def over_trainings(values: FloatArray, margin: float = MARGIN) -> Difference | None:
    """Mean of a value over trainings with other seeds, its interval for other patients and other trainings.

    ``values`` [S, 1 + B] of S seeds: of all patients, then of B bootstrap draws of them, the same draws for all seeds
    (see `resampling`; a row of differences of two methods, or of one method's own values). None where nothing is
    defined.

    Patients are to seeds what cases are to readers in a study of diagnostic imaging. The variance of the mean is
    ``var / S + cov``: what seeds differ by, and the covariance over patients of two seeds; what patients and seeds have
    only together is in the first term already. It follows a t law with the degrees of freedom of Hillis. (Obuchowski
    and Rockette, Communications in Statistics 24:285, 1995; Hillis, Statistics in Medicine 26:596, 2007.) It is never
    taken to be smaller than what the draws of patients alone say of the mean. With one seed that is all there is: the
    interval is for this training, and another may lie outside it.
    """
    values = values[:, ~np.isnan(values).any(axis=0)]
    seeds = len(values)
    if values.shape[1] < 3:
        return None
    each, drawn = values[:, 0], values[:, 1:]
    patients = float(drawn.mean(axis=0).var(ddof=1))
    if seeds == 1:
        return _studentised(float(each[0]), np.sqrt(patients), scipy.stats.norm, margin)
    covariance = np.cov(drawn)  # [S, S]
    shared = (covariance.sum() - np.trace(covariance)) / (seeds * (seeds - 1))
    training = float(each.var(ddof=1)) / seeds
    variance = max(training + max(0.0, float(shared)), patients)
    freedom = (seeds - 1) * (variance / training) ** 2 if training > 0 else np.inf
    return _studentised(float(each.mean()), np.sqrt(variance), scipy.stats.t(freedom), margin)


def delong(y: FloatArray, first: FloatArray, second: FloatArray, margin: float = MARGIN) -> Difference | None:
    """Compare the AUROC of two scores [n] of binary labels y [n] (NaN: unknown) by DeLong's test.

    Only for predictions of one model each, as on a fixed test set: scores of several folds are not comparable with
    each other. None with fewer than two samples of a class. (DeLong et al., Biometrics 44:837, 1988, by the midranks
    of Sun and Xu, IEEE Signal Processing Letters 21:1389, 2014.)
    """
    known = ~np.isnan(y)
    y, scores = y[known], (first[known], second[known])
    counts = [int((y == label).sum()) for label in (1, 0)]
    if min(counts) < 2:
        return None
    (area, influence), (other, others) = (auroc_influence(y, score) for score in scores)
    squares = [((influence - others)[y == label] ** 2).sum() for label in (1, 0)]
    variance = sum(square * count / (count - 1) for square, count in zip(squares, counts, strict=True))
    return _studentised(area - other, float(np.sqrt(variance)), scipy.stats.norm, margin)


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Return p-values adjusted for all that are known, so that the chance of any false finding stays at the level.

    (Holm, Scandinavian Journal of Statistics 6:65, 1979.)
    """
    known = sorted((value, place) for place, value in enumerate(p) if value is not None)
    adjusted: list[float | None] = [None] * len(p)
    largest = 0.0
    for step, (value, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - step) * value))
        adjusted[place] = largest
    return adjusted


def sd_of_means(values: FloatArray) -> float | None:
    """Return the standard deviation over S seeds of the means over F folds of values [S, F] (NaN: undefined).

    It says what chance in training and splitting does to a result. None with fewer than two means.
    """
    means = np.ma.masked_invalid(values).mean(axis=1).compressed()
    return float(means.std(ddof=1)) if len(means) > 1 else None
