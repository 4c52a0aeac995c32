"""Tasks with several predictions a sample: which of the shared rows each of them sees, and which an epoch trains on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class Spans:
    """Which rows each of n positions sees: ``lengths`` [n] of them from ``starts`` [n] on. They may overlap."""

    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def take(self, positions: npt.NDArray[np.int64]) -> Spans:
        """Return those of the given positions."""
        return Spans(self.starts[positions], self.lengths[positions])

    def rows(self, count: int) -> npt.NDArray[np.bool_]:
        """Return which of ``count`` rows any position sees."""
        some = self.lengths > 0
        edges = np.zeros(count + 1, dtype=np.int64)  # +1 where a span begins, -1 where it ends
        np.add.at(edges, self.starts[some], 1)
        np.add.at(edges, self.starts[some] + self.lengths[some], -1)
        seen: npt.NDArray[np.bool_] = np.cumsum(edges[:-1]) > 0
        return seen


@dataclass(frozen=True)
class Queries:
    """Which predictions of a task: ``number`` [Q] there, ``sample`` [Q] in the cache, ``hours`` [Q] since its t0."""

    number: npt.NDArray[np.int64]
    sample: npt.NDArray[np.int64]
    hours: npt.NDArray[np.float32]

    def take(self, positions: npt.NDArray[np.int64]) -> Queries:
        """Return the given predictions."""
        return Queries(self.number[positions], self.sample[positions], self.hours[positions])


def drawn(positions: Tensor, sample: Tensor | None, times: int, generator: torch.Generator) -> Tensor:
    """Return the positions [n] that an epoch trains on: all of them where each sample has one prediction.

    Of several predictions a sample, ``sample`` [N], an epoch takes ``times`` for each sample, 0: all. Every prediction
    is as likely as any other, so that long stays count as much as they do in a test: positions are cut into as many
    equal stretches as there are predictions to take, and each gives one.
    """
    count = drawn_count(positions, sample, times)
    if count == len(positions):
        return positions
    place = torch.rand(count, generator=generator, dtype=torch.float64) + torch.arange(count, dtype=torch.float64)
    chosen = (place * (len(positions) / count)).long().clamp(max=len(positions) - 1)
    return positions[chosen.to(positions.device)]


def drawn_count(positions: Tensor, sample: Tensor | None, times: int) -> int:
    """Return how many predictions an epoch takes, see :func:`drawn`."""
    if sample is None or not times:
        return len(positions)
    return min(len(positions), times * len(torch.unique(sample[positions])))
