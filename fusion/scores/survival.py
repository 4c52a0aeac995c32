"""Times to an event: predicted survival curves, and the Kaplan-Meier estimate of events and of censoring.

A time is that of the event where ``event`` is 1, and how long nothing had happened where it is 0 (censored). At equal
times events come before censoring: who is censored at a time was still at risk of the events at that time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import InputError
from .metrics import FloatArray

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

NEAREST = 1e-12
"""Survival is kept this far above 0 where its logarithm is taken."""


@dataclass(frozen=True)
class SurvivalCurves:
    """What is predicted of n samples: ``survival`` [n, H], the chance of no event up to each of ``times`` [H].

    Times are ascending and above 0. At time 0 survival is 1, and between two times the hazard is constant.
    """

    times: Float64Array
    survival: FloatArray

    def __post_init__(self) -> None:
        if self.survival.ndim != 2 or self.survival.shape[1:] != self.times.shape or not len(self.times):
            raise InputError(
                f"survival {self.survival.shape} at times {self.times.shape}; expected [n, H] at [H], H of 1 or more."
            )
        if self.times[0] <= 0 or (np.diff(self.times) <= 0).any():
            raise InputError(f"times of survival curves have to ascend and be above 0; they are {self.times.tolist()}.")

    def __len__(self) -> int:
        return len(self.survival)

    def __getitem__(self, rows: Any) -> SurvivalCurves:
        """Return the curves of some samples: a slice, a mask or positions."""
        return SurvivalCurves(self.times, self.survival[rows])

    @property
    def risk(self) -> Float64Array:
        """The chance of an event up to the last time, [n]."""
        risk: Float64Array = 1 - self.survival[:, -1].astype(np.float64)
        return risk

    def at(self, when: Float64Array) -> Float64Array:
        """Return survival at times [T], [n, T]; after the last one the hazard stays as it was before it."""
        survival: Float64Array = np.exp(-self._hazard(slice(None), when))
        return survival

    def hazard_until(self, when: Float64Array) -> Float64Array:
        """Return the cumulative hazard of each sample up to a time of its own [n]: how many events are expected."""
        return self._hazard(np.arange(len(self)), when)

    def _hazard(self, rows: Any, when: Float64Array) -> Float64Array:
        """Return cumulative hazards: of all rows at times [T], [n, T]; or of each one of n at one of n times."""
        times = np.append(0.0, self.times)
        passed = -np.log(np.clip(self._from_start, NEAREST, 1))  # [n, 1 + H]
        right = np.clip(np.searchsorted(times, when), 1, len(self.times))
        share = (when - times[right - 1]) / (times[right] - times[right - 1])
        before = passed[rows, right - 1]
        hazard: Float64Array = before + share * (passed[rows, right] - before)
        return hazard

    @property
    def restricted_mean(self) -> Float64Array:
        """The mean time without event, counted up to the last time, [n]: the area below the curve."""
        survival = np.clip(self._from_start, NEAREST, 1)
        before, after = survival[:, :-1], survival[:, 1:]
        hazard = np.log(before / after)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(hazard > 0, (before - after) / hazard, before)
        areas: Float64Array = (mean * np.diff(self.times, prepend=0)).sum(axis=1)
        return areas

    @property
    def _from_start(self) -> Float64Array:
        survival = self.survival.astype(np.float64)
        return np.concatenate([np.ones((len(survival), 1)), survival], axis=1)


def as_predicted(kind: str, values: FloatArray, times: Sequence[float] | Float64Array) -> FloatArray | SurvivalCurves:
    """Return stored predictions [n, K] as what measures of a kind of target take; ``times`` [H] of survival alone."""
    return SurvivalCurves(np.asarray(times, dtype=np.float64), values) if kind == "survival" else values


def quarters(times: Float64Array) -> Float64Array:
    """Return of ascending times [H] those a quarter, half and three quarters on: where predictions are looked at.

    Of fewer than three all.
    """
    places = np.round(np.array([0.25, 0.5, 0.75]) * (len(times) - 1)).astype(np.int64)
    chosen: Float64Array = np.unique(times[places])
    return chosen


def known_outcomes(y: FloatArray) -> tuple[BoolArray, Float64Array, BoolArray]:
    """Return who has an outcome in y [n, 2] (NaN: unknown), and of these the times [m] and whether it is an event."""
    known: BoolArray = ~np.isnan(y[:, 0]) & ~np.isnan(y[:, 1])
    event: BoolArray = y[known, 1] == 1
    return known, y[known, 0].astype(np.float64), event


@dataclass(frozen=True)
class Steps:
    """Survival that falls at ``times`` [U], ascending: ``values`` [..., U] from each of them on, 1 before the first."""

    times: Float64Array
    values: Float64Array

    def at(self, when: FloatArray) -> Float64Array:
        """Return survival at times [T], [..., T]; what happens at such a time has happened."""
        return self._taken(np.searchsorted(self.times, when, side="right"))

    def before(self, when: FloatArray) -> Float64Array:
        """Return survival just before times [T], [..., T]."""
        return self._taken(np.searchsorted(self.times, when, side="left"))

    def _taken(self, passed: npt.NDArray[np.intp]) -> Float64Array:
        values: Float64Array = np.insert(self.values, 0, 1.0, axis=-1)[..., passed]
        return values


@dataclass(frozen=True)
class Counts:
    """Weights of samples at each of U distinct times, [S, U] of S sets: at risk, with an event, and censored."""

    times: Float64Array
    at_risk: Float64Array
    events: Float64Array
    censored: Float64Array


def counts(time: Float64Array, event: BoolArray, weights: FloatArray) -> Counts:
    """Return who is at risk and what happens at each distinct time, for times and events [n] and weights [S, n]."""
    order = np.argsort(time, kind="stable")
    distinct, first = np.unique(time[order], return_index=True)
    weights = weights[:, order].astype(np.float64)
    everybody = np.add.reduceat(weights, first, axis=1)  # [S, U]
    events = np.add.reduceat(weights * event[order], first, axis=1)
    at_risk = np.cumsum(everybody[:, ::-1], axis=1)[:, ::-1]
    return Counts(distinct, at_risk, events, everybody - events)


def kaplan_meier(time: Float64Array, event: BoolArray, weights: FloatArray | None = None) -> Steps:
    """Return the Kaplan-Meier estimate of no event, for times and events [n], n of 1 or more.

    With ``weights`` [S, n] values are [S, U], else [U]. (Kaplan and Meier, JASA 53:457, 1958.)
    """
    found = counts(time, event, np.ones((1, len(time))) if weights is None else weights)
    values = _falling(found.events, found.at_risk)
    return Steps(found.times, values[0] if weights is None else values)


def nelson_aalen(time: Float64Array, event: BoolArray) -> tuple[Float64Array, Float64Array]:
    """Return the distinct times of events [U], ascending, and the cumulative hazard from each of them on, [U].

    (Nelson, Technometrics 14:945, 1972; Aalen, Annals of Statistics 6:701, 1978.)
    """
    found = counts(time, event, np.ones((1, len(time))))
    some = found.events[0] > 0
    cumulated: Float64Array = np.cumsum(found.events[0, some] / found.at_risk[0, some])
    return found.times[some], cumulated


def kaplan_meier_of_censoring(time: Float64Array, event: BoolArray, weights: FloatArray) -> Steps:
    """Return the Kaplan-Meier estimate of not being censored, values [S, U] under weights [S, n].

    Who has an event at a time is no longer at risk of being censored at it. What is estimated is the chance of being
    observed long enough, by whose inverse those who are count in `concordance` and `horizons`; it has to be the same
    whatever is predicted of somebody.
    """
    found = counts(time, event, weights)
    return Steps(found.times, _falling(found.censored, found.at_risk - found.events))


def _falling(happened: Float64Array, at_risk: Float64Array) -> Float64Array:
    survival: Float64Array = np.cumprod(
        1 - np.divide(happened, at_risk, out=np.zeros_like(at_risk), where=at_risk > 0), axis=1
    )
    return survival
