"""How often sets of answers, and intervals of quantities, hold the truth: in each class and part of the samples.

What sets are judged by never chose their thresholds, see `thresholds`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .intervals import Subjects, entries, trials_of, wilson
from .measures import KINDS
from .metrics import FloatArray
from .subgroups import Samples
from .thresholds import (
    LEVEL,
    THIRDS,
    Bools,
    Calibrated,
    Float64Array,
    calibrated,
    cells_of,
    cuts_of,
    names,
    of_other_parts,
    strangeness,
    thirds,
)

Groupings = Mapping[str, npt.NDArray[np.str_]]
"""Of each grouping the group of every sample, [n]; "" is none."""

PREDICTED = (*KINDS, "regression")
"""Kinds of targets that have sets or intervals."""

Verdict = Literal["holds", "does not hold", "more than needed"]


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
    asked = _Asked.of(kind, labels, y, predicted, subjects, calibration.limits(predicted))
    _, right = strangeness(kind, y, predicted)
    _, question, which = np.nonzero(cells_of(right, predicted, calibration.cuts))
    chance = _Chance(calibration, question * calibration.thresholds.shape[1] + which)
    return list(_coverage(asked, groupings, chance))


def out_of_fold(
    kind: str,
    labels: Sequence[str],
    y: FloatArray,
    predicted: FloatArray,
    who: Samples,
    level: float = LEVEL,
) -> dict[str, Any] | None:
    """Return what metrics.json says of sets; None for times to an event.

    ``level``; ``thresholds`` for samples of other patients, from all n samples: ``name`` of the answer, the
    ``threshold`` (None: in every set), the ``patients`` behind it and, of quantities, what predictions it goes
    ``up_to``; ``coverage``, measured with those of the other folds: a row for all, for each class (or, of quantities,
    each outcome or third by prediction), and each group of ``who`` they are. A row has ``by`` and ``name``,
    ``samples`` with a known label, the share ``covered`` with its 95 % interval ``_ci``, and the shares of sets that
    are ``empty``, ``single`` or hold ``several``, or the mean ``width`` of intervals.
    """
    if kind not in PREDICTED:
        return None
    calibration = calibrated(kind, y, predicted, who.subjects, level)
    limits = of_other_parts(kind, y, predicted, who.subjects, who.folds, level)
    asked = _Asked.of(kind, labels, y, predicted, who.subjects, limits)
    return {
        "level": level,
        "thresholds": list(_thresholds(kind, labels, calibration)),
        "coverage": list(_coverage(asked, who.groups, None)),
    }


def _thresholds(kind: str, labels: Sequence[str], found: Calibrated) -> Iterator[dict[str, Any]]:
    answers = [name for question in names(kind, labels) for name in question]
    if found.cuts is not None:
        answers = [third if len(labels) == 1 else f"{label}, {third}" for label in labels for third in THIRDS]
    for at, name in enumerate(answers):
        value, patients = float(found.thresholds.flat[at]), int(found.patients.flat[at])
        row = {"name": name, "threshold": value if np.isfinite(value) else None, "patients": patients}
        question, third = divmod(at, len(THIRDS))
        if found.cuts is not None and third < found.cuts.shape[1]:
            row["up_to"] = float(found.cuts[question, third])
        yield row


def verdict(level: float, bounds: Sequence[float]) -> Verdict:
    """Return whether sets hold the truth as often as they should, by the interval of how often they do."""
    low, high = bounds
    return "does not hold" if high < level else "more than needed" if low > level else "holds"


@dataclass(frozen=True)
class _Asked:
    """The m questions to samples whose answer is known.

    ``sample`` [m] whose they are, whether the right answer is ``covered`` [m] by the set, and its ``size`` [m], of
    quantities the width of the interval. ``parts`` are masks [m] that coverage is given for.
    """

    sample: npt.NDArray[np.intp]
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
        limits: Float64Array,
    ) -> _Asked:
        """Return what is known of samples by their limits, see `Calibrated`."""
        score, right = strangeness(kind, y, predicted)
        held, quantities = score <= limits, kind == "regression"
        sample, question, which = np.nonzero(right)  # at most one answer to a question is right
        answer = question * right.shape[2] + which
        size = 2 * limits[:, :, 0] if quantities else held.sum(axis=2)
        answers = [name for of_question in names(kind, labels) for name in of_question]
        parts = {("outcome" if quantities else "class", name): answer == at for at, name in enumerate(answers)}
        if len(labels) == 1 and quantities:
            third = thirds(predicted, cuts_of(right, predicted))[sample, 0]
            parts = {("predicted value", name): third == at for at, name in enumerate(THIRDS)}
        return cls(
            sample=sample,
            covered=held[sample, question, which],
            size=size[sample, question].astype(np.float64),
            subjects=subjects[sample],
            parts=parts,
            quantities=quantities,
        )


@dataclass(frozen=True)
class _Chance:
    """By which of the K C thresholds of a calibration each of m questions is judged, ``cell`` [m]."""

    calibration: Calibrated
    cell: npt.NDArray[np.intp]

    def of(self, rows: Bools) -> float:
        """Return one over the trials that thresholds are worth, for the mean coverage of some questions [m]."""
        patients, cell = self.calibration.patients.ravel(), self.cell[rows]
        share = np.bincount(cell, minlength=len(patients)) / len(cell)
        varies = np.isfinite(self.calibration.thresholds.ravel())
        return float((share[varies] ** 2 / patients[varies]).sum())


def _coverage(asked: _Asked, groupings: Groupings, chance: _Chance | None) -> Iterator[dict[str, Any]]:
    groups = {
        (by, str(value)): of_sample[asked.sample] == value
        for by, of_sample in groupings.items()
        for value in np.unique(of_sample[of_sample != ""])
    }
    everybody = {("", "all"): np.ones(len(asked.sample), dtype=bool)}
    for (by, name), rows in {**everybody, **asked.parts, **groups}.items():
        if rows.any():
            yield {"by": by, "name": name, **_row(asked, rows, chance)}


def _row(asked: _Asked, rows: Bools, chance: _Chance | None) -> dict[str, Any]:
    covered, size = asked.covered[rows].astype(np.float64), asked.size[rows]
    trials = trials_of(covered, np.ones(len(covered)), asked.subjects[rows])
    if chance is not None:
        trials = 1 / (1 / trials + chance.of(rows))
    shares = {"empty": size == 0, "single": size == 1, "several": size > 1}
    found = {name: float(of.mean()) for name, of in shares.items()}
    if asked.quantities:
        found = {"width": float(size.mean())} if np.isfinite(size).all() else {}
    return {
        "samples": len(np.unique(asked.sample[rows])),
        **entries("covered", wilson(float(covered.mean()), trials)),
        **found,
    }
