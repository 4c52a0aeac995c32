"""Who a model works for: groups by sex, age, race, language, insurance and unit, which no model ever sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..inputs.groups import UNKNOWN
from . import agreement, intervals
from .intervals import Measured, Subjects, entries
from .measures import PRIMARY, primary_area
from .metrics import FloatArray

InGroup = Callable[[npt.NDArray[np.bool_]], Mapping[str, Measured | None]]
"""What is measured of the samples of a mask [n], by name."""

Counted = Callable[[npt.NDArray[np.bool_]], Mapping[str, int | None]]

GAPS = (PRIMARY["binary"], "sensitivity")
"""Measures whose gaps between groups are given."""

FEWEST = 20
"""Groups of fewer patients are put together, and left out where they are too few together."""

TOGETHER = f"groups of fewer than {FEWEST} patients"


def without_rare(of_sample: npt.NDArray[np.str_], subjects: Subjects) -> npt.NDArray[np.str_]:
    """Return the group of each sample [n], those of fewer than 20 patients as one, or as "" if that is rare too."""
    values, which = np.unique(of_sample, return_inverse=True)
    patients = np.array([len(np.unique(subjects[which == number])) for number in range(len(values))])
    rare = (patients < FEWEST)[which]
    few = len(np.unique(subjects[rare])) < FEWEST
    return np.where(rare, "" if few else TOGETHER, of_sample)


@dataclass(frozen=True)
class Outcomes:
    """What happened and what was predicted, of a binary task or of one label.

    ``y`` [n] (NaN: unknown), ``p`` [n], and the patients and folds of the samples, ``subjects`` and ``folds`` [n].
    """

    y: FloatArray
    p: FloatArray
    subjects: Subjects
    folds: npt.NDArray[Any]

    def where(self, rows: npt.NDArray[np.bool_]) -> Outcomes:
        """Return the samples of a mask [n]."""
        return Outcomes(self.y[rows], self.p[rows], self.subjects[rows], self.folds[rows])


def per_subgroup(
    groups: Mapping[str, npt.NDArray[np.str_]], tested: Outcomes, threshold: float | None
) -> list[dict[str, Any]]:
    """Return how good the predictions are in every group, and the gaps to the largest group of the same grouping.

    ``auroc`` (mean over folds), ``sensitivity`` where a probability of at least ``threshold`` alerts, and
    ``observed_expected``, each with its 95 % interval ``_ci``; ``auroc_gap`` and ``sensitivity_gap``, this group minus
    the largest one whose name is known, None for that one and where either is not defined. ``groups`` [n] are those of
    the tested samples; one called "" is left out.
    """
    return per_group(
        groups,
        tested.subjects,
        lambda rows: _found(tested.where(rows), threshold),
        GAPS,
        lambda rows: {"positives": int(np.nansum(tested.y[rows]))},
    )


def per_group(
    groups: Mapping[str, npt.NDArray[np.str_]],
    subjects: Subjects,
    measured: InGroup,
    gaps: Sequence[str],
    counted: Counted,
) -> list[dict[str, Any]]:
    """Return what is measured of every group of each grouping, [n] of samples, and the ``gaps`` of some measures.

    A gap is this group minus the largest one whose name is known, None for that one and where either is not defined.
    Groups called "" are left out. ``counted`` of a mask [n] are counts of a group beside those of samples and patients.
    """
    return [
        row for name, of_sample in groups.items() for row in _rows(name, of_sample, subjects, measured, gaps, counted)
    ]


def _rows(
    name: str,
    of_sample: npt.NDArray[np.str_],
    subjects: Subjects,
    measured: InGroup,
    gaps_of: Sequence[str],
    counted: Counted,
) -> Iterator[dict[str, Any]]:
    values, counts = np.unique(of_sample[of_sample != ""], return_counts=True)
    largest = max(zip(values != UNKNOWN, counts, range(len(values)), strict=True))[2] if len(values) else 0
    found = [measured(of_sample == value) for value in values]
    for number, value in enumerate(values):
        gaps = {
            measure: mine.minus(theirs) if number != largest and mine and theirs else None
            for measure, mine, theirs in ((m, found[number][m], found[largest][m]) for m in gaps_of)
        }
        inside = of_sample == value
        row: dict[str, Any] = {
            "group": name,
            "value": str(value),
            "samples": int(inside.sum()),
            "patients": len(np.unique(subjects[inside])),
            **counted(inside),
        }
        for measure, one in found[number].items():
            row |= entries(measure, one)
        for measure, gap in gaps.items():
            row |= entries(f"{measure}_gap", gap)
        yield row


def _found(part: Outcomes, threshold: float | None) -> dict[str, Measured | None]:
    positive = part.y == 1
    alert = np.zeros(len(part.p), dtype=bool) if threshold is None else part.p >= threshold
    primary = PRIMARY["binary"]
    return {
        primary: intervals.mean_area(
            primary_area("binary"), part.y[:, None], part.p[:, None], part.subjects, part.folds
        ),
        "sensitivity": intervals.share(alert[positive], part.subjects[positive]),
        "observed_expected": agreement.observed_expected(part.y, part.p, part.subjects),
    }
