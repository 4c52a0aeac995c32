"""Which outcomes can be learnt at all, and what a reader of a training must know of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import InputError, Task
from ..inputs.splits import Split

FAR = 1e3
"""A value so many interquartile ranges from the median is named."""


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


def nothing_to_rank(task: Task, y: npt.NDArray[np.float32]) -> str:
    """Say why labels y [n, C] of some samples can judge no ranking, or return "" if they can, as quantities do.

    They cannot where all have one outcome, of several labels each; nor where nobody has the event.
    """
    if task.kind == "regression":
        return ""
    labels = y[:, 1:] if task.kind == "survival" else y
    values = [np.unique(values[~np.isnan(values)]) for values in labels.T]
    if any(len(one) > 1 for one in values):
        return ""
    known = int((~np.isnan(labels)).any(axis=1).sum())
    if not known:
        return f"nobody has a label of {task.name!r}."
    if task.kind == "survival":
        return f"nobody of {known:,} has the event of {task.name!r}." if not values[0].any() else ""
    return f"all {known:,} samples with a label of {task.name!r} have the same, so that no ranking can be judged."


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


def outlier_notes(task: Task, y: npt.NDArray[np.float32], sample_id: npt.NDArray[Any]) -> Iterator[str]:
    """Yield what lies far from everything else, of quantities y [N, C] and of times y [N, 2], with its sample's id [N].

    Squared errors are then those of one sample, and everybody else is predicted alike.
    """
    columns = {"regression": len(task.labels), "survival": 1}.get(task.kind, 0)
    for label, values in zip(task.labels[:columns], y.T, strict=False):
        known = values[~np.isnan(values)].astype(np.float64)
        low, median, high = np.quantile(known, (0.25, 0.5, 0.75)) if len(known) else (0.0, 0.0, 0.0)
        off = np.abs(values.astype(np.float64) - median)
        far = off > FAR * (high - low)
        if high > low and far.any():
            worst = int(np.nanargmax(off))
            yield (
                f"{label}: {values[worst]:g} of sample {sample_id[worst]} is more than {FAR:,.0f} interquartile ranges "
                f"from the median, {median:g}{_others(int(far.sum()) - 1)}. An error, or a number for unknown? One "
                "such value can decide what is learnt."
            )


def _others(count: int) -> str:
    return f", and so are {count:,} other values" if count else ""
