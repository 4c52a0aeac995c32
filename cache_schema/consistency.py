"""Whether the parts of a cache fit together: asked when they are written, when they are read, and by `verify`."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from .elements import ModalitySpec, Task
from .errors import InputError
from .selection import most_items

ITEM_COLUMNS = ("item_id", "sample", "first_row", "rows", "time", "digest")


def check_samples(samples: pl.DataFrame) -> None:
    """Raise :class:`InputError` unless a cohort has both ids, and those of its samples are unique and rise."""
    if missing := {"sample_id", "subject_id"} - set(samples.columns):
        raise InputError(f"The table of samples has no column {', '.join(sorted(missing))}.")
    ids = samples["sample_id"]
    if ids.is_duplicated().any():
        raise InputError(f"Sample {ids.filter(ids.is_duplicated())[0]!r} occurs twice; sample ids must be unique.")
    if not ids.is_sorted():
        raise InputError("Samples must be sorted by sample_id.")


def check_modality(
    spec: ModalitySpec, samples: int, offsets: Sequence[int], values: Sequence[int], time: Sequence[int]
) -> None:
    """Raise :class:`InputError` unless the shapes of a modality's arrays fit each other and its columns.

    The columns of embeddings have no names; those of anything else have one each.
    """
    if len(values) != 2 or tuple(offsets) != (samples + 1,) or tuple(time) != (values[0],):
        raise InputError(
            f"Modality {spec.name!r} has values of shape {tuple(values)}, times {tuple(time)} and offsets "
            f"{tuple(offsets)} for {samples} samples."
        )
    if len(spec.columns) != values[1] and (spec.columns or spec.kind != "embedding"):
        raise InputError(
            f"Modality {spec.name!r} has {len(spec.columns)} column names for {values[1]} columns of values."
        )


def check_items(name: str, items: pl.DataFrame, offsets: npt.NDArray[np.int64]) -> None:
    """Raise :class:`InputError` unless every item's rows lie among those of its sample."""
    if missing := set(ITEM_COLUMNS) - set(items.columns):
        raise InputError(f"The items of {name!r} have no column {', '.join(sorted(missing))}.")
    sample, first, rows = (items[column].to_numpy() for column in ("sample", "first_row", "rows"))
    known = (sample >= 0) & (sample < len(offsets) - 1)
    place = np.where(known, sample, 0)
    inside = known & (rows >= 0) & (first >= offsets[place]) & (first + rows <= offsets[place + 1])
    if not inside.all():
        number = int(np.flatnonzero(~inside)[0])
        raise InputError(f"Item {number} of {name!r} has rows that are not those of its sample.")


def check_task(task: Task, samples: int) -> None:
    """Raise :class:`InputError` unless a task has labels for these samples, each one that its kind allows."""
    if task.sample is None or task.time is None:
        if len(task.y) != samples:
            raise InputError(f"Task {task.name!r} describes {len(task.y)} samples; the cache has {samples}.")
    elif task.sample.shape != (len(task.y),) or task.time.shape != (len(task.y),):
        raise InputError(
            f"Long task {task.name!r} has {len(task.y)} labels for {len(task.sample)} samples and "
            f"{len(task.time)} times."
        )
    elif ((task.sample < 0) | (task.sample >= samples)).any():
        raise InputError(f"Long task {task.name!r} names samples that the cache of {samples} does not have.")
    _check_labels(task)
    if not isinstance(task.select, Mapping) or not all(map(_is_rule, task.select.values())):
        raise InputError(f"Task {task.name!r} does not say which rows it selects of each modality.")
    for rule in task.select.values():
        most_items(rule)


def _check_labels(task: Task) -> None:
    """Raise :class:`InputError` for a label that the kind of a task does not allow; NaN is unknown in all of them."""
    if task.kind == "regression":
        if np.isinf(task.y).any():
            raise InputError(f"Task {task.name!r} (regression) has an infinite label.")
        return
    y = task.y
    if task.kind == "survival":
        time, y = task.y[:, 0], task.y[:, 1]
        if np.isinf(time).any() or (time < 0).any() or (np.isnan(time) != np.isnan(y)).any():
            raise InputError(f"Task {task.name!r} (survival) has a time below 0, or one without its event.")
    classes = len(task.labels) if task.kind == "multiclass" else 2
    known = y[~np.isnan(y)]
    wrong = known[~np.isin(known, np.arange(classes, dtype=np.float32))]
    if len(wrong):
        raise InputError(f"Task {task.name!r} ({task.kind}) has the label {wrong[0]:g}; known are 0 to {classes - 1}.")


def _is_rule(rule: object) -> bool:
    """Return whether this can say which items are selected: by the values of their attributes, and how many."""
    if not isinstance(rule, Mapping) or not isinstance(rule.get("where", {}), Mapping):
        return False
    return all(isinstance(values, list | tuple) for values in rule.get("where", {}).values())


def check_split(name: str, parts: pl.DataFrame, sample_ids: pl.Series) -> None:
    """Raise :class:`InputError` unless a split gives samples of the cache one part each."""
    if missing := {"sample_id", "part"} - set(parts.columns):
        raise InputError(f"The split {name!r} has no column {', '.join(sorted(missing))}.")
    ids = parts["sample_id"]
    if ids.dtype != sample_ids.dtype or not ids.is_in(sample_ids.implode()).all():
        raise InputError(f"The split {name!r} names samples that the cache does not have.")
    if ids.is_duplicated().any():
        raise InputError(f"The split {name!r} names a sample twice.")
