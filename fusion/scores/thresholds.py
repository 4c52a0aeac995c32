"""Sets of answers that hold the truth as often as was asked for, from predictions of samples not trained on.

A set holds every class that is not too unlikely: whose probability is at least that of the class in most samples that
have it. Each class has a threshold of its own, so that the rare one is covered as often as the common one (split
conformal prediction, class by class; Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, 4.5). Of
n samples of a class the threshold is the value of rank ceil((n + 1) level) among one minus the probabilities of the
class; of fewer samples than that needs the class is in every set. Each of several labels is a question of its own with
two answers. Quantities have intervals: the prediction plus and minus the value of that rank among the absolute errors
of the predictions in the same third, since errors mostly grow with what is predicted (Boström and Johansson, COPA
2020). Times to an event are left out: of who is censored it is not known whether a bound would have held.

What sets are judged by never chose their thresholds: those of a fold come from the other folds, whose samples were
predicted by other models (cross-conformal prediction, Vovk, Annals of Mathematics and AI 74:9, 2015). These models were
trained on samples of the fold, so there is no guarantee to the letter; the coverage that is measured is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .intervals import Subjects
from .metrics import FloatArray, one_vs_rest

Bools = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]

LEVEL = 0.9
"""Share of the samples of a class whose set is to hold it."""

PARTS = 5
"""Into so many parts the patients are dealt where one model tested all."""

SIDES = ("negative", "positive")
"""The answers to a label."""

THIRDS = ("lowest third", "middle third", "highest third")


@dataclass(frozen=True)
class Calibrated:
    """What decides which answers are in a set: K questions with C answers each.

    ``thresholds`` [K, C] are the largest that one minus the probability of an answer may be, infinite where it is in
    every set. Of K quantities they are half the widths of intervals [K, 3], by third of the prediction, and ``cuts``
    [K, 2] are what predictions of the lower two reach up to. ``patients`` [K, C] are those that each comes from.
    """

    level: float
    thresholds: Float64Array
    patients: npt.NDArray[np.int64]
    cuts: Float64Array | None = None

    def limits(self, predicted: FloatArray) -> Float64Array:
        """Return the thresholds of each sample, [n, K, C]; of quantities [n, K, 1] half the width of its interval."""
        if self.cuts is None:
            return np.broadcast_to(self.thresholds, (len(predicted), *self.thresholds.shape))
        third = thirds(predicted, self.cuts)
        return np.take_along_axis(self.thresholds[None], third[:, :, None], axis=2)


def names(kind: str, labels: Sequence[str]) -> list[list[str]]:
    """Return what every answer to every question is called, [K][C]."""
    if kind == "multiclass":
        return [list(labels)]
    if kind == "regression":
        return [[label] for label in labels]
    return [list(SIDES)] if kind == "binary" else [[f"{label}: {side}" for side in SIDES] for label in labels]


def threshold(scores: FloatArray, level: float) -> float:
    """Return the value of rank ceil((n + 1) level) among n scores; infinite if there are too few for it."""
    rank = int(np.ceil((len(scores) + 1) * level - 1e-9))  # 0.9 * 70 may be a little above 63
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank <= len(scores) else np.inf


def calibrated(kind: str, y: FloatArray, predicted: FloatArray, subjects: Subjects, level: float = LEVEL) -> Calibrated:
    """Return the thresholds that follow from samples not trained on: y [n, C] as measures take it, NaN where unknown.

    ``predicted`` [n, K] are probabilities or quantities, ``subjects`` [n] the patients.
    """
    score, right = strangeness(kind, y, predicted)
    cuts = cuts_of(right, predicted) if kind == "regression" else None
    cells = cells_of(right, predicted, cuts)
    score = np.broadcast_to(score, cells.shape)
    places = [(k, c) for k in range(cells.shape[1]) for c in range(cells.shape[2])]
    found = [threshold(score[cells[:, k, c], k, c], level) for k, c in places]
    patients = [len(np.unique(subjects[cells[:, k, c]])) for k, c in places]
    shape = cells.shape[1:]
    return Calibrated(level, np.reshape(found, shape), np.reshape(patients, shape), cuts)


def sets(kind: str, limits: Float64Array, predicted: FloatArray) -> Bools:
    """Return which answers are in the set of each sample, [n, K, C], by its limits, see `Calibrated`.

    Of a sample without a probability no answer is.
    """
    held: Bools = _of_classes(kind, predicted) <= limits
    return held


def of_other_parts(
    kind: str, y: FloatArray, predicted: FloatArray, subjects: Subjects, folds: npt.NDArray[Any], level: float = LEVEL
) -> Float64Array:
    """Return the limits of each sample, see `Calibrated`, by the samples of all folds [n] but its own.

    Where one model tested all, the patients are dealt into five parts instead.
    """
    part = _parts(folds, subjects)
    limits = calibrated(kind, y, predicted, subjects, level).limits(predicted).copy()
    for number in np.unique(part):
        rest = part != number
        of_rest = calibrated(kind, y[rest], predicted[rest], subjects[rest], level)
        limits[~rest] = of_rest.limits(predicted[~rest])
    return limits


def _parts(folds: npt.NDArray[Any], subjects: Subjects) -> npt.NDArray[Any]:
    folds = np.nan_to_num(folds, nan=-1)
    if len(np.unique(folds)) != 1:
        return folds
    patients, which = np.unique(subjects, return_inverse=True)
    return (np.random.default_rng(0).permutation(len(patients)) % PARTS)[which]


def _of_classes(kind: str, predicted: FloatArray) -> Float64Array:
    """Return one minus the probability of each answer, [n, K, C] of probabilities [n, labels or classes]."""
    chance = predicted.astype(np.float64)
    return 1 - chance[:, None, :] if kind == "multiclass" else np.stack([chance, 1 - chance], axis=2)


def strangeness(kind: str, y: FloatArray, predicted: FloatArray) -> tuple[Float64Array, Bools]:
    """Return how unlike each answer is to be right, and which is, [n, K, C], none where it is not known.

    Of quantities [n, K, 1] the absolute error, and whether the value is known.
    """
    if kind == "regression":
        error = np.abs(y.astype(np.float64) - predicted)[:, :, None]
        return error, np.isfinite(error)
    truth, _ = one_vs_rest(y, predicted)
    score = _of_classes(kind, predicted)
    negative, positive = np.asarray(truth == 0), np.asarray(truth == 1)
    right = positive[:, None, :] if kind == "multiclass" else np.stack([negative, positive], axis=2)
    return score, right & np.isfinite(score)


def cuts_of(right: Bools, predicted: FloatArray) -> Float64Array:
    """Return what predictions of quantities [n, K] reach up to in the lower two thirds, [K, 2], of known values."""
    known = right[:, :, 0]
    return np.array([
        np.quantile(column[has].astype(np.float64), (1 / 3, 2 / 3)) if has.any() else np.zeros(2)
        for column, has in zip(predicted.T, known.T, strict=True)
    ])  # fmt: skip


def thirds(predicted: FloatArray, cuts: Float64Array) -> npt.NDArray[np.int64]:
    """Return the third of each prediction [n, K], 0 the lowest; equal ones are in the same."""
    third: npt.NDArray[np.int64] = (predicted.astype(np.float64)[:, :, None] > cuts).sum(axis=2)
    return third


def cells_of(right: Bools, predicted: FloatArray, cuts: Float64Array | None) -> Bools:
    """Return by which threshold each question is judged, [n, K, C]; ``right`` as of `strangeness`."""
    if cuts is None:
        return right
    cells: Bools = right & (thirds(predicted, cuts)[:, :, None] == np.arange(len(THIRDS)))
    return cells
