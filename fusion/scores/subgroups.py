"""Who a model works for: groups by sex, age, race, language, insurance and unit, which no model ever sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..inputs.groups import Groups
from .intervals import Subjects
from .metrics import FloatArray

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
class Samples:
    """Who the n tested samples are: patient and fold [n] of each, and its group of each grouping."""

    subjects: Subjects
    folds: npt.NDArray[Any]
    groups: Groups


@dataclass(frozen=True)
class Outcomes:
    """What happened and what was predicted, of a binary task or of one label.

    ``y`` [n] (NaN: unknown), ``p`` [n], and the patients and folds of the samples, ``subjects`` and ``folds`` [n].
    """

    y: FloatArray
    p: FloatArray
    subjects: Subjects
    folds: npt.NDArray[Any]
