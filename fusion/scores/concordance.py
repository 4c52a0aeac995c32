"""How often who has the event earlier was given the higher risk: the concordance of Harrell, and that of Uno.

Two samples can be compared where the time of the first is that of an event, and the second is known to be without event
longer: observed longer, or censored at the same time. Equal risks count as half a concordant pair.
"""

from __future__ import annotations

import numpy as np

from .metrics import FloatArray
from .survival import BoolArray, Counts, Float64Array, SurvivalCurves, counts, kaplan_meier_of_censoring, known_outcomes

PAIRS_AT_ONCE = 1 << 24
"""Pairs that are looked at together: 64 MB of them."""


def harrell(y: FloatArray, predicted: SurvivalCurves, weights: FloatArray) -> Float64Array:
    """Return Harrell's concordance [S] under S sets of sample weights [S, n]; NaN where no pair can be compared.

    ``y`` [n, 2] holds time and event (NaN: unknown). What is ranked is the risk up to the last time of the curves.
    (Harrell et al., JAMA 247:2543, 1982.) It depends on who is censored; `uno` does not.
    """
    known, time, event = known_outcomes(y)
    weights = weights[:, known]
    return _share(time, event, predicted.risk[known], weights, np.ones((len(weights), int(event.sum()))))


def uno(y: FloatArray, predicted: SurvivalCurves, weights: FloatArray) -> Float64Array:
    """Return Uno's concordance [S] of events before the last time of the curves, else as `harrell`.

    A pair counts by the inverse square of the chance that its earlier sample is still observed at that time, so that
    the estimate is of the population without censoring. (Uno et al., Statistics in Medicine 30:1105, 2011, with tau the
    last time.)
    """
    known, time, event = known_outcomes(y)
    weights = weights[:, known]
    if not len(time):
        return np.full(len(weights), np.nan)
    observed = kaplan_meier_of_censoring(time, event, weights).before(time[event])  # [S, events]
    early = time[event] < predicted.times[-1]
    factors = np.divide(early, observed**2, out=np.zeros_like(observed), where=observed > 0)
    return _share(time, event, predicted.risk[known], weights, factors)


def _share(
    time: Float64Array, event: BoolArray, risk: Float64Array, weights: FloatArray, factors: Float64Array
) -> Float64Array:
    """Return the share [S] of concordant pairs; ``factors`` [S, events] multiply the weight of the earlier sample."""
    if not event.any():
        return np.full(len(weights), np.nan)
    earlier = weights[:, event] * factors  # [S, E]
    found = counts(time, event, weights)
    comparable = (earlier * _later(found, time[event])).sum(axis=1)
    weights = weights.astype(np.float32)  # sums of whole numbers are exact up to 2^24
    concordant = np.zeros(len(weights))
    step = max(1, PAIRS_AT_ONCE // len(time))
    positions = np.flatnonzero(event)
    for begin in range(0, len(positions), step):
        first = positions[begin : begin + step, None]
        longer = (time[first] < time) | ((time[first] == time) & ~event)  # [e, n]
        right = longer * ((risk[first] > risk) + np.float32(0.5) * (risk[first] == risk))
        concordant += (earlier[:, begin : begin + step] * (weights @ right.T.astype(np.float32))).sum(axis=1)
    share: Float64Array = np.divide(concordant, comparable, out=np.full(len(weights), np.nan), where=comparable > 0)
    return share


def _later(found: Counts, time: Float64Array) -> Float64Array:
    """Return the weight of who is known to be without event longer than each of some times [E], [S, E]."""
    return (found.at_risk - found.events)[:, np.searchsorted(found.times, time)]
