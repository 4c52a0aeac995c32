"""Whether a model is worth the same to everybody: what it reaches in each group of patients, and how far groups differ.

Each group is compared with the largest one of the same kind whose name is known. That one is measured best, it is the
same for all others, and of two groups the difference is given once; against "the rest" every group would have another
opponent. Differences have 95 % intervals that hold the correlation of groups with the same patients (stays of a patient
at several ages), and p-values that are corrected for all differences of a run (Holm). A group in which too little
happened is named and not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from ..inputs.groups import UNKNOWN
from .aspects import AreaOverFolds, Aspect, EventsOverExpected, Mask, Mean, MeasureOverFolds, Ratio, Tested
from .intervals import Measured, Z, entries
from .measures import MEASURES, PRIMARY, primary_area
from .metrics import NEAREST, FloatArray, one_vs_rest
from .paired import holm
from .resampling import Predicted, patient_weights
from .subgroups import Samples
from .survival import SurvivalCurves

FEWEST_OUTCOMES = 10
"""A group is judged if so many patients have the outcome, and so many have not."""

SEVERAL = ("multilabel", "multiclass")

GAP, CORRECTED = "_gap", "_p"
"""Endings of the entries of a difference, and behind it of its corrected p-value."""


def by_group(
    kind: str, y: FloatArray, predicted: Predicted, who: Samples, threshold: float | None = None
) -> list[dict[str, Any]]:
    """Return what metrics.json says of every group: what predictions reach in it, and how far it is from the largest.

    ``y`` [n, C] and ``predicted`` are as measures take them; groups called "" are left out. Measured are, each with its
    interval ``_ci``:

    - binary: ``auroc`` (mean over folds), ``sensitivity`` and ``specificity`` where a probability of at least
      ``threshold`` alerts (None: none does), ``observed_expected``, and ``observed_minus_expected``, the share of
      positives less the mean probability;
    - multilabel: ``auroc``, mean over labels, and ``observed_expected`` of all labels together; multiclass: ``auroc``,
      mean over classes, ``accuracy`` of the most probable class, and ``observed_expected`` of it. Areas are over the
      labels of which a group and the one that it is compared with have enough;
    - regression: ``mae``, and ``bias`` (predicted less measured) of one quantity;
    - survival: ``concordance``, and ``observed_expected`` of an event by the last of `survival.quarters`.

    Of each there is ``<name>_gap``, this group less its ``reference``, with ``_ci`` and a corrected p-value ``_p``;
    None for the reference itself, where either is not defined, and where there is ``too_few``, in words.
    """
    compared = _Compared(kind, y, predicted, who, threshold)
    return _corrected([row for name in who.groups for row in _rows(name, compared)])


def p_value(gap: Measured) -> float:
    """Return the two-sided p-value of no difference: of a normal law as wide as the half of the interval towards 0."""
    reach = (gap.value - gap.low if gap.value > 0 else gap.high - gap.value) / Z
    return float(2 * scipy.stats.norm.sf(abs(gap.value) / reach)) if reach > 0 else float(gap.value == 0)


def _rows(name: str, compared: _Compared) -> Iterator[dict[str, Any]]:
    of_sample, tested = compared.who.groups[name], compared.tested
    values, counts = np.unique(of_sample[of_sample != ""], return_counts=True)
    if not len(values):
        return
    largest = max(zip(values != UNKNOWN, counts, range(len(values)), strict=True))[2]
    theirs = of_sample == values[largest]

    @cache
    def reached(labels: tuple[int, ...]) -> list[Measured | None]:
        return [aspect.measured(theirs, tested) for aspect in compared.aspects(labels)]

    for number, value in enumerate(values):
        mine, itself = of_sample == value, number == largest
        labels = compared.labels(mine, theirs)
        aspects = compared.aspects(labels)
        found = reached(labels) if itself else [aspect.measured(mine, tested) for aspect in aspects]
        few = compared.too_few(mine, labels)
        if not few and (of_reference := compared.too_few(theirs, labels)):
            few = f"{values[largest]} has {of_reference}"
        row: dict[str, Any] = {
            "group": name,
            "value": str(value),
            "samples": int(mine.sum()),
            "patients": len(np.unique(tested.patients[mine])),
            **compared.counts(mine),
            "reference": "" if itself else str(values[largest]),
            "too_few": few,
        }
        for aspect, one in zip(aspects, found, strict=True):
            row |= entries(aspect.name, one)
        for aspect, one, other in zip(aspects, found, reached(labels), strict=True):
            gap = None if itself or few else compared.difference(aspect, (mine, theirs), (one, other))
            row |= entries(f"{aspect.name}{GAP}", gap)
            row[f"{aspect.name}{GAP}{CORRECTED}"] = gap and p_value(gap)
        yield row


def _corrected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows whose p-values are adjusted for all of them together."""
    places = [(row, name) for row in rows for name in row if name.endswith(GAP + CORRECTED)]
    for (row, name), p in zip(places, holm([row[name] for row, name in places]), strict=True):
        row[name] = p
    return rows


