"""What groups of patients are compared by, each in two ways: with its interval, and under draws of the patients.

A group is a mask [n] of the tested samples. Draws of the patients are wanted where two groups share some: what one of
them finds then goes along with what the other finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from . import intervals
from .areas import Area
from .intervals import Measured, Subjects
from .measures import Measure
from .metrics import FloatArray
from .outcome_agreement import observed_expected, observed_expected_under_weights
from .resampling import Predicted, mean_over_folds
from .survival import SurvivalCurves

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Tested:
    """Patient of each of n tested samples, by id and by its place among the P patients, and its fold, [n] each."""

    subjects: Subjects
    patients: Places
    folds: npt.NDArray[np.floating | np.integer]


class Aspect(Protocol):
    """Something that groups are compared by."""

    @property
    def name(self) -> str:
        """Its entry in metrics.json."""

    def measured(self, rows: Mask, of: Tested) -> Measured | None:
        """Return it for a group, with its interval; None where it is not defined."""

    def drawn(self, rows: Mask, of: Tested, weights: FloatArray) -> FloatArray:
        """Return it for a group under weights of patients [S, P]: [S], NaN where it is not defined."""


@dataclass(frozen=True)
class AreaOverFolds:
    """The mean area over folds and labels of binary labels ``truth`` [n, K] (NaN: unknown) by a ``score`` [n, K]."""

    name: str
    area: Area
    truth: FloatArray
    score: FloatArray

    def measured(self, rows: Mask, of: Tested) -> Measured | None:
        """See `Aspect`."""
        return intervals.mean_area(self.area, self.truth[rows], self.score[rows], of.subjects[rows], of.folds[rows])

    def drawn(self, rows: Mask, of: Tested, weights: FloatArray) -> FloatArray:
        """See `Aspect`."""
        truth, versions = self.truth[rows], [self.score[rows]]
        return mean_over_folds(self.area.over_labels, truth, versions, of.folds[rows], of.patients[rows], weights)


@dataclass(frozen=True)
class MeasureOverFolds:
    """The mean over folds of a ``measure`` that takes weights."""

    name: str
    measure: Measure
    y: FloatArray
    predicted: Predicted

    def measured(self, rows: Mask, of: Tested) -> Measured | None:
        """See `Aspect`."""
        who = of.subjects[rows], of.folds[rows]
        return intervals.of_measure(self.measure, self.y[rows], self.predicted[rows], *who)

    def drawn(self, rows: Mask, of: Tested, weights: FloatArray) -> FloatArray:
        """See `Aspect`."""
        assert self.measure.under_weights is not None, f"{self.measure.title} takes weights"
        y, versions = self.y[rows], [self.predicted[rows]]
        return mean_over_folds(self.measure.under_weights, y, versions, of.folds[rows], of.patients[rows], weights)


@dataclass(frozen=True)
class Ratio:
    """The sum of a ``part`` [m] over that of its ``whole`` [m], which is 0 for what does not count.

    The m values are of samples, by their places ``sample`` [m].
    """

    name: str
    part: FloatArray
    whole: FloatArray
    sample: Places

    def measured(self, rows: Mask, of: Tested) -> Measured | None:
        """See `Aspect`."""
        kept = rows[self.sample] & (self.whole > 0)
        return intervals.observed_expected(self.part[kept], self.whole[kept], of.subjects[self.sample[kept]])

    def drawn(self, rows: Mask, of: Tested, weights: FloatArray) -> FloatArray:
        """See `Aspect`."""
        kept = rows[self.sample] & (self.whole > 0)
        return _ratio(self.part[kept], self.whole[kept], of.patients[self.sample[kept]], weights)


@dataclass(frozen=True)
class Mean:
    """The mean of ``values`` [n], NaN where one is unknown."""

    name: str
    values: FloatArray

    def measured(self, rows: Mask, of: Tested) -> Measured | None:
        """See `Aspect`."""
        kept = rows & ~np.isnan(self.values)
        return intervals.mean(self.values[kept], of.subjects[kept])

    def drawn(self, rows: Mask, of: Tested, weights: FloatArray) -> FloatArray:
        """See `Aspect`."""
        kept = rows & ~np.isnan(self.values)
        return _ratio(self.values[kept], np.ones(int(kept.sum())), of.patients[kept], weights)


@dataclass(frozen=True)
class EventsOverExpected:
    """Observed over expected events, y [n, 2], by the last of `survival.quarters`."""

    name: str
    y: FloatArray
    predicted: SurvivalCurves

    def measured(self, rows: Mask, of: Tested) -> Measured | None:
        """See `Aspect`."""
        return observed_expected(self.y[rows], self.predicted[rows], of.subjects[rows])

    def drawn(self, rows: Mask, of: Tested, weights: FloatArray) -> FloatArray:
        """See `Aspect`."""
        return observed_expected_under_weights(self.y[rows], self.predicted[rows], weights[:, of.patients[rows]])


def _ratio(part: FloatArray, whole: FloatArray, patients: Places, weights: FloatArray) -> FloatArray:
    """Return the ratio of two sums [S] over values [m] of some patients under weights [S, P]."""
    sums = (weights @ np.bincount(patients, values, minlength=weights.shape[1]) for values in (part, whole))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: FloatArray = np.divide(*sums)
    return ratio
