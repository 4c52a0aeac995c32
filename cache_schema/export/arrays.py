"""HDF5 and NPZ: everything is an array at the path that it has in the cache."""

import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..elements import Task
from ..layout import SAMPLES, SPLITS, modality_path, task_path
from ..ragged import Modality
from ..read import StoredCache
from ..table import VALID_SUFFIX
from .cohort import cohort_table
from .hdf5_file import hdf5_target

Entry = tuple[str, npt.NDArray[Any]]


def write_hdf5(cache: StoredCache, path: Path, modalities: Sequence[str]) -> None:
    """Write one HDF5 file; texts are UTF-8 of variable length, numbers keep their type."""
    import h5py

    with hdf5_target(path) as target, h5py.File(target, "w") as file:
        for name, array in entries(cache, modalities):
            target.check()
            if array.dtype.kind == "U":
                file.create_dataset(name, data=array.astype(object), dtype=h5py.string_dtype())
            else:
                file.create_dataset(name, data=array)


def write_npz(cache: StoredCache, path: Path, modalities: Sequence[str]) -> None:
    """Write one NPZ archive, array by array, so that memory holds one modality at most."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in entries(cache, modalities):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def entries(cache: StoredCache, modalities: Sequence[str]) -> Iterator[Entry]:
    """Yield samples, the named modalities, tasks and splits as arrays with their paths, one modality read at a time."""
    yield "dataset", np.array(cache.dataset)
    yield from table_entries(SAMPLES, cohort_table(cache))
    for name in modalities:
        yield from _modality(cache, name)
    for name in cache.tasks:
        yield from _task(cache.task(name))
    for name, parts in cache.splits.items():
        yield from table_entries(f"{SPLITS}/{name}", parts)


def _modality(cache: StoredCache, name: str) -> Iterator[Entry]:
    path, modality = modality_path(name), cache.modality(name)
    yield f"{path}/values", modality.values
    yield f"{path}/offsets", modality.offsets
    yield f"{path}/time", modality.time
    yield from description_entries(path, modality)


def description_entries(path: str, modality: Modality) -> Iterator[Entry]:
    """Yield what the rows of a modality are, and the items that they came from."""
    yield f"{path}/kind", np.array(modality.kind)
    yield f"{path}/row_meaning", np.array(modality.spec.row_meaning)
    yield f"{path}/recipe", np.array(json.dumps(modality.recipe))
    if modality.columns:
        yield f"{path}/columns", np.array([column.name for column in modality.columns])
        yield f"{path}/units", np.array([column.unit for column in modality.columns])
        yield f"{path}/variables", np.array([column.variable for column in modality.columns])
        yield f"{path}/roles", np.array([column.role for column in modality.columns])
    if modality.items is not None:
        yield from table_entries(f"{path}/items", modality.items)


def _task(task: Task) -> Iterator[Entry]:
    path = task_path(task.name)
    yield f"{path}/y", task.y
    yield f"{path}/labels", np.array(task.labels)
    yield f"{path}/kind", np.array(task.kind)
    yield f"{path}/window_hours", np.array(np.nan if task.window_hours is None else task.window_hours)
    yield f"{path}/history_hours", np.array(np.nan if task.history_hours is None else task.history_hours)
    yield f"{path}/unit", np.array(task.unit)
    yield f"{path}/select", np.array(json.dumps({name: dict(rule) for name, rule in task.select.items()}))
    if task.sample is not None and task.time is not None:
        yield f"{path}/sample", task.sample
        yield f"{path}/time", task.time


def table_entries(path: str, frame: pl.DataFrame) -> Iterator[Entry]:
    """Yield the columns of a table as arrays; one with nulls also has ``<column>__valid``, as in the cache."""
    for column in frame.iter_columns():
        name = column.name.replace("/", "|")  # a slash would be another group
        if column.null_count():
            yield f"{path}/{name}{VALID_SUFFIX}", column.is_not_null().to_numpy()
        if column.dtype == pl.String:
            yield f"{path}/{name}", np.array(column.fill_null("").to_list(), dtype=np.str_)
        else:
            yield f"{path}/{name}", _filled(column)


def _filled(column: pl.Series) -> npt.NDArray[Any]:
    """Return a column as an array of its own type; what stands where it is null means nothing."""
    if column.dtype == pl.Boolean:
        return column.fill_null(False).to_numpy()
    return column.fill_null(strategy="zero").to_numpy()
