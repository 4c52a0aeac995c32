"""What every step of a task left: samples, admissions, patients and labels, in all and in each part of a split."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .anchors import Units
from .execute import Outcome
from .language import TaskFile


@dataclass(frozen=True)
class StepCounts:
    """What one step left: whose samples ``[k]`` they are, and their labels ``[k, C]``, None before there are any."""

    name: str
    hadm_id: npt.NDArray[np.int64]
    subject_id: npt.NDArray[np.int64]
    y: npt.NDArray[np.float32] | None = None


def counted(outcome: Outcome, units: Units) -> tuple[StepCounts, ...]:
    """Return what every step left, from all units on."""
    of_cohort = [
        StepCounts(name, left["hadm_id"].to_numpy(), left["subject_id"].to_numpy()) for name, left in units.steps
    ]
    hadm_id, subject_id = (units.frame[name].to_numpy() for name in ("hadm_id", "subject_id"))
    of_task = [StepCounts(step.name, hadm_id[step.unit], subject_id[step.unit], step.y) for step in outcome.steps]
    return (*of_cohort, *of_task)


def count_rows(
    task: TaskFile, steps: Sequence[StepCounts], parts: Mapping[str, npt.NDArray[np.int64]]
) -> Iterator[dict[str, object]]:
    """Yield rows of the table of counts: every step in all, and in each part of a split (its subjects by name)."""
    assert task.target.label is not None
    kind, published = task.target.label.kind, task.published
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        for part, subjects in {"": None, **parts}.items():
            kept = np.ones(len(step.subject_id), dtype=bool) if subjects is None else np.isin(step.subject_id, subjects)
            behind = f", {part}" if part else ""
            for unit, count in _counts(step, kept, kind):
                known = {"samples": "n", "positive samples": "positive"}.get(unit) if last and not part else None
                expected = published.get(known) if known else None
                source = str(published.get("source", "the task's file")) if expected is not None else None
                yield {
                    "scope": task.name, "step": step.name, "unit": unit + behind, "count": count,
                    "published": expected, "source": source,
                }  # fmt: skip


def _counts(step: StepCounts, kept: npt.NDArray[np.bool_], kind: str) -> Iterator[tuple[str, int]]:
    yield "samples", int(kept.sum())
    yield "admissions", len(np.unique(step.hadm_id[kept]))
    yield "patients", len(np.unique(step.subject_id[kept]))
    if step.y is None:
        return
    y = step.y[kept]
    if kind in ("binary", "multilabel"):
        yield "positive samples", int((np.nan_to_num(y) > 0).any(axis=1).sum())
    elif kind == "survival":
        yield "samples with the event", int(np.nansum(y[:, 1]))
    elif kind == "regression" and not np.isnan(y).all():
        yield "mean of the label, rounded", round(float(np.nanmean(y)))
