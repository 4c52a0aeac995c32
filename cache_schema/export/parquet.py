"""Parquet: a folder with one table for the cohort and one for each modality, task and split."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ..errors import InputError
from ..layout import ATTRIBUTE, MODALITIES, SAMPLES, SPLITS, TASKS
from ..ragged import Modality
from ..read import StoredCache
from .cohort import cohort_table

ROW_COLUMNS = ("sample_id", "time")


def write_parquet(cache: StoredCache, folder: Path, modalities: Sequence[str]) -> None:
    """Write ``samples.parquet`` and the folders modalities, tasks and splits; what a column means is file metadata."""
    for part in (MODALITIES, TASKS, SPLITS):
        (folder / part).mkdir(parents=True)
    ids = cache.samples["sample_id"]
    cohort_table(cache).write_parquet(folder / f"{SAMPLES}.parquet")
    for name in modalities:
        modality = cache.modality(name)
        description = {
            "kind": modality.kind,
            "row_meaning": modality.spec.row_meaning,
            "recipe": modality.recipe,
            "columns": [asdict(column) for column in modality.columns],
        }
        _write(_rows(modality, ids), folder / MODALITIES / f"{name}.parquet", description)
        if modality.items is not None:
            modality.items.write_parquet(folder / MODALITIES / f"{name}.items.parquet")
    for name in cache.tasks:
        task = cache.task(name)
        described = {
            "kind": task.kind,
            "labels": task.labels,
            "window_hours": task.window_hours,
            "history_hours": task.history_hours,
            "unit": task.unit,
            "select": {name: dict(rule) for name, rule in task.select.items()},
        }
        frame = pl.DataFrame({"sample_id": ids if task.sample is None else ids[task.sample]})
        if task.time is not None:
            frame = frame.with_columns(time=pl.Series(task.time))
        labels = task.labels if task.kind == "multilabel" else (task.name,)
        frame = frame.with_columns(pl.Series(label, task.y[:, i]) for i, label in enumerate(labels))
        _write(frame, folder / TASKS / f"{name}.parquet", described)
    for name, parts in cache.splits.items():
        parts.write_parquet(folder / SPLITS / f"{name}.parquet")


def _rows(modality: Modality, ids: pl.Series) -> pl.DataFrame:
    """Return the rows as a long table: sample_id, time, and the columns, or numbers where these have no names."""
    names = [column.name for column in modality.columns] or [str(place) for place in range(modality.dim)]
    taken = [name for i, name in enumerate(names) if name in names[:i] or name in ROW_COLUMNS]
    if taken:
        raise InputError(
            f"Modality {modality.name!r} has a second column {taken[0]!r}, which a Parquet table cannot hold. Export "
            "it as hdf5 or npz."
        )
    index = np.repeat(np.arange(len(modality)), modality.lengths)
    head = pl.DataFrame({"sample_id": ids[index], "time": modality.time})
    return head.hstack(pl.DataFrame(np.ascontiguousarray(modality.values), schema=names))


def _write(frame: pl.DataFrame, path: Path, description: dict[str, Any]) -> None:
    frame.write_parquet(path, metadata={ATTRIBUTE: json.dumps(description)})
