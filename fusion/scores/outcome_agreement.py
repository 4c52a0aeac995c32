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
from .survival import SurvivalCurves, known_outcomes, quarters


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
    left out. ``events_expected`` are those of everybody for as long as each was observed, and ``observed_expected`` the
    events over them.
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
                **_counted(y[known], predicted[known], subjects[known], when),
                "groups": [_point(said, observed) for said, observed in groups if observed],
            }
        )
    return rows


def observed_expected(
    y: FloatArray, predicted: SurvivalCurves, subjects: Subjects, when: float | None = None
) -> Measured | None:
    """Return the events up to a time over those expected, by default the last of `quarters`; None if none are expected.

    Expected of a sample is its predicted cumulative hazard for as long as it was observed (Crowson, Atkinson and
    Therneau, Statistical Methods in Medical Research 25:1692, 2016). Of right predictions the ratio is 1 whoever is
    censored, as long as that has nothing to do with the event but through what is predicted from. The estimate of
    Kaplan and Meier over the mean predicted chance is 1 only if it has nothing to do with that either: where the
    healthiest leave first, those who stay look like everybody.
    """
    known, time, event = known_outcomes(y)
    when = float(quarters(predicted.times)[-1]) if when is None else when
    expected = predicted[known].hazard_until(np.minimum(time, when))
    happened = (event & (time <= when)).astype(np.float64)
    return intervals.observed_expected(happened, expected, subjects[known]) if expected.sum() > 0 else None


def _counted(y: FloatArray, predicted: SurvivalCurves, subjects: Subjects, when: float) -> dict[str, Any]:
    expected = predicted.hazard_until(np.minimum(y[:, 0].astype(np.float64), when)).sum()
    ratio = observed_expected(y, predicted, subjects, when)
    return {"events_expected": float(expected), **entries("observed_expected", ratio)}


def observed_expected_under_weights(y: FloatArray, predicted: SurvivalCurves, weights: FloatArray) -> FloatArray:
    """Return `observed_expected` [S] under S sets of sample weights [S, n]; y [n, 2], at least one outcome known."""
    known, time, event = known_outcomes(y)
    when, weights = float(quarters(predicted.times)[-1]), weights[:, known]
    expected = predicted[known].hazard_until(np.minimum(time, when))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: FloatArray = weights @ (event & (time <= when)) / (weights @ expected)
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
