"""The quantile-to-normal map of vectors, fitted on those of the training part: at once, or batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtri
from torch import Tensor

from .prefixes import Prefixes
from .series import Summary

FloatArray = npt.NDArray[np.float32]

QUANTILES = 200
CLIP = 3.5
"""Normal scores end here: further out 200 quantiles say nothing."""

MOST_FITTED = 20_000
"""Predictions of a task with several a sample whose vectors give the quantiles."""


@dataclass(frozen=True)
class SummaryNormaliser:
    """Quantile-to-normal map of each quantity: ``quantiles`` [200, F]."""

    quantiles: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, summary: Summary | Prefixes, samples: npt.NDArray[np.int64]) -> SummaryNormaliser:
        """Take quantiles of the known values of the given samples; all NaN for a column without any.

        Of many predictions whose vectors have to be made for it `MOST_FITTED` are enough, drawn once and for all.
        """
        if not isinstance(summary, Summary) and len(samples) > MOST_FITTED:
            samples = np.sort(np.random.default_rng(0).choice(samples, MOST_FITTED, replace=False))
        training = summary.of(samples).quantities.astype(np.float64)  # [n, F]
        levels = np.linspace(0, 1, QUANTILES)
        quantiles = np.full((QUANTILES, training.shape[1]), np.nan)
        unknown = np.isnan(training)
        for column in np.flatnonzero(~unknown.all(axis=0)):
            quantiles[:, column] = np.quantile(training[~unknown[:, column], column], levels)
        return cls(quantiles)

    def apply(self, summary: Summary) -> FloatArray:
        """Return [N, F + G] float32: normal scores (NaN where unknown) and shares."""
        scores = np.full_like(summary.quantities, np.nan, dtype=np.float32)
        for column in np.flatnonzero(~np.isnan(self.quantiles[0])):
            scores[:, column] = normal_scores(summary.quantities[:, column], self.quantiles[:, column])
        return np.concatenate([scores, summary.shares], axis=1, dtype=np.float32)


def normal_scores(values: npt.NDArray[Any], quantiles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Map values [N] to the normal quantiles of their ranks among the training values, NaN where NaN.

    A value that many training rows share gets the middle of its ranks, as the mean of interpolating from below and
    from above.
    """
    levels = np.linspace(0, 1, len(quantiles))
    from_below = np.interp(values, quantiles, levels)
    from_above = 1 - np.interp(-values, -quantiles[::-1], levels)
    rank = (from_below + from_above) / 2
    scores: npt.NDArray[np.float64] = np.clip(ndtri(rank), -CLIP, CLIP)
    return scores


class PrefixVectors:
    """Vectors of what is known at each prediction, made and normalised when a batch asks for them.

    The scores are those of :meth:`SummaryNormaliser.apply`, of all columns at once: for few predictions and many
    columns that is several times faster.
    """

    def __init__(self, prefixes: Prefixes, normaliser: SummaryNormaliser, device: torch.device) -> None:
        self.prefixes, self.device = prefixes, device
        self.known = np.flatnonzero(~np.isnan(normaliser.quantiles[0]))  # [K]
        self.quantiles = torch.from_numpy(np.ascontiguousarray(normaliser.quantiles.T[self.known]))  # [K, 200]
        self.first = torch.searchsorted(self.quantiles, self.quantiles)  # [K, 200], of those with the same value

    def __getitem__(self, samples: Tensor) -> Tensor:
        """Return those of some predictions [n], [n, F] float32."""
        made = self.prefixes.of(samples.cpu().numpy())
        quantities, shares = torch.from_numpy(made.quantities), torch.from_numpy(made.shares)
        scores = torch.full_like(quantities, torch.nan)
        if len(self.known):
            scores[:, self.known] = self._scores(quantities[:, self.known].T.double().contiguous()).T
        return torch.cat([scores, shares], dim=1).to(self.device)

    def _scores(self, values: Tensor) -> Tensor:
        """Return the normal scores of values [K, n], NaN where NaN."""
        last = QUANTILES - 1
        reached = torch.searchsorted(self.quantiles, values, right=True) - 1  # the last quantile that is not above
        place = reached.clamp(0, last - 1)
        low, high = self.quantiles.gather(1, place), self.quantiles.gather(1, place + 1)
        share = torch.where(high > low, (values - low) / (high - low), (values >= high).double()).clamp(0, 1)
        from_below = place + share
        reached = reached.clamp(0, last)
        tied = self.quantiles.gather(1, reached) == values
        from_above = torch.where(tied, self.first.gather(1, reached).double(), from_below)
        rank = (from_below + from_above) / (2 * last)
        scores = torch.from_numpy(np.clip(ndtri(rank.numpy()), -CLIP, CLIP))
        return torch.where(values.isnan(), torch.nan, scores).float()
