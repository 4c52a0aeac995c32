"""One row a training sample: the pooled vectors of all modalities, for what is fitted to a table at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .completion.patterns import sample_patterns

Array = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class FeatureTable:
    """Training samples: ``pooled`` M tables [n, F], NaN where unknown, ``present`` bool [n, M], ``y`` [n, C].

    ``subject`` [n] is the same number for samples of one subject.
    """

    pooled: list[Array]
    present: Tensor
    y: Array
    subject: npt.NDArray[np.int64]

    def of(self, rows: npt.NDArray[np.bool_]) -> FeatureTable:
        """Return some of the samples, bool [n]."""
        return FeatureTable(
            [table[rows] for table in self.pooled], self.present[torch.from_numpy(rows)], self.y[rows],
            self.subject[rows],
        )  # fmt: skip

    def with_copies(self, generator: torch.Generator) -> FeatureTable:
        """Add a copy of each sample of several modalities, which shows a random non-empty proper part of them."""
        shown = sample_patterns(self.present, generator, dropout=1.0, patterns="proper")
        copied = (shown != self.present).any(1).numpy()
        pooled = [
            np.concatenate([table, np.where(kept[:, None], table, np.nan)[copied]])
            for table, kept in zip(self.pooled, shown.T.numpy(), strict=True)
        ]
        present = torch.cat([self.present, shown[torch.from_numpy(copied)]])
        y, subject = (np.concatenate([known, known[copied]]) for known in (self.y, self.subject))
        return FeatureTable(pooled, present, y, subject)


def together(tables: list[Array], shown: npt.NDArray[np.bool_]) -> Array:
    """Return the tables [n, F] of the modalities ``shown`` [M] side by side."""
    return np.concatenate([table for table, wanted in zip(tables, shown, strict=True) if wanted], axis=1)
