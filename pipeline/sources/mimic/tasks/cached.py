"""From the outcome of a task to what a cache holds of it: labels beside its samples."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from .....cache_schema import Task
from ..benchmark.tasks import selection
from .anchors import Units
from .checks import position
from .execute import Outcome
from .language import Label, TaskFile

HOUR = 3600


def made_task(task: TaskFile, outcome: Outcome, units: Units, stays: pl.DataFrame, modalities: Sequence[str]) -> Task:
    """Return a task of a cache whose samples are ``stays`` (stay_id, sorted; intime).

    One prediction a stay, always so long after its beginning, is a task with a window. Any other has the times of its
    predictions. A sample of an admission or a patient is that of the stay that had begun last by then.
    """
    sample, hours = placed(outcome, units, stays)
    there = sample >= 0
    sample, hours, y = sample[there], hours[there], outcome.y[there]
    label = task.target.label
    assert label is not None
    names = label_names(label)
    steps = [
        *((name, len(left)) for name, left in units.steps),
        *((step.name, len(step.unit)) for step in outcome.steps),
    ]
    if not there.all():
        steps.append(("in this cache", len(y)))
    usual = {
        "select": selection(modalities),
        "counts": tuple(steps),
        "title": task.title,
        "history_hours": history_hours(task),
        "unit": label.unit_name if label.kind in ("regression", "survival") else "",
    }
    if (window := window_hours(task)) is not None:
        laid_out = np.full((len(stays), y.shape[1]), np.nan, dtype=np.float32)
        laid_out[sample] = y
        return Task(task.name, label.kind, names, laid_out, window, **usual)  # type: ignore[arg-type]
    order = np.lexsort((hours, sample))
    time = hours[order].astype(np.float32)
    return Task(task.name, label.kind, names, y[order], None, sample=sample[order], time=time, **usual)  # type: ignore[arg-type]


def window_hours(task: TaskFile) -> float | None:
    """Return hours from t0 to the prediction where these are the same for all stays, each of which has one."""
    where = position(task, task.index) if task.unit == "icu_stay" and task.trigger.at is not None else None
    if where is None or where[0] != "icu_in" or where[1] < 0:
        return None
    return where[1] / HOUR


def history_hours(task: TaskFile) -> float | None:
    """Return how far before t0 inputs may reach; None: as far as a modality does."""
    if task.history == "icu":
        return 0.0
    return task.history / HOUR if isinstance(task.history, int) else None


def label_names(label: Label) -> tuple[str, ...]:
    """Return the names of the labels, or of the classes between the edges of a time."""
    if label.kind == "survival":
        return ("time", "event")
    if not label.classes:
        return tuple(label.predicates)
    edges, unit = [f"{edge:g}" for edge in label.classes], label.unit_name
    between = [f"{low} to {high} {unit}" for low, high in pairwise(edges)]
    return (f"under {edges[0]} {unit}", *between, f"{edges[-1]} {unit} or more")


def placed(
    outcome: Outcome, units: Units, stays: pl.DataFrame
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return for each prediction the sample of its stay, -1 if the cache has none, and hours since its t0, ``[K]``."""
    of_unit = units.stays.sort("icu_in")
    rows = pl.DataFrame({"unit": outcome.unit, "index": outcome.index.astype(np.int64)}).with_row_index("row")
    begun = rows.sort("index").join_asof(
        of_unit, left_on="index", right_on="icu_in", by="unit", strategy="backward", check_sortedness=False
    )
    first = of_unit.group_by("unit", maintain_order=True).agg(pl.first("stay_id", "icu_in").name.prefix("first_"))
    found = begun.join(first, on="unit", how="left").sort("row")
    found = found.with_columns(pl.coalesce("stay_id", "first_stay_id").alias("stay_id"))
    found = found.with_columns(pl.coalesce("icu_in", "first_icu_in").alias("icu_in"))
    places = stays.select("stay_id", sample=pl.int_range(pl.len(), dtype=pl.Int64))
    sample = found.join(places, on="stay_id", how="left", maintain_order="left")["sample"].fill_null(-1)
    hours = (outcome.index - found["icu_in"].to_numpy()) / HOUR
    return sample.to_numpy(), hours
