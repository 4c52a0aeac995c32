"""Predicted survival: the probability to be free of an event at some times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .metrics import FloatArray


@dataclass(frozen=True)
class SurvivalCurves:
    """The survival of N samples, ``survival`` [N, H], at ``times`` [H], which rise."""

    times: npt.NDArray[np.float64]
    survival: FloatArray

    def __len__(self) -> int:
        return len(self.survival)

    def __getitem__(self, rows: Any) -> SurvivalCurves:
        return SurvivalCurves(self.times, self.survival[rows])


def as_predicted(kind: str, values: FloatArray, times: Sequence[float]) -> FloatArray | SurvivalCurves:
    """Return predictions [N, K] of a kind of target as a measure takes them; of survival K are the ``times``."""
    return SurvivalCurves(np.asarray(times, dtype=np.float64), values) if kind == "survival" else values
