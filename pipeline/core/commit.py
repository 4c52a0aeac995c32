"""The third stage: the final contiguous arrays, copied from parts and blocks in the order of the samples."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import Commit, ModalitySpec, StagedCache
from ..source import FirstHours, Quarantine
from ..tensor_file import DamagedFilesError
from .blocks import StoredRows
from .parts import EncodedItem
from .plan import Plan, PlannedItems, PlannedTable

COPY_BYTES = 64 << 20
COPY_ITEMS = 64

VERSIONED = ("omnifuse", "numpy", "polars", "torch", "torchvision", "transformers", "zarr")


@dataclass(frozen=True)
class Rows:
    """All rows of a plan, as memory maps, by the name of their modality."""

    tables: dict[str, StoredRows]
    items: dict[str, dict[str, EncodedItem]]


def load_rows(plan: Plan) -> Rows:
    """Return what was computed and encoded; every byte of it is compared with its checksum.

    Raises
    ------
    DamagedFilesError
        If any of it is damaged; what is has been removed.
    CorruptCacheError
        If an item has not been encoded.
    """
    damaged = 0
    rows = Rows({}, {})
    for table in plan.tables:
        try:
            rows.tables[table.modality.name] = table.store.load(plan.records.samples.height)
        except DamagedFilesError as error:
            damaged += error.count
    for items in plan.items:
        try:
            rows.items[items.modality.name] = items.store.load(items.digests)
        except DamagedFilesError as error:
            damaged += error.count
    if damaged:
        raise DamagedFilesError(plan.folder, damaged)
    return rows


def commit(plan: Plan, rows: Rows, cache: Path) -> Commit:
    """Lay out the cache from what was encoded and swap it in."""
    samples = plan.records.samples
    tasks = plan.records.tasks(_first_hours(plan, rows))
    staged = StagedCache(cache, plan.dataset, {package: version(package) for package in VERSIONED})
    staged.add_samples(samples)
    quarantine = Quarantine()
    quarantine.extend(plan.quarantine.to_json())
    for table in plan.tables:
        stored = rows.tables[table.modality.name]
        quarantine.extend(stored.left_out)
        _add_table(staged, table, stored)
    for items in plan.items:
        _add_items(staged, items, rows.items[items.modality.name], samples.height, quarantine)
    for task in tasks:
        staged.add_task(task)
    for name, parts in plan.records.splits.items():
        staged.add_split(name, parts)
    staged.add_quarantine(quarantine.frame(), quarantine.counts())
    if plan.records.counts:
        staged.add_counts(plan.records.counts(tasks, quarantine.counts(), plan.records.splits))
    return staged.commit(plan.keys)


def _first_hours(plan: Plan, rows: Rows) -> FirstHours:
    """Return from when on there is something of each modality, by its name: of items, the time of the first."""
    first = {name: _first_of_table(stored) for name, stored in rows.tables.items()}
    for items in plan.items:
        known = items.items.group_by("sample").agg(pl.col("time").fill_null(-math.inf).fill_nan(-math.inf).min())
        hours = np.full(plan.records.samples.height, np.nan)
        hours[known["sample"].to_numpy()] = known["time"].to_numpy()
        first[items.modality.name] = hours
    return first


def _first_of_table(rows: StoredRows) -> npt.NDArray[np.float64]:
    """Return the hours of the first observations ``[N]``; of a table that does not say them those of the first rows."""
    if not np.isnan(rows.first_hours).all():
        return rows.first_hours
    hours = rows.first_hours.copy()
    for number, times in enumerate(rows.times):
        here = np.flatnonzero((rows.block == number) & (rows.lengths > 0))
        hours[here] = np.nan_to_num(times[rows.start[here]].astype(np.float64), nan=-np.inf)
    return hours


def _add_table(staged: StagedCache, planned: PlannedTable, rows: StoredRows) -> None:
    modality = planned.modality
    spec = ModalitySpec(
        modality.name, modality.kind, modality.row_meaning, modality.recipe, modality.columns, modality.title
    )
    dim = rows.values[0].shape[1] if rows.values else len(modality.columns)
    time = np.concatenate([*_in_order(rows, rows.times), np.empty(0, np.float32)])
    staged.add_modality(spec, rows.lengths, dim, _in_order(rows, rows.values), time)


def _in_order(rows: StoredRows, blocks: list[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the rows of all samples in order, about ``COPY_BYTES`` at a time."""
    present = np.flatnonzero(rows.lengths)
    if not len(present):
        return
    copied = np.cumsum(rows.lengths[present]) * blocks[0].strides[0]  # bytes up to and with each sample
    for samples in np.split(present, np.flatnonzero(np.diff(copied // COPY_BYTES)) + 1):
        yield np.concatenate(
            [
                blocks[rows.block[sample]][rows.start[sample] : rows.start[sample] + rows.lengths[sample]]
                for sample in samples
            ]
        )


def _add_items(
    staged: StagedCache,
    planned: PlannedItems,
    encoded: Mapping[str, EncodedItem],
    samples: int,
    quarantine: Quarantine,
) -> None:
    modality = planned.modality
    items = _item_table(planned, encoded, quarantine)
    counts = items["rows"].to_numpy()
    lengths = np.bincount(items["sample"].to_numpy(), weights=counts, minlength=samples).astype(np.int64)
    time = np.repeat(items["time"].fill_null(float("nan")).to_numpy(), counts)
    dim = max((item.values.shape[1] for item in encoded.values()), default=0)
    spec = ModalitySpec(modality.name, "embedding", modality.row_meaning, planned.recipe, title=modality.title)
    shown = items.with_columns(digest=pl.Series(map(modality.shown_digest, items["digest"]), dtype=pl.String))
    staged.add_modality(spec, lengths, dim, _rows_of(items["digest"], encoded), time, shown)


def _item_table(planned: PlannedItems, encoded: Mapping[str, EncodedItem], quarantine: Quarantine) -> pl.DataFrame:
    """Return the items that have rows, with where these lie; report those that could not be encoded."""
    digests = planned.items["digest"]
    outcome = {digest: (len(item.values), item.reason) for digest, item in encoded.items()}
    for place, digest in planned.items.select("place", "digest").iter_rows():
        if reason := outcome[digest][1]:
            quarantine.add("encode", planned.modality.name, place, "", reason)
    counted = planned.items.with_columns(rows=pl.Series([outcome[d][0] for d in digests], dtype=pl.Int64))
    kept = counted.filter(pl.col("rows") > 0).with_columns(first_row=pl.col("rows").cum_sum() - pl.col("rows"))
    first = ["item_id", "sample", "first_row", "rows", "time", "digest"]
    attributes = [name for name in kept.columns if name not in {*first, "sample_id", "path", "place", "length"}]
    return kept.select(*first, *attributes)


def _rows_of(digests: pl.Series, encoded: Mapping[str, EncodedItem]) -> Iterator[npt.NDArray[Any]]:
    for start in range(0, len(digests), COPY_ITEMS):
        yield np.concatenate([encoded[digest].values for digest in digests[start : start + COPY_ITEMS]])
