"""What was observed of times to an event, of everybody and in groups: risks with intervals, mean times, risk groups."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .intervals import Measured, Subjects, of_patients, wilson
from .survival import BoolArray, Float64Array, counts, kaplan_meier

GROUPS = 3
"""Groups by predicted risk whose survival is drawn."""


def observed_risk(time: Float64Array, event: BoolArray, subjects: Subjects, when: float) -> Measured | None:
    """Return the Kaplan-Meier estimate of an event by a time, with its interval; None if nobody was observed so long.

    The variance is that of whole patients: each sample has an influence, and the squares of the patients' sums add up.
    The interval is that of a share of as many trials as would have it, see `intervals`.
    """
    if not len(time) or (time.max() < when and not event[time == time.max()].all()):
        return None
    found = counts(time, event, np.ones((1, len(time))))
    events, at_risk = found.events[0] * (found.times <= when), found.at_risk[0]  # [U]
    risk = 1 - float(np.prod(1 - events / at_risk))
    left = at_risk - events  # 0 where all that are left have the event, after which nothing can move the estimate
    cumulated = np.cumsum(np.divide(events, at_risk * left, out=np.zeros_like(left), where=left > 0))
    place = np.searchsorted(found.times, time)
    own = np.divide(event * (time <= when), left[place], out=np.zeros(len(time)), where=left[place] > 0)
    off = of_patients((1 - risk) * (own - cumulated[place]), subjects)
    variance = float(len(off) / max(1, len(off) - 1) * (off**2).sum())
    trials = risk * (1 - risk) / variance if variance > 1e-12 and 0 < risk < 1 else float(len(off))
    return wilson(risk, trials)


def risk_groups(
    risk: Float64Array, folds: npt.NDArray[np.floating | np.integer], groups: int = GROUPS
) -> npt.NDArray[np.int64]:
    """Return the group of each sample by risk [n], 0 the lowest; groups of equal size within each fold [n].

    Risks of different models are not ranked among each other.
    """
    group = np.zeros(len(risk), dtype=np.int64)
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        order = np.argsort(risk[rows], kind="stable")
        group[rows[order]] = np.arange(len(rows)) * groups // len(rows)
    return group


def restricted_mean(time: Float64Array, event: BoolArray, until: float) -> float:
    """Return the mean time without event, counted up to a time: the area below the Kaplan-Meier curve."""
    steps = kaplan_meier(time, event)
    inside = steps.times < until
    edges = np.concatenate([[0.0], steps.times[inside], [until]])
    return float((np.diff(edges) * np.append(1.0, steps.values[inside])).sum())
