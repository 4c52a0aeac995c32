"""A zarr store that xarray opens: a group for each modality, task and table, with named dimensions."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import polars as pl

from ..elements import Task
from ..layout import SPLITS, modality_path, task_path
from ..lazy import xarray_dataset
from ..packages import require
from ..read import StoredCache
from ..writing_store import WritingStore
from .arrays import table_entries
from .cohort import cohort_table

if TYPE_CHECKING:
    import xarray

OLDEST_FORMAT = 2
"""Metadata of a whole store in one place is part of zarr format 2 alone; with it every xarray opens a group at once."""


def write_xarray(cache: StoredCache, path: Path, modalities: Sequence[str]) -> None:
    """Write the cohort to the root group, and below it groups with the paths that they have in the cache.

    ``xarray.open_zarr(path, group="modalities/rep")`` is :meth:`FeatureCache.to_xarray`, chunk by chunk.
    """
    require("xarray", "The format xarray")
    import zarr

    store = WritingStore(path)
    for group, dataset in _datasets(cache, modalities):
        dataset.to_zarr(store, group=group, mode="a", zarr_format=OLDEST_FORMAT, consolidated=False)
    zarr.consolidate_metadata(store, zarr_format=OLDEST_FORMAT)


def _datasets(cache: StoredCache, modalities: Sequence[str]) -> Iterator[tuple[str, "xarray.Dataset"]]:
    yield "", _table(cohort_table(cache), "sample").assign_attrs(dataset=cache.dataset)
    for name in modalities:
        yield modality_path(name), xarray_dataset(cache, name)
        items = cache.items(name)
        if items is not None:
            yield f"{modality_path(name)}/items", _table(items, "item")
    for name in cache.tasks:
        yield task_path(name), _task(cache.task(name))
    for name, parts in cache.splits.items():
        yield f"{SPLITS}/{name}", _table(parts, "sample")


def _table(frame: pl.DataFrame, dimension: str) -> "xarray.Dataset":
    import xarray

    columns = {path.removeprefix("/"): column for path, column in table_entries("", frame)}
    return xarray.Dataset({name: (dimension, _storable(column)) for name, column in columns.items()})


def _task(task: Task) -> "xarray.Dataset":
    import xarray

    rules = {name: dict(rule) for name, rule in task.select.items()}
    attributes: dict[str, Any] = {"kind": task.kind, "labels": list(task.labels), "select": json.dumps(rules)}
    if task.window_hours is not None:
        attributes["window_hours"] = task.window_hours
    if task.history_hours is not None:
        attributes["history_hours"] = task.history_hours
    if task.unit:
        attributes["unit"] = task.unit
    dimension = "prediction" if task.long else "sample"
    times = {"sample": (dimension, task.sample), "time": (dimension, task.time)} if task.long else {}
    return xarray.Dataset({"y": ((dimension, "label"), task.y), **times}, attrs=attributes)


def _storable(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return texts as objects, which zarr stores at their length."""
    return column.astype(object) if column.dtype.kind == "U" else column
