"""How good predicted survival is at given times: Brier score and discrimination.

Who was censored before a time is unknown at it. Those who are known count by the inverse of the chance of having been
observed so long, which the Kaplan-Meier estimate of censoring gives for the samples that are evaluated.
"""

from __future__ import annotations

import numpy as np
import scipy

from .areas import AUROC
from .metrics import FloatArray
from .survival import Float64Array, SurvivalCurves, kaplan_meier_of_censoring, known_outcomes, quarters


def brier_at(y: FloatArray, predicted: SurvivalCurves, weights: FloatArray) -> Float64Array:
    """Return the Brier score at every time of the curves, [S, H], under S sets of sample weights [S, n].

    ``y`` [n, 2] holds time and event (NaN: unknown). NaN without any event. (Graf et al., Statistics in Medicine
    18:2529, 1999.)
    """
    known, time, event = known_outcomes(y)
    weights, survival = weights[:, known].astype(np.float64), predicted.survival[known].astype(np.float64)
    if not event.any():
        return np.full((len(weights), len(predicted.times)), np.nan)
    observed = kaplan_meier_of_censoring(time, event, weights)
    happened = (time[:, None] <= predicted.times) & event[:, None]  # [n, H]
    alive = time[:, None] > predicted.times
    past = _divided(weights, observed.before(time)) @ (happened * survival**2)
    future = _divided(weights @ (alive * (1 - survival) ** 2), observed.at(predicted.times))
    total = weights.sum(axis=1, keepdims=True)
    scores: Float64Array = np.divide(past + future, total, out=np.full_like(past, np.nan), where=total > 0)
    return scores


def integrated_brier(y: FloatArray, predicted: SurvivalCurves, weights: FloatArray) -> Float64Array:
    """Return the mean of `brier_at` from 0 to the last time, by trapezoids, [S]; at time 0 nobody has had the event."""
    return mean_over_time(brier_at(y, predicted, weights), predicted.times)


def mean_over_time(scores: Float64Array, times: Float64Array) -> Float64Array:
    """Return the mean of scores [..., H] at times [H] from 0, where they are 0, to the last time, by trapezoids."""
    from_start = np.insert(scores, 0, 0.0, axis=-1)
    means: Float64Array = scipy.integrate.trapezoid(from_start, np.append(0.0, times), axis=-1) / times[-1]
    return means


def auroc_at(when: float, y: FloatArray, predicted: SurvivalCurves, weights: FloatArray) -> Float64Array:
    """Return the AUROC at a time [S]: of who has had the event by then against who is without it longer.

    NaN where there is nobody of either. (Cumulative cases and dynamic controls, weighted as in Uno et al., JASA
    102:527, 2007.)
    """
    known, time, event = known_outcomes(y)
    weights = weights[:, known].astype(np.float64)
    case, control = event & (time <= when), time > when
    if not (case.any() and control.any()):
        return np.full(len(weights), np.nan)
    weights[:, case] = _divided(weights[:, case], kaplan_meier_of_censoring(time, event, weights).before(time[case]))
    rows, risk = case | control, 1 - predicted[known].at(np.array([when]))[:, 0]
    return AUROC.under_weights(case[rows].astype(np.float64), risk[rows], weights[:, rows]).astype(np.float64)


def auroc_at_horizons(y: FloatArray, predicted: SurvivalCurves, weights: FloatArray) -> Float64Array:
    """Return the mean of `auroc_at` over the `quarters` of the curves' times, [S]; of those where it is defined."""
    each = np.stack([auroc_at(when, y, predicted, weights) for when in quarters(predicted.times)])
    means: Float64Array = np.ma.masked_invalid(each).mean(axis=0).filled(np.nan)
    return means


def _divided(weights: FloatArray, chance: Float64Array) -> Float64Array:
    """Return weights over chances, 0 where nobody is observed so long, which is where nobody has a weight."""
    return np.divide(weights, chance, out=np.zeros_like(weights), where=chance > 0)
