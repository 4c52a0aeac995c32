"""Identifiers replaced by keyed hashes, so that a cache names nobody."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import Task
from ..pseudonym_key import SETTING, digest_of
from ..source import Block, DataSet, FirstHours, ItemModality, Quarantine, Records, Splits, TableModality, keyed_hash

DIGITS = 16
"""Hexadecimal digits of a pseudonym: two of a billion ids are the same with a probability below 3 %."""


class PseudonymousDataSet:
    """A data set with other ids: HMAC-SHA256 of the old ones, samples in the order of the new ones.

    Who has the key and the raw files finds a patient again; who has the cache alone does not, by an id or by the digest
    of a content. Rows that are left out are counted, not listed: a list would name them.
    """

    def __init__(self, dataset: DataSet, key: bytes) -> None:
        self.dataset, self.pseudonym_key = dataset, key
        self.name, self.raw, self.resources = dataset.name, dataset.raw, dataset.resources

    def inputs(self) -> list[Path]:
        """Return the inputs of the data set."""
        return self.dataset.inputs()

    def settings(self) -> dict[str, Any]:
        """Return the settings of the data set and which key it was."""
        return {**self.dataset.settings(), SETTING: digest_of(self.pseudonym_key)}

    def read(self, quarantine: Quarantine) -> Records:
        """Read the data set and replace its ids."""
        listed = Quarantine()
        records = self.dataset.read(listed)
        _count(listed, quarantine)
        old = records.samples["sample_id"]
        key = self.pseudonym_key
        ids = _Ids(key, old, _pseudonyms(key, "sample", old))
        subjects = _pseudonyms(key, "subject", records.samples["subject_id"])
        samples = records.samples.with_columns(ids.new.alias("sample_id"), subjects.alias("subject_id"))

        def tasks(first_hours: FirstHours) -> tuple[Task, ...]:
            in_old_order = {name: hours[ids.place] for name, hours in first_hours.items()}
            labelled = records.tasks(in_old_order)
            _count(listed, quarantine)
            return tuple(ids.task(task) for task in labelled)

        def counts(tasks: Sequence[Task], left_out: pl.DataFrame, _: Splits) -> pl.DataFrame:
            assert records.counts is not None
            return records.counts(tasks, left_out, records.splits)

        return replace(
            records,
            samples=samples[ids.order],
            tasks=tasks,
            tables=tuple(map(ids.table, records.tables)),
            items=tuple(map(ids.items, records.items)),
            counts=counts if records.counts else None,
            splits={name: ids.split(parts) for name, parts in records.splits.items()},
        )


@dataclass(frozen=True)
class _Ids:
    """The ``old`` ids of N samples, sorted, and the ``new`` one of each."""

    key: bytes
    old: pl.Series
    new: pl.Series

    @cached_property
    def order(self) -> npt.NDArray[np.int64]:
        """For each place in the new order ``[N]`` the one in the old."""
        return self.new.arg_sort().to_numpy().astype(np.int64)

    @cached_property
    def place(self) -> npt.NDArray[np.int64]:
        """For each place in the old order ``[N]`` the one in the new."""
        return np.argsort(self.order)

    def renamed(self, column: str = "sample_id") -> pl.Expr:
        """Replace old ids; null stays null."""
        return pl.col(column).replace_strict(self.old, self.new, default=None, return_dtype=pl.String)

    def task(self, task: Task) -> Task:
        """Return the labels in the new order; those of a long task sample by sample."""
        if task.sample is None or task.time is None:
            return replace(task, y=task.y[self.order])
        sample = self.place[task.sample]
        rows = np.lexsort((task.time, sample))
        return replace(task, y=task.y[rows], sample=sample[rows], time=task.time[rows])

    def table(self, modality: TableModality) -> TableModality:
        """Rename the samples of each block; what is left out is counted alone."""
        old, new = self.old.to_numpy(), self.new.to_numpy()

        def blocks(quarantine: Quarantine) -> Iterator[Block]:
            listed = Quarantine()
            for block in modality.blocks(listed):
                yield replace(block, sample_ids=new[np.searchsorted(old, block.sample_ids)])
            _count(listed, quarantine)

        return replace(modality, blocks=blocks)

    def items(self, modality: ItemModality) -> ItemModality:
        """Rename an item and all that is called ``<something>_id``; the quarantine names it by its new id."""
        columns = [name for name in modality.items.columns if name.endswith("_id") and name != "sample_id"]
        hashed = [_pseudonyms(self.key, name, modality.items[name]) for name in columns]
        items = modality.items.with_columns(self.renamed(), *hashed).with_columns(place="item_id")
        return replace(modality, items=items, digest_key=self.key)

    def split(self, parts: pl.DataFrame) -> pl.DataFrame:
        """Rename the samples of a split."""
        return parts.with_columns(self.renamed()).sort("sample_id")


def _pseudonyms(key: bytes, kind: str, ids: pl.Series) -> pl.Series:
    """Return the pseudonym of each id; those of samples and of subjects have nothing in common."""
    names = ids.cast(pl.String)
    distinct = names.unique().drop_nulls()
    hashed = [keyed_hash(key, kind, name)[:DIGITS] for name in distinct]
    return names.replace_strict(distinct, pl.Series(hashed, dtype=pl.String), default=None, return_dtype=pl.String)


def _count(listed: Quarantine, quarantine: Quarantine) -> None:
    """Take over how many rows there were, not which; what comes later is taken over by another call."""
    quarantine.extend({**listed.to_json(), "rows": []})
    listed.clear()
