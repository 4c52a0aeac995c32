"""The cohort as one table: what describes each sample, its labels and its parts."""

import numpy as np
import polars as pl

from ..elements import Task
from ..read import StoredCache

SUFFIX = "_label"


def cohort_table(cache: StoredCache) -> pl.DataFrame:
    """Return the samples with a column for each label (null where unknown) and one for each split.

    A binary or multiclass task is a column of its name, with 0 and 1 or the names of the classes; one with several
    labels is a column for each, a time to an event ``NAME_time`` and ``NAME_event``. Long tasks have no place in a row
    of a sample. A name that is taken gets ``_label``.
    """
    table = cache.samples
    for task in map(cache.task, cache.tasks):
        for column in _label_columns(task):
            free = column.name if column.name not in table.columns else column.name + SUFFIX
            table = table.with_columns(column.alias(free))
    for name, parts in cache.splits.items():
        free = name if name not in table.columns else f"{name}_split"
        named = parts.select("sample_id", pl.col("part").alias(free))
        table = table.join(named, on="sample_id", how="left", maintain_order="left")
    return table


def _label_columns(task: Task) -> list[pl.Series]:
    if task.long:
        return []
    if task.kind == "multiclass":
        names = [None if np.isnan(place) else task.labels[int(place)] for place in task.y[:, 0]]
        return [pl.Series(task.name, names, dtype=pl.String)]
    alone = task.kind == "binary" or (task.kind == "regression" and len(task.labels) == 1)
    names = [task.name] if alone else list(task.labels)
    columns = [pl.Series(name, task.y[:, i]).fill_nan(None) for i, name in enumerate(names)]
    if task.kind == "survival":
        time, event = columns
        return [time.rename(f"{task.name}_time"), event.rename(f"{task.name}_event").cast(pl.Int32)]
    return columns if task.kind == "regression" else [column.cast(pl.Int32) for column in columns]
