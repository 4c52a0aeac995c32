"""How two methods differ that were tested on the same samples: intervals, tests and their correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from . import metrics
from .metrics import FloatArray

AREAS = ("auroc", "auprc")
"""What `paired_bootstrap` can compare."""


@dataclass(frozen=True)
class Difference:
    """First method minus second: the mean, its 95 % interval and the two-sided p-value of no difference."""

    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Pair:
    """What two methods say of the same n samples.

    ``y`` [n, K] binary labels (see `metrics.one_vs_rest`; NaN: unknown), ``first`` and ``second`` [n, K] the scores of
    the two methods, ``subjects`` [n], and ``folds`` [n], the fold that tested each sample.
    """

    y: FloatArray
    first: FloatArray
    second: FloatArray
    subjects: npt.NDArray[Any]
    folds: npt.NDArray[Any]


def paired_t(differences: FloatArray) -> Difference | None:
    """Paired t-test over folds of differences [F] (NaN: undefined in a fold); None with fewer than two.

    Training parts of folds overlap, so that it finds differences too easily (Nadeau and Bengio, Machine Learning
    52:239, 2003); `corrected_resampled_t` does not.
    """
    return corrected_resampled_t(differences, test_share=0.0)


def corrected_resampled_t(differences: FloatArray, test_share: float) -> Difference | None:
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
    return _studentised(float(known.mean()), error, stats.t(len(known) - 1))


def _studentised(mean: float, error: float, law: Any) -> Difference:
    """Return the difference if ``mean / error`` follows a symmetric law where there is none."""
    reach = float(law.ppf(0.975)) * error
    p = float(2 * law.sf(abs(mean) / error)) if error > 0 else float(mean == 0)
    return Difference(mean, mean - reach, mean + reach, p)


def paired_bootstrap(
    pair: Pair, draws: int = metrics.DRAWS, seed: int = 0, measure: str = "auroc"
) -> Difference | None:
    """Compare fixed models by a bootstrap of the patients in each fold.

    The difference is that of the macro ``measure`` (one of `AREAS`), mean over the folds that have both classes. Of
    every fold whole subjects are drawn with replacement, the same for both methods. The p-value is twice the smaller
    share of draws that reach or cross zero from either side, one draw added to each count. What another training would
    change is not in it. None where no fold has both classes, or nobody was tested.
    """
    if not len(pair.y):
        return None
    rng = np.random.default_rng(seed)
    observed, drawn = [], []
    for fold in np.unique(pair.folds):
        rows = pair.folds == fold
        part = pair.y[rows], pair.first[rows], pair.second[rows]
        once = np.ones((1, int(rows.sum())))
        observed.append(_area_differences(*part, once, measure))
        groups = metrics.subject_weights(pair.subjects[rows], draws, rng)
        drawn.append(np.concatenate([_area_differences(*part, weights, measure) for weights in groups]))
    mean = float(_mean_over_folds(observed)[0])
    values = _mean_over_folds(drawn)
    values = values[~np.isnan(values)]
    if np.isnan(mean) or not len(values):
        return None
    low, high = np.quantile(values, (0.025, 0.975))
    fewer = 1 + min(int((values <= 0).sum()), int((values >= 0).sum()))
    return Difference(mean, float(low), float(high), min(1.0, 2 * fewer / (1 + len(values))))


def _area_differences(
    y: FloatArray, first: FloatArray, second: FloatArray, weights: FloatArray, measure: str
) -> FloatArray:
    """Return the difference of one macro area, [S], under S sets of weights [S, n]; NaN where undefined."""
    areas = np.stack([metrics.macro_areas(y, scores, weights) for scores in (first, second)])  # [2, 2, S]
    difference: FloatArray = areas[0, AREAS.index(measure)] - areas[1, AREAS.index(measure)]
    return difference


def _mean_over_folds(values: Sequence[FloatArray]) -> FloatArray:
    """Return the mean of each draw over the folds where it is defined, [S] of F times [S]; NaN where none is."""
    means: FloatArray = np.ma.masked_invalid(np.stack(values)).mean(axis=0).filled(np.nan)
    return means


def delong(y: FloatArray, first: FloatArray, second: FloatArray) -> Difference | None:
    """Compare the AUROC of two scores [n] of binary labels y [n] (NaN: unknown) by DeLong's test.

    Only for predictions of one model each, as on a fixed test set: scores of several folds are not comparable with
    each other. None with fewer than two samples of a class. (DeLong et al., Biometrics 44:837, 1988, by the midranks
    of Sun and Xu, IEEE Signal Processing Letters 21:1389, 2014.)
    """
    scores = np.stack([first, second])
    positive, negative = scores[:, y == 1], scores[:, y == 0]
    m, n = positive.shape[1], negative.shape[1]
    if min(m, n) < 2:
        return None
    ranks = stats.rankdata(np.concatenate([positive, negative], axis=1), axis=1)
    # the share of the other class that each sample is on the right side of, for both methods
    of_positive = (ranks[:, :m] - stats.rankdata(positive, axis=1)) / n  # [2, m]
    of_negative = 1 - (ranks[:, m:] - stats.rankdata(negative, axis=1)) / m  # [2, n]
    by_positive, by_negative = of_positive[0] - of_positive[1], of_negative[0] - of_negative[1]
    error = float(np.sqrt(by_positive.var(ddof=1) / m + by_negative.var(ddof=1) / n))
    return _studentised(float(by_positive.mean()), error, stats.norm)


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


def spread(values: FloatArray) -> tuple[float | None, float | None]:
    """Return two standard deviations of values [S, F] of S seeds and F folds (NaN: undefined).

    That over seeds of the means over folds says what chance in training and splitting does to a result, that over folds
    of the means over seeds how much the test parts differ. None with fewer than two means.
    """
    known = np.ma.masked_invalid(values)
    over_seeds, over_folds = (known.mean(axis=axis).compressed() for axis in (1, 0))
    return _sd(over_seeds), _sd(over_folds)


def _sd(values: FloatArray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None
