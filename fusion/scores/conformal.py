"""Sets of answers that hold the truth as often as was asked for, from predictions of samples not trained on.

A set holds every class that is not too unlikely: whose probability is at least that of the class in most samples that
have it. Each class has a threshold of its own, so that the rare one is covered as often as the common one (split
conformal prediction, class by class; Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, 4.5). Of
n samples of a class the threshold is the value of rank ceil((n + 1) level) among one minus the probabilities of the
class; of fewer samples than that needs the class is in every set. Each of several labels is a question of its own with
two answers. Quantities have intervals: the prediction plus and minus the value of that rank among the absolute errors.
Times to an event are left out: of who is censored it is not known whether a bound would have held.

What sets are judged by never chose their thresholds: those of a fold come from the other folds, whose samples were
predicted by other models (cross-conformal prediction, Vovk, Annals of Mathematics and AI 74:9, 2015). These models were
trained on samples of the fold, so there is no guarantee to the letter; the coverage that is measured is what counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .intervals import Subjects, entries, trials_of, wilson
from .measures import KINDS
from .metrics import FloatArray, one_vs_rest

Bools = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]
Groupings = Mapping[str, npt.NDArray[np.str_]]
"""Of each grouping the group of every sample, [n]; "" is none."""

LEVEL = 0.9
"""Share of the samples of a class whose set is to hold it."""

PARTS = 5
"""Into so many parts the patients are dealt where one model tested all."""

PREDICTED = (*KINDS, "regression")
"""Kinds of targets that have sets or intervals."""

SIDES = ("negative", "positive")
"""The answers to a label."""

THIRDS = ("lowest third", "middle third", "highest third")

Verdict = Literal["holds", "does not hold", "more than needed"]


@dataclass(frozen=True)
class Calibrated:
    """What decides which answers are in a set: K questions with C answers each.

    ``thresholds`` [K, C] are the largest that one minus the probability of an answer may be, infinite where it is in
    every set; of quantities [K, 1] half the width of an interval. ``patients`` [K, C] are those that each comes from.
    """

    level: float
    thresholds: Float64Array
    patients: npt.NDArray[np.int64]


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
    score, right = _strangeness(kind, y, predicted)
    cells = [(k, c) for k in range(score.shape[1]) for c in range(score.shape[2])]
    found = [threshold(score[right[:, k, c], k, c], level) for k, c in cells]
    patients = [len(np.unique(subjects[right[:, k, c]])) for k, c in cells]
    shape = score.shape[1:]
    return Calibrated(level, np.reshape(found, shape), np.reshape(patients, shape))


def sets(kind: str, thresholds: Float64Array, predicted: FloatArray) -> Bools:
    """Return which answers are in the set of each sample, [n, K, C], by thresholds [K, C] or [n, K, C].

    Of a sample without a probability no answer is.
    """
    held: Bools = _of_classes(kind, predicted) <= thresholds
    return held


def of_other_parts(
    kind: str, y: FloatArray, predicted: FloatArray, subjects: Subjects, folds: FloatArray, level: float = LEVEL
) -> Float64Array:
    """Return the thresholds for each sample, [n, K, C], from the samples of all folds [n] but its own.

    Where one model tested all, the patients are dealt into five parts instead.
    """
    part = _parts(folds, subjects)
    of_all = calibrated(kind, y, predicted, subjects, level).thresholds
    found = np.broadcast_to(of_all, (len(y), *of_all.shape)).copy()  # [n, K, C]
    for number in np.unique(part):
        rest = part != number
        found[~rest] = calibrated(kind, y[rest], predicted[rest], subjects[rest], level).thresholds
    return found


def _parts(folds: FloatArray, subjects: Subjects) -> npt.NDArray[np.floating | np.integer]:
    folds = np.nan_to_num(folds, nan=-1)
    if len(np.unique(folds)) != 1:
        return folds
    patients, which = np.unique(subjects, return_inverse=True)
    return (np.random.default_rng(0).permutation(len(patients)) % PARTS)[which]


def coverage(
    kind: str,
    labels: Sequence[str],
    calibration: Calibrated,
    y: FloatArray,
    predicted: FloatArray,
    subjects: Subjects,
    groupings: Groupings,
) -> list[dict[str, Any]]:
    """Return how often the sets of other samples hold the truth, as `out_of_fold` does.

    Intervals are for other patients, here and among those that the thresholds come from: without that a threshold from
    few patients would be called wrong for what chance did to it.
    """
    asked = _Asked.of(kind, labels, y, predicted, subjects, calibration.thresholds)
    return list(_coverage(asked, groupings, calibration))


def out_of_fold(
    kind: str,
    labels: Sequence[str],
    y: FloatArray,
    predicted: FloatArray,
    subjects: Subjects,
    folds: FloatArray,
    groupings: Groupings,
    level: float = LEVEL,
) -> dict[str, Any] | None:
    """Return what metrics.json says of sets; None for times to an event.

    ``level``; ``thresholds`` for samples of other patients, from all n samples: ``name`` of the answer, the
    ``threshold`` (None: in every set) and the ``patients`` behind it; ``coverage``, measured with those of the other
    folds: a row for all, for each class (or, of quantities, each outcome or third by prediction), and each group of the
    ``groupings``. A row has ``by`` and ``name``, ``samples`` with a known label, the share ``covered`` with its 95 %
    interval ``_ci``, and the shares of sets that are ``empty``, ``single`` or hold ``several``, or the mean ``width``
    of intervals.
    """
    if kind not in PREDICTED:
        return None
    calibration = calibrated(kind, y, predicted, subjects, level)
    answers = [name for question in names(kind, labels) for name in question]
    cells = zip(answers, calibration.thresholds.ravel().tolist(), calibration.patients.ravel().tolist(), strict=True)
    thresholds = of_other_parts(kind, y, predicted, subjects, folds, level)
    asked = _Asked.of(kind, labels, y, predicted, subjects, thresholds)
    return {
        "level": level,
        "thresholds": [
            {"name": name, "threshold": value if np.isfinite(value) else None, "patients": patients}
            for name, value, patients in cells
        ],
        "coverage": list(_coverage(asked, groupings, None)),
    }


def verdict(level: float, bounds: Sequence[float]) -> Verdict:
    """Return whether sets hold the truth as often as they should, by the interval of how often they do."""
    low, high = bounds
    return "does not hold" if high < level else "more than needed" if low > level else "holds"


def _of_classes(kind: str, predicted: FloatArray) -> Float64Array:
    """Return one minus the probability of each answer, [n, K, C] of probabilities [n, labels or classes]."""
    chance = predicted.astype(np.float64)
    return 1 - chance[:, None, :] if kind == "multiclass" else np.stack([chance, 1 - chance], axis=2)


def _strangeness(kind: str, y: FloatArray, predicted: FloatArray) -> tuple[Float64Array, Bools]:
    """Return how unlike each answer is to be right, and which is, [n, K, C]; none where it is not known."""
    if kind == "regression":
        error = np.abs(y.astype(np.float64) - predicted)[:, :, None]
        return error, np.isfinite(error)
    truth, _ = one_vs_rest(y, predicted)
    score = _of_classes(kind, predicted)
    negative, positive = np.asarray(truth == 0), np.asarray(truth == 1)
    right = positive[:, None, :] if kind == "multiclass" else np.stack([negative, positive], axis=2)
    return score, right & np.isfinite(score)


@dataclass(frozen=True)
class _Asked:
    """The m questions to samples whose answer is known.

    ``sample`` [m] whose they are, ``answer`` [m] the right one of all K C, whether it is ``covered`` [m] by the set,
    and its ``size`` [m], of quantities the width of the interval. ``parts`` are masks [m] that coverage is given for.
    """

    sample: npt.NDArray[np.intp]
    answer: npt.NDArray[np.intp]
    covered: Bools
    size: Float64Array
    subjects: Subjects
    parts: Mapping[tuple[str, str], Bools]
    quantities: bool

    @classmethod
    def of(
        cls,
        kind: str,
        labels: Sequence[str],
        y: FloatArray,
        predicted: FloatArray,
        subjects: Subjects,
        thresholds: Float64Array,
    ) -> _Asked:
        score, right = _strangeness(kind, y, predicted)
        held, quantities = score <= thresholds, kind == "regression"
        sample, question, which = np.nonzero(right)  # at most one answer to a question is right
        answer = question * right.shape[2] + which
        size = 2 * np.broadcast_to(thresholds, score.shape)[..., 0] if quantities else held.sum(axis=2)
        answers = [name for of_question in names(kind, labels) for name in of_question]
        parts = {("outcome" if quantities else "class", name): answer == at for at, name in enumerate(answers)}
        if len(labels) == 1 and quantities:
            third = _thirds(predicted[sample, 0])
            parts = {("predicted value", name): third == at for at, name in enumerate(THIRDS)}
        return cls(
            sample=sample,
            answer=answer,
            covered=held[sample, question, which],
            size=size[sample, question].astype(np.float64),
            subjects=subjects[sample],
            parts=parts,
            quantities=quantities,
        )


def _thirds(predicted: FloatArray) -> npt.NDArray[np.int64]:
    """Return the third of each prediction [m], 0 the lowest; equal ones are in the same."""
    return np.searchsorted(np.quantile(predicted, (1 / 3, 2 / 3)), predicted) if len(predicted) else np.zeros(0, int)


def _coverage(asked: _Asked, groupings: Groupings, calibration: Calibrated | None) -> Iterator[dict[str, Any]]:
    groups = {
        (by, str(value)): of_sample[asked.sample] == value
        for by, of_sample in groupings.items()
        for value in np.unique(of_sample[of_sample != ""])
    }
    everybody = {("", "all"): np.ones(len(asked.sample), dtype=bool)}
    for (by, name), rows in {**everybody, **asked.parts, **groups}.items():
        if rows.any():
            yield {"by": by, "name": name, **_row(asked, rows, calibration)}


def _row(asked: _Asked, rows: Bools, calibration: Calibrated | None) -> dict[str, Any]:
    covered, size = asked.covered[rows].astype(np.float64), asked.size[rows]
    trials = trials_of(covered, np.ones(len(covered)), asked.subjects[rows])
    if calibration is not None:
        trials = 1 / (1 / trials + _chance_of_thresholds(asked.answer[rows], calibration))
    shares = {"empty": size == 0, "single": size == 1, "several": size > 1}
    found = {name: float(of.mean()) for name, of in shares.items()}
    if asked.quantities:
        found = {"width": float(size.mean())} if np.isfinite(size).all() else {}
    return {
        "samples": len(np.unique(asked.sample[rows])),
        **entries("covered", wilson(float(covered.mean()), trials)),
        **found,
    }


def _chance_of_thresholds(answer: npt.NDArray[np.intp], calibration: Calibrated) -> float:
    """Return one over the trials that thresholds are worth, for the mean coverage of some right answers [m]."""
    share = np.bincount(answer, minlength=calibration.patients.size) / len(answer)
    varies = np.isfinite(calibration.thresholds.ravel())
    return float((share[varies] ** 2 / calibration.patients.ravel()[varies]).sum())
