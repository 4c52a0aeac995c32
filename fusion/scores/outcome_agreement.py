"""How far predicted quantities, and predicted chances of an event, agree with what happened: in tenths and at times."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from . import intervals
from .agreement import BINS, ROWS_PER_BIN
from .horizons import auroc_at
from .intervals import Measured, Subjects, entries
from .measures import of_kind
from .metrics import FloatArray
from .observed import observed_risk
from .subgroups import Samples
from .survival import SurvivalCurves, kaplan_meier, known_outcomes, quarters


def of_quantities(
    labels: Sequence[str], y: FloatArray, predicted: FloatArray, who: Samples
) -> dict[str, list[dict[str, Any]]]:
    """Return what metrics.json says of predicted quantities [n, C], beside the measures of all together.

    ``reliability`` of one quantity, or ``per_label`` of several.
    """
    if len(labels) == 1:
        return {"reliability": reliability(y[:, 0], predicted[:, 0], who.subjects)}
    columns = [(label, y[:, [c]], predicted[:, [c]]) for c, label in enumerate(labels)]
    return {"per_label": [_of_quantity(*column, who) for column in columns]}


def _of_quantity(label: str, y: FloatArray, predicted: FloatArray, who: Samples) -> dict[str, Any]:
    row: dict[str, Any] = {"label": label, "positives": None}
    for name, measure in of_kind("regression").items():
        if measure.resampled:
            row |= entries(name, intervals.of_measure(measure, y, predicted, who.subjects, who.folds))
    return row | {"calibration": None, "reliability": reliability(y[:, 0], predicted[:, 0], who.subjects)}


def reliability(y: FloatArray, predicted: FloatArray, subjects: Subjects) -> list[dict[str, float]]:
    """Return mean prediction and mean measured value in at most ten groups of equal size by prediction.

    ``y`` [n] (NaN: unknown), ``predicted``, ``subjects`` [n]. Groups have at least 20 samples, if there are so many.
    Each has ``predicted``, ``observed``, ``low`` and ``high``.
    """
    known = ~np.isnan(y)
    y, predicted, subjects = y[known].astype(np.float64), predicted[known].astype(np.float64), subjects[known]
    found = [(predicted[rows], intervals.mean(y[rows], subjects[rows])) for rows in _groups(predicted)]
    return [_point(said, observed) for said, observed in found if observed]


def at_horizons(
    y: FloatArray, predicted: SurvivalCurves, subjects: Subjects, folds: npt.NDArray[Any]
) -> list[dict[str, Any]]:
    """Return what metrics.json says of predicted survival at three times, see `survival.quarters`.

    ``y`` [n, 2] holds time and event (NaN: unknown). Each has ``time``, ``at_risk`` and ``events`` as counts, the
    ``auroc`` of the event by then (mean over folds), the chance of it that was ``observed``, the mean one ``expected``,
    and ``groups``, at most ten by predicted chance, as in `reliability`; a group that nobody was observed so long in is
    left out.
    """
    known, time, event = known_outcomes(y)
    rows = []
    for when in quarters(predicted.times).tolist():
        risk = _risk(predicted[known], when)
        groups = [
            (risk[rows], observed_risk(time[rows], event[rows], subjects[known][rows], when)) for rows in _groups(risk)
        ]
        rows.append(
            {
                "time": when,
                "at_risk": int((time >= when).sum()),
                "events": int((event & (time <= when)).sum()),
                **entries("auroc", intervals.of_draws(partial(auroc_at, when), y, predicted, subjects, folds)),
                **entries("observed", observed_risk(time, event, subjects[known], when)),
                "expected": float(risk.mean()),
                "groups": [_point(said, observed) for said, observed in groups if observed],
            }
        )
    return rows


def observed_expected(y: FloatArray, predicted: SurvivalCurves, subjects: Subjects) -> Measured | None:
    """Return the observed chance of an event over the mean predicted one, at the last of `quarters`.

    None if nobody was observed so long.
    """
    known, time, event = known_outcomes(y)
    when = float(quarters(predicted.times)[-1])
    found = observed_risk(time, event, subjects[known], when)
    expected = float(_risk(predicted[known], when).mean()) if found else 0.0
    return Measured(*(part / expected for part in (found.value, found.low, found.high))) if found and expected else None


def observed_expected_under_weights(y: FloatArray, predicted: SurvivalCurves, weights: FloatArray) -> FloatArray:
    """Return `observed_expected` [S] under S sets of sample weights [S, n]; y [n, 2], at least one outcome known."""
    known, time, event = known_outcomes(y)
    when, weights = float(quarters(predicted.times)[-1]), weights[:, known]
    observed = 1 - kaplan_meier(time, event, weights).at(np.array([when]))[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: FloatArray = observed * weights.sum(axis=1) / (weights @ _risk(predicted[known], when))
    return ratio


def _risk(predicted: SurvivalCurves, when: float) -> npt.NDArray[np.float64]:
    return 1 - predicted.at(np.array([when]))[:, 0]


def _groups(predicted: FloatArray) -> list[npt.NDArray[np.intp]]:
    """Return the rows of each group of equal size by prediction [n]."""
    order = np.argsort(predicted, kind="stable")
    split = np.array_split(order, max(1, min(BINS, len(predicted) // ROWS_PER_BIN)))
    return [rows for rows in split if len(rows)]


def _point(predicted: FloatArray, observed: Measured) -> dict[str, float]:
    value, low, high = observed.value, observed.low, observed.high
    return {"predicted": float(predicted.mean()), "observed": value, "low": low, "high": high}
