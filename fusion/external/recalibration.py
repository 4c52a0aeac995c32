"""Probabilities corrected by some patients of another site, and judged by the others.

Two corrections on the scale of the logit: in the large, which shifts all probabilities of a label alike, and that of
the slope, which stretches them as well. Neither changes who is ranked above whom by a label. (Steyerberg, Clinical
Prediction Models, 2nd ed. 2019, chapter 20.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...cache_schema import InputError
from ..parts.calibration import fit_scale, minimise
from ..parts.targets import Target
from ..scores.metrics import FloatArray


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
