"""Between an outcome as a cache stores it and what a model learns: fitted on training rows, stored with the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import brentq
from scipy.special import expit, logit
from torch import Tensor

from ...cache_schema import Task
from ..methods.base import Prediction
from ..parts.targets import Kind, Target
from ..scores.survival import SurvivalCurves, as_predicted, known_outcomes, nelson_aalen

Array = npt.NDArray[np.floating[Any]]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

INTERVALS = 10
"""Intervals of time in which an event may come, at most."""

EVENTS_OF_AN_INTERVAL = 10
"""Where there are fewer events of the training part than these for each interval, there are fewer intervals."""

EVALUATION_TIMES = 20
"""Times at which survival is predicted and measured, at most."""

LATEST = EVALUATION_TIMES / (EVALUATION_TIMES + 1)
"""Share of the events up to which survival is learnt and predicted: of the last ones few are left to learn from."""

KNOTS = 200
"""Times, at most, that say how the hazard runs within intervals."""

TIME_DIGITS = 6
"""Significant digits of these times, so that the name of a column says which one it is."""

SUREST = 1 - 1e-7
"""Hazards are kept below this: nobody is sure of an event."""

FURTHEST = 30.0
"""Hazards are shifted by so much in log-odds at most."""


@dataclass(frozen=True)
class Outcome:
    """Classes and labels, which are learnt as they are stored and predicted as probabilities; base of the others."""

    target: Target

    def learnt(self, y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return what a method sees of labels y [n, C] as in `Task`: [n, K], NaN where unknown."""
        return y

    def after_training(self, ask: Callable[[], Array], y: Array) -> Outcome:  # noqa: ARG002  (of survival)
        """Return it with what is fitted to answers for the training part, ``ask()``, and its labels y, both [n, K]."""
        return self

    def own(self, predicted: Array, times: Sequence[float] = (), shown: Bools | None = None) -> Array:  # noqa: ARG002
        """Return what a method predicts, [n, K], in the form of the outcome.

        Probabilities of classes; values in the unit of the task, [n, C]; survival at ``times``, [n, H]. Of who is not
        ``shown`` [n], by default nobody, the method knew nothing, and said the frequencies of the training part.
        """
        return predicted

    def of(self, prediction: Prediction, times: Sequence[float] = (), shown: Bools | None = None) -> Prediction:
        """Return a prediction with its numbers as :meth:`own` has them."""
        own = self.own(prediction.probability.numpy(), times, shown).astype(np.float32)
        return replace(prediction, probability=torch.from_numpy(own))

    def tensors(self) -> dict[str, Tensor]:
        """Return the fitted numbers for storing; empty where there are none."""
        return {}


@dataclass(frozen=True)
class Quantities(Outcome):
    """Real numbers, standardised: ``mean`` and ``scale`` [C] of the training rows; the scale of a constant is 1."""

    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, y: npt.NDArray[np.float32]) -> Quantities:
        """Take mean and standard deviation of the known values of y [n, C], some of each column."""
        values = y.astype(np.float64)
        mean, deviation = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        constant = deviation <= 1e-9 * (np.abs(mean) + 1e-30)
        return cls(Target("regression", y.shape[1]), mean, np.where(constant, 1.0, deviation))

    def learnt(self, y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return y [n, C] in deviations from the training mean."""
        return ((y - self.mean) / self.scale).astype(np.float32)

    def own(self, predicted: Array, times: Sequence[float] = (), shown: Bools | None = None) -> Array:  # noqa: ARG002
        """Return predicted deviations [n, C] in the unit of the task."""
        return predicted * self.scale + self.mean

    def tensors(self) -> dict[str, Tensor]:
        """Return mean and scale."""
        return {"mean": torch.from_numpy(self.mean), "scale": torch.from_numpy(self.scale)}


@dataclass(frozen=True)
class Hazards(Outcome):
    """Time to an event as discrete hazards: the chance of it in each interval, for who has lived through those before.

    ``edges`` [J + 1] of the intervals, which end where a share of the training part's events has come (Tutz and
    Schmid, Modeling Discrete Time-to-Event Data, 2016; as labels of a network Gensheimer and Narasimhan, PeerJ 7:e6257,
    2019). Within an interval hazards run as that of everybody in the training part does, which is ``passed`` [T] in
    all at times ``knots`` [T]. Who is lost when half of the hazard of an interval is over, or later, has lived through.

    ``shift`` [J] is added to the log-odds of predicted hazards: the baseline, estimated after the training as that of a
    Cox regression is (Breslow 1972), under which as many events are expected in each interval as the training part had.
    A method is trained with dropout and predicts without, which makes rare hazards too low (the mean of an exponential
    is above the exponential of the mean), or weighs events differently from lives.
    """

    edges: Floats
    knots: Floats
    passed: Floats
    shift: Floats

    @classmethod
    def fit(cls, y: npt.NDArray[np.float32]) -> Hazards:
        """Take quantiles of the times of the events among y [n, 2], time and event, one at least after time 0."""
        events = y[y[:, 1] == 1, 0].astype(np.float64)
        intervals = min(INTERVALS, max(1, len(events) // EVENTS_OF_AN_INTERVAL))
        ends = np.quantile(events, LATEST * np.arange(1, intervals + 1) / intervals, method="inverted_cdf")
        times, passed = nelson_aalen(*known_outcomes(y)[1:])
        kept = np.unique(np.linspace(0, len(times) - 1, min(KNOTS, len(times))).astype(np.int64))
        knots, passed = (np.append(0.0, each[kept]) for each in (times, passed))
        fitted = replace(cls.of_edges(np.unique([0.0, *ends])), knots=knots, passed=passed)
        learnt = fitted.learnt(y)
        base = logit((np.nansum(learnt, axis=0) + 1.0) / ((~np.isnan(learnt)).sum(axis=0) + 2.0))
        return replace(fitted, target=replace(fitted.target, base=tuple(base.tolist())))

    @classmethod
    def of_edges(cls, edges: Floats, base: Sequence[float] = ()) -> Hazards:
        """Return the hazards of given intervals, edges [J + 1], each constant over its interval."""
        target = Target("survival", len(edges) - 1, tuple(base))
        return cls(target, edges, edges, np.arange(len(edges), dtype=np.float64), np.zeros(len(edges) - 1))

    def over(self, times: Array) -> Floats:
        """Return what share of the hazard of each interval is over at some times [n], [n, J]."""
        passed = np.append(0.0, np.interp(self.edges[1:], self.knots, self.passed))  # events at time 0 are of the first
        now = np.interp(times, self.knots, self.passed)[:, None]
        over: Floats = np.clip((now - passed[:-1]) / np.diff(passed), 0, 1)
        return over

    def learnt(self, y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return of y [n, 2] the intervals [n, J]: 1 with the event, 0 lived through, NaN from there on.

        An event at time 0 is one of the first interval; who was lost at time 0 is known in none.
        """
        time, event = y[:, :1], y[:, 1:] == 1
        starts, ends = self.edges[:-1].copy(), self.edges[1:]
        starts[0] = -np.inf
        here = event & (time > starts) & (time <= ends)
        lived = np.where(event, time > ends, (self.over(y[:, 0]) >= 0.5) & (time > 0))
        return np.where(here, 1.0, np.where(lived, 0.0, np.nan)).astype(np.float32)

    def after_training(self, ask: Callable[[], Array], y: Array) -> Hazards:
        """Return the same with the baseline under which the events of the training part are expected."""
        return replace(self, shift=np.array([_shift(*column) for column in zip(ask().T, y.T, strict=True)]))

    def own(self, predicted: Array, times: Sequence[float] = (), shown: Bools | None = None) -> Array:
        """Return the survival [n, H] at ``times`` by hazards [n, J]; after the last interval it stays what it is."""
        hazards = expit(logit(predicted.astype(np.float64)) + self.shift)
        if shown is not None:
            hazards[~shown] = predicted[~shown]
        cumulated = -np.log1p(-np.minimum(hazards, SUREST)) @ self.over(np.asarray(times, dtype=np.float64)).T
        survival: Array = np.exp(-cumulated)
        return survival

    def tensors(self) -> dict[str, Tensor]:
        """Return everything, what logits are relative to as ``base`` [J]."""
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in ("edges", "knots", "passed", "shift")}
        return arrays | {"base": torch.tensor(self.target.base, dtype=torch.float64)}


