"""Probabilities corrected by some patients of another site, and judged by the others.

Two corrections on the scale of the logit: in the large, which shifts all probabilities of a label alike, and that of
the slope, which stretches them as well. Neither changes who is ranked above whom by a label. (Steyerberg, Clinical
Prediction Models, 2nd ed. 2019, chapter 20.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...cache_schema import FeatureCache, InputError
from ..inputs.batches import Cohort
from ..inputs.splits import cut, strata
from ..parts.calibration import fit_scale, minimise
from ..parts.targets import Target
from ..runs.stored_predictions import Predictions
from ..scores import agreement
from ..scores.measures import KINDS, evaluate_over_folds
from ..scores.metrics import FloatArray

MOST_SHARE = 0.5
"""Of the patients at most, that a correction is fitted on."""
FEWEST = 20
"""Patients that a correction is fitted on, and judged by, at least."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Correction:
    """Probabilities [n, K] of the logits ``weight * logit + bias``, ``bias`` [K] of each label or class."""

    name: str
    weight: float
    bias: npt.NDArray[np.float64]
    target: Target

    def of(self, probability: FloatArray) -> FloatArray:
        """Return corrected probabilities [n, K]."""
        logits = self.weight * _logits(self.target, probability) + torch.from_numpy(self.bias)
        return self.target.probabilities(logits).numpy().astype(np.float32)


@dataclass(frozen=True)
class Recalibrated:
    """Measures by name on those whom nothing was fitted on: as predicted, and after each correction.

    ``fitted_on`` and ``judged_by`` count patients; ``calibration`` of a binary task is slope, intercept and so on.
    """

    how: str
    fitted_on: int
    judged_by: int
    corrections: tuple[Correction, ...]
    measures: Mapping[str, Mapping[str, float | None]]
    calibration: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        fitted = {one.name: {"weight": one.weight, "bias": one.bias.tolist()} for one in self.corrections}
        return {
            "how": self.how, "fitted_on": self.fitted_on, "judged_by": self.judged_by, "corrections": fitted,
            "measures": self.measures, "calibration": self.calibration,
        }  # fmt: skip


def corrections(target: Target, y: FloatArray, probability: FloatArray) -> tuple[Correction, Correction]:
    """Fit both to labels y [n, C] and probabilities [n, K] of the patients that they may be fitted on.

    Raises
    ------
    InputError
        If these patients all have the same labels.
    """
    if all(len(np.unique(column[~np.isnan(column)])) < 2 for column in y.T):
        raise InputError("Nothing to recalibrate by: all patients that it may be fitted on have the same labels.")
    logits, truth = _logits(target, probability), torch.from_numpy(y.astype(np.float64))

    def misfit(bias: Tensor) -> Tensor:
        return target.loss(logits + bias, truth)

    shift = minimise(misfit, torch.zeros(logits.shape[1], dtype=torch.float64))
    weight, bias = fit_scale(target, logits[:, None], truth)
    return (
        Correction("in the large", 1.0, shift.numpy(), target),
        Correction("of the slope", float(weight[0]), bias.double().numpy(), target),
    )


def _logits(target: Target, probability: FloatArray) -> Tensor:
    return target.logits_of(torch.from_numpy(probability.astype(np.float64)))


def recalibrated(cache: FeatureCache, cohort: Cohort, said: Predictions, how: str | float) -> Recalibrated:
    """Fit corrections on the patients that are named, and judge them by all others with a label.

    ``how`` is a part of the cache's split, or a share of the patients.

    Raises
    ------
    InputError
        If there are no probabilities, no such part or share, or too few patients on either side.
    """
    kind, labelled = cohort.task.kind, ~np.all(np.isnan(cohort.y), axis=1)
    if kind not in KINDS:
        raise InputError(f"Only probabilities are recalibrated; {cohort.task.name!r} is a task of {kind}.")
    fitted = _chosen(cache, cohort, labelled, how) & labelled
    rest = labelled & ~np.isin(cohort.subject, cohort.subject[fitted])
    counts = [len(np.unique(cohort.subject[part])) for part in (fitted, rest)]
    if min(counts) < FEWEST:
        raise InputError(
            f"Recalibration by {how!r} has {counts[0]:,} patients to be fitted on and {counts[1]:,} to be judged by; "
            f"each takes {FEWEST} at least."
        )
    target = Target(kind, said.p.shape[1])
    made = corrections(target, cohort.y[fitted], said.p[fitted])
    p = {"as predicted": said.p[rest], **{one.name: one.of(said.p[rest]) for one in made}}
    models = np.nan_to_num(said.fold[rest], nan=-1)
    return Recalibrated(
        str(how), counts[0], counts[1], made,
        {name: evaluate_over_folds(kind, cohort.y[rest], one, models) for name, one in p.items()},
        {name: agreement.calibration(cohort.y[rest, 0], one[:, 0], cohort.subject[rest]) for name, one in p.items()}
        if kind == "binary" else {},
    )  # fmt: skip


def _chosen(cache: FeatureCache, cohort: Cohort, labelled: BoolArray, how: str | float) -> BoolArray:
    """Return whom corrections may be fitted on, bool [N]."""
    if isinstance(how, float):
        if not 0 < how <= MOST_SHARE:
            raise InputError(f"recalibrate = {how}; give a share of the patients above 0 and at most {MOST_SHARE}.")
        labels = strata(cohort.y, cohort.task.kind)
        _, some = cut(np.flatnonzero(labelled), cohort.subject, labels, how, np.random.default_rng(0))
        return np.isin(np.arange(len(labelled)), some)
    parts = {str(part): name for name, table in cache.splits.items() for part in table["part"].drop_nulls().unique()}
    if how not in parts:
        known = f"its parts are {', '.join(sorted(parts))}" if parts else "it has no split; give a share such as 0.3"
        raise InputError(f"{cache.path} has no part {how!r} to recalibrate by: {known}.")
    named = cache.splits[parts[how]].filter(part=how)["sample_id"]
    return np.isin(cohort.sample_id, named.to_numpy())
