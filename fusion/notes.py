"""What a reader of a run must know before believing it, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .metrics import FloatArray

FEW = 100
"""Fewer test positives or negatives than this tell too little to conclude anything."""

RATIO_RANGE = (0.8, 1.25)
"""Fewer or more positives than this many times the expected ones are worth a warning, unless chance explains them."""


def size_notes(without_input: int, folds: Sequence[Mapping[str, Any]], truth: FloatArray) -> list[str]:
    """Say who was left out, and where there is too little to test on.

    ``folds`` are rows of metrics.json, ``truth`` [N, K] binary labels of all tested samples.
    """
    notes = []
    if without_input:
        notes.append(f"{without_input} samples of the task have none of the modalities and were left out.")
    single = [str(row["fold"]) for row in folds if row["auroc"] is None]
    if single:
        notes.append(f"Fold {', '.join(single)} has test samples of one class only: no AUROC; the mean leaves it out.")
    fewest = int(min(np.nansum(truth == 1, axis=0).min(), np.nansum(truth == 0, axis=0).min()))
    if fewest < FEW:
        notes.append(
            f"The smaller class of a label has {fewest} test samples, fewer than {FEW}: too few to conclude anything."
        )
    return notes


def missing_notes(missing: Mapping[str, Any] | None) -> list[str]:
    """Say what was hidden on purpose, and what that cost."""
    if missing is None:
        return []
    what = "one of their modalities" if missing["modality"] is None else missing["modality"]
    where = "in the test alone" if missing["protocol"] == "test" else "in training and test"
    notes = [f"{missing['rate']:.0%} of the samples that could lost {what} on purpose, {where}."]
    if missing["protocol"] == "test":
        complete, drawn = (missing[key]["auroc"]["mean"] for key in ("complete", "over_draws"))
        if complete is not None:
            draws = "1 draw" if missing["draws"] == 1 else f"{missing['draws']} draws"
            notes.append(f"AUROC (mean over folds) {complete:.3f} with nothing hidden, {drawn:.3f} over {draws}.")
    return notes


def calibration_notes(patterns: Sequence[Mapping[str, Any]], subgroups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the combinations of modalities and the subgroups that are predicted too high or too low, beyond chance.

    Both are rows of metrics.json, ``per_pattern`` and ``per_subgroup``.
    """
    named = [(f"{row['modalities']} only", row["calibration"]) for row in patterns if row["calibration"]]
    named += [(f"{row['group']} {row['value']}", row) for row in subgroups]
    return [_off(name, found) for name, found in named if _is_off(found)]


def _is_off(found: Mapping[str, Any]) -> bool:
    if found["observed_expected"] is None:
        return False
    low, high = found["observed_expected_ci"]
    return not RATIO_RANGE[0] <= found["observed_expected"] <= RATIO_RANGE[1] and not low <= 1 <= high


def _off(name: str, found: Mapping[str, Any]) -> str:
    low, high = found["observed_expected_ci"]
    return (
        f"Samples with {name}: {found['observed_expected']:.2f} times as many positives as predicted "
        f"(95 % interval {low:.2f} to {high:.2f}); their probabilities are off."
    )