def _shift(hazard: Array, y: Array) -> float:
    """Return what to add to the log-odds of hazards [n] so that their sum is that of the known labels y [n].

    0 where all that is known is alike.
    """
    known = ~np.isnan(y)
    events, log_odds = float(y[known].sum()), logit(hazard[known].astype(np.float64))
    if not 0 < events < known.sum():
        return 0.0

    def too_many(shift: float) -> float:
        return float(expit(log_odds + shift).sum()) - events

    return float(brentq(too_many, -FURTHEST, FURTHEST)) if too_many(-FURTHEST) < 0 < too_many(FURTHEST) else 0.0


def fit_outcome(task: Task, y: npt.NDArray[np.float32]) -> Outcome:
    """Fit what a task's outcome takes to the labels y [n, C] of a training part."""
    if task.kind == "regression":
        return Quantities.fit(y)
    if task.kind == "survival":
        return Hazards.fit(y)
    return Outcome(Target(cast("Kind", task.kind), 1 if task.kind == "binary" else len(task.labels)))


def stored_outcome(task: Task, tensors: Mapping[str, Tensor]) -> Outcome:
    """Return what was stored of an outcome as :meth:`Outcome.tensors`."""
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    if task.kind == "regression":
        return Quantities(Target("regression", len(task.labels)), arrays["mean"], arrays["scale"])
    if task.kind == "survival":
        grid = Hazards.of_edges(arrays["edges"], arrays.get("base", np.empty(0)).tolist())  # all that earlier runs have
        knots, passed, shift = (arrays.get(name, getattr(grid, name)) for name in ("knots", "passed", "shift"))
        return replace(grid, knots=knots, passed=passed, shift=shift)
    return fit_outcome(task, task.y)


def evaluation_times(task: Task, y: npt.NDArray[np.float32]) -> tuple[float, ...]:
    """Return the times at which survival is predicted, quantiles of those of the events of y [N, 2]; none else.

    Nothing is fitted at them: they are where predictions of all folds are compared with what happened.
    """
    if task.kind != "survival":
        return ()
    events = y[(y[:, 1] == 1) & (y[:, 0] > 0), 0].astype(np.float64)
    levels = np.arange(1, EVALUATION_TIMES + 1) / (EVALUATION_TIMES + 1)
    found = np.quantile(events, levels, method="inverted_cdf")
    return tuple(sorted({float(f"{time:.{TIME_DIGITS}g}") for time in found.tolist()}))


def judged(target: Target, y: Array, predicted: Array) -> tuple[Array, Array | SurvivalCurves]:
    """Return what a method sees, y [n, K], and predicts, [n, K], as measures take labels and predictions.

    The time to an event counts in intervals.
    """
    if target.kind != "survival":
        return y, predicted
    known = (~np.isnan(y)).sum(axis=1)
    lived = np.stack([np.where(known, known, np.nan), np.where(known, (y == 1).any(axis=1), np.nan)], axis=1)
    return lived, as_predicted("survival", np.cumprod(1 - predicted, axis=1), range(1, target.classes + 1))
