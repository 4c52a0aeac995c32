"""Between an outcome as a cache stores it and what a model learns: fitted on training rows, stored with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...cache_schema import InputError, Task
from ..inputs.splits import Split
from ..methods.base import Prediction
from ..parts.targets import Kind, Target
from ..scores.survival import SurvivalCurves, as_predicted

Array = npt.NDArray[np.floating[Any]]

INTERVALS = 10
"""Intervals of time in which an event may come, at most."""

EVENTS_OF_AN_INTERVAL = 10
"""Where there are fewer events of the training part than these for each interval, there are fewer intervals."""

EVALUATION_TIMES = 20
"""Times at which survival is predicted and measured, at most."""

TIME_DIGITS = 6
"""Significant digits of these times, so that the name of a column says which one it is."""

SUREST = 1 - 1e-7
"""Hazards are kept below this: nobody is sure of an event."""


@dataclass(frozen=True)
class Outcome:
    """Classes and labels, which are learnt as they are stored and predicted as probabilities; base of the others."""

    target: Target

    def learnt(self, y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return what a method sees of labels y [n, C] as in `Task`: [n, K], NaN where unknown."""
        return y

    def own(self, predicted: Array, times: Sequence[float] = ()) -> Array:  # noqa: ARG002  (of survival)
        """Return what a method predicts, [n, K], in the form of the outcome.

        Probabilities of classes; values in the unit of the task, [n, C]; survival at ``times``, [n, H].
        """
        return predicted

    def of(self, prediction: Prediction, times: Sequence[float] = ()) -> Prediction:
        """Return a prediction with its numbers as :meth:`own` has them."""
        own = self.own(prediction.probability.numpy(), times).astype(np.float32)
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

    def own(self, predicted: Array, times: Sequence[float] = ()) -> Array:  # noqa: ARG002  (of survival)
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
    2019, also in that who is lost after the middle of an interval counts as having lived through it).
    """

    edges: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, y: npt.NDArray[np.float32]) -> Hazards:
        """Take quantiles of the times of the events among y [n, 2], time and event, one at least after time 0."""
        events = y[y[:, 1] == 1, 0].astype(np.float64)
        intervals = min(INTERVALS, max(1, len(events) // EVENTS_OF_AN_INTERVAL))
        ends = np.quantile(events, np.arange(1, intervals + 1) / intervals, method="inverted_cdf")
        return cls.of_edges(np.unique([0.0, *ends]))

    @classmethod
    def of_edges(cls, edges: npt.NDArray[np.float64]) -> Hazards:
        """Return the hazards of given intervals, edges [J + 1]."""
        return cls(Target("survival", len(edges) - 1), edges)

    def learnt(self, y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return of y [n, 2] the intervals [n, J]: 1 with the event, 0 lived through, NaN from there on.

        An event at time 0 is one of the first interval; who was lost at time 0 is known in none.
        """
        time, event = y[:, :1], y[:, 1:] == 1
        starts, ends = self.edges[:-1].copy(), self.edges[1:]
        middle, starts[0] = (starts + ends) / 2, -np.inf
        here = event & (time > starts) & (time <= ends)
        lived = np.where(event, time > ends, time >= middle)
        return np.where(here, 1.0, np.where(lived, 0.0, np.nan)).astype(np.float32)

    def own(self, predicted: Array, times: Sequence[float] = ()) -> Array:
        """Return the survival [n, H] at ``times`` by hazards [n, J]: constant within an interval, none after the last.

        After the last event of the training part survival stays what it is, as that of Kaplan and Meier does.
        """
        starts, lengths = self.edges[:-1, None], np.diff(self.edges)[:, None]
        share = np.clip((np.asarray(times) - starts) / lengths, 0, 1)  # [J, H], how much of each interval is over
        cumulated = -np.log1p(-np.minimum(predicted.astype(np.float64), SUREST)) @ share
        survival: Array = np.exp(-cumulated)
        return survival

    def tensors(self) -> dict[str, Tensor]:
        """Return the edges."""
        return {"edges": torch.from_numpy(self.edges)}


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
    return Hazards.of_edges(arrays["edges"]) if task.kind == "survival" else fit_outcome(task, task.y)


def check_outcome(task: Task, y: npt.NDArray[np.float32], splits: Sequence[Split]) -> None:
    """Refuse an outcome of which nothing can be learnt; labels y [N, C] of a cohort with its splits.

    Raises
    ------
    InputError
        If a quantity has one value, or none in a training part; or if there is no event, or none in a training part.
    """
    if task.kind == "regression":
        _check_quantities(task, y, splits)
    elif task.kind == "survival":
        _check_events(task, y, splits)


def _check_quantities(task: Task, y: npt.NDArray[np.float32], splits: Sequence[Split]) -> None:
    for label, values in zip(task.labels, y.T, strict=True):
        known = np.unique(values[~np.isnan(values)])
        if len(known) == 1:
            raise InputError(
                f"Task {task.name!r}: every known value of {label!r} is {known[0]:g}; nothing can be learnt."
            )
        for fold, split in enumerate(splits):
            if np.isnan(values[split.train]).all():
                raise InputError(f"Task {task.name!r}: fold {fold} has no known value of {label!r} to train on.")


def _check_events(task: Task, y: npt.NDArray[np.float32], splits: Sequence[Split]) -> None:
    time, event = y.T
    if not (event == 1).any():
        raise InputError(
            f"Task {task.name!r}: of {len(y):,} samples none has the event, all are censored; nothing can be learnt."
        )
    later = (event == 1) & (time > 0)
    if not later.any():
        raise InputError(
            f"Task {task.name!r}: no event comes after time 0, and when is to be predicted. Whether it comes at all is "
            "a task of 0 and 1."
        )
    for fold, split in enumerate(splits):
        if not later[split.train].any():
            raise InputError(
                f"Task {task.name!r}: fold {fold} has no event after time 0 to train on; in all there are so many: "
                f"{int(later.sum()):,}. Use fewer folds."
            )


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