@dataclass(frozen=True)
class _Compared:
    """All that is known of n tested samples, from which groups are cut; see `by_group`."""

    kind: str
    y: FloatArray
    predicted: Predicted
    who: Samples
    threshold: float | None

    @cached_property
    def tested(self) -> Tested:
        """Whose the samples are."""
        patients = np.unique(self.who.subjects, return_inverse=True)[1]
        return Tested(self.who.subjects, patients, self.who.folds)

    @cached_property
    def weights(self) -> npt.NDArray[np.float32]:
        """How often each patient counts in draws of all of them, [S, P]."""
        return patient_weights(int(self.tested.patients.max()) + 1)[1:].astype(np.float32)

    @cached_property
    def of_labels(self) -> tuple[FloatArray, FloatArray]:
        """Each label or class against the rest, NaN where unknown, and the probabilities of it, [n, K]."""
        assert isinstance(self.predicted, np.ndarray)
        return one_vs_rest(self.y, self.predicted)

    def labels(self, mine: Mask, theirs: Mask) -> tuple[int, ...]:
        """Return the labels of which two groups, masks [n], both have enough patients on either side."""
        if self.kind not in SEVERAL:
            return ()
        truth, _ = self.of_labels
        fewest = [min(self._with(label == of, rows) for of in (0, 1) for rows in (mine, theirs)) for label in truth.T]
        return tuple(k for k, patients in enumerate(fewest) if patients >= FEWEST_OUTCOMES)

    def _with(self, has: Mask, rows: Mask) -> int:
        return len(np.unique(self.tested.patients[rows & has]))

    def too_few(self, rows: Mask, labels: Sequence[int]) -> str:
        """Return what a group has too few of, in words; "" if it has enough."""
        if self.kind in SEVERAL:
            return "" if labels else f"no label with {FEWEST_OUTCOMES} patients on either side"
        if self.kind == "binary":
            positive, negative = (self._with(self.y[:, 0] == of, rows) for of in (1, 0))
            fewest, said = min(positive, negative), f"{positive} patients with and {negative} without the outcome"
        elif self.kind == "survival":
            fewest = self._with(self.y[:, 1] == 1, rows)
            said = f"{fewest} patients with the event"
        else:
            fewest = self._with(np.any(np.isfinite(self.y), axis=1), rows)
            said = f"{fewest} patients with a known value"
        return said if fewest < FEWEST_OUTCOMES else ""

    def counts(self, rows: Mask) -> dict[str, int | None]:
        """Return how many samples of a group are positive, and of times how many have the event."""
        if self.kind == "survival":
            return {"positives": None, "events": int(np.nansum(self.y[rows, 1]))}
        return {"positives": int(np.nansum(self.y[rows])) if self.kind == "binary" else None}

    def difference(
        self, aspect: Aspect, groups: tuple[Mask, Mask], found: tuple[Measured | None, Measured | None]
    ) -> Measured | None:
        """Return what one group has more than another, with its interval; None where either is not defined."""
        (mine, theirs), (one, other), tested = groups, found, self.tested
        if one is None or other is None:
            return None
        if not np.isin(tested.patients[mine], tested.patients[theirs]).any():
            return one.minus(other)
        drawn = [aspect.drawn(rows, tested, self.weights) for rows in groups]
        return one.minus(other, _correlation(*drawn))

    def aspects(self, labels: tuple[int, ...]) -> list[Aspect]:
        """Return what groups are compared by; areas of several labels or classes are over these."""
        if self.kind == "binary":
            return self._of_binary()
        if self.kind in SEVERAL:
            return self._of_several(list(labels))
        primary = PRIMARY[self.kind]
        of_measure = MeasureOverFolds(primary, MEASURES.get(primary), self.y, self.predicted)
        if isinstance(self.predicted, SurvivalCurves):
            return [of_measure, EventsOverExpected("observed_expected", self.y, self.predicted)]
        if self.y.shape[1] > 1:
            return [of_measure]
        return [of_measure, Mean("bias", np.subtract(self.predicted[:, 0], self.y[:, 0], dtype=np.float64))]

    def _of_binary(self) -> list[Aspect]:
        truth, score = self.of_labels
        y, p, everyone = truth[:, 0].astype(np.float64), score[:, 0], np.arange(len(truth))
        alert = np.where(p >= (np.inf if self.threshold is None else self.threshold), 1.0, 0.0)
        return [
            AreaOverFolds(PRIMARY[self.kind], primary_area(self.kind), truth, score),
            Ratio("sensitivity", alert, (y == 1).astype(np.float64), everyone),
            Ratio("specificity", 1 - alert, (y == 0).astype(np.float64), everyone),
            Ratio("observed_expected", y, np.where(np.isnan(y), 0, _above_zero(p)), everyone),
            Mean("observed_minus_expected", y - p),
        ]

    def _of_several(self, labels: list[int]) -> list[Aspect]:
        truth, score = self.of_labels
        area = AreaOverFolds(PRIMARY[self.kind], primary_area(self.kind), truth[:, labels], score[:, labels])
        if self.kind == "multilabel":
            pairs = np.nonzero(~np.isnan(truth))
            return [area, Ratio("observed_expected", truth[pairs], _above_zero(score[pairs]), pairs[0])]
        everyone, known = np.arange(len(truth)), np.where(np.isnan(truth).any(axis=1), 0.0, 1.0)
        right, top = truth[everyone, score.argmax(axis=1)], _above_zero(score.max(axis=1))
        return [
            area,
            Ratio("accuracy", right, known, everyone),
            Ratio("observed_expected", right, known * top, everyone),
        ]


def _correlation(one: FloatArray, other: FloatArray) -> float:
    """Return the correlation of two estimates over draws [S] where both are defined; 0 where one never varies."""
    known = np.isfinite(one) & np.isfinite(other)
    one, other = one[known], other[known]
    return float(np.corrcoef(one, other)[0, 1]) if len(one) > 1 and one.std() > 0 and other.std() > 0 else 0.0


def _above_zero(p: FloatArray) -> FloatArray:
    return np.clip(p.astype(np.float64), NEAREST, 1)
