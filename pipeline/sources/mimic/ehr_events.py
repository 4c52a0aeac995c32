"""The modality ``ehr``: the tables of events, read once, in bins of the 17 variables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ....progress import progress
from ...source import Block, Quarantine, TableModality
from .benchmark import EhrSettings, EhrTensors, columns, extract_tensors
from .folder import MimicFolder
from .tables import Table
from .times import refuse_events_in_another_format

IDS = ("subject_id", "hadm_id", "stay_id", "itemid")
EVENT_TABLES = {"chartevents": IDS, "labevents": tuple(name for name in IDS if name != "stay_id")}
"""Tables of events, and which ids each has."""


@dataclass(frozen=True)
class EhrEvents:
    """The tables of events of a folder, as a profile reads them."""

    folder: MimicFolder
    settings: EhrSettings

    def tables(self) -> list[Table]:
        """Return the tables; OUTPUTEVENTS holds no variable but can make a benchmark subject's values text.

        Raises MissingInputError or InputError where one is missing or lacks a column.
        """
        needed = dict(EVENT_TABLES)
        if self.settings.profile == "benchmark" and self.folder.find_table("outputevents"):
            needed["outputevents"] = IDS
        tables = [self.folder.table(name) for name in needed]
        for table, ids in zip(tables, needed.values(), strict=True):
            table.require([*ids, "charttime", "value", "valueuom"])
        return tables

    def tensors(self, stays: pl.DataFrame, quarantine: Quarantine) -> EhrTensors:
        """Read the events of the stays of a cohort once and bin them."""
        texts = ["charttime", "value", *self._beside_value]

        def read(keep: pl.Expr) -> Iterator[pl.DataFrame]:
            for table in self.tables():
                for events in read_events(table, texts, keep, quarantine):
                    yield link_by_stay(events, stays)

        return extract_tensors(read, stays, self.settings, quarantine)

    def modality(self, stays: pl.DataFrame, recipe: dict[str, Any]) -> TableModality:
        """Return the modality; its blocks make the pass over the tables."""
        sample_ids = stays["stay_id"].to_numpy()

        def blocks(quarantine: Quarantine) -> Iterator[Block]:
            tensors = self.tensors(stays, quarantine)
            for block in tensors.blocks():
                values, time = block.values.astype(np.float32), block.time.astype(np.float32)
                yield Block(sample_ids[block.stays], block.lengths, values, time, tensors.first_hours[block.stays])

        return TableModality(
            "ehr", "timeseries", columns(), f"{self.settings.bin_hours:g} hours of the stay", recipe,
            (self.folder.table("icustays").path, *(table.path for table in self.tables())), blocks,
            "vital signs and laboratory values over time",
        )  # fmt: skip

    @property
    def _beside_value(self) -> list[str]:
        """What of an event the profile looks at beside its value; the benchmark's port to MIMIC-IV loses the unit."""
        if self.settings.profile == "clean":
            return ["valueuom", "valuenum", "error"]
        return ["valueuom"] if self.folder.version == 3 else []


def read_events(table: Table, texts: Sequence[str], keep: pl.Expr, quarantine: Quarantine) -> Iterator[pl.DataFrame]:
    """Yield rows of an event table with the columns that :func:`.extract_tensors` takes."""
    absent = [pl.lit(None, pl.String).alias(name) for name in ("valueuom", "valuenum", "error") if name not in texts]
    expected = table.expected_rows()
    with progress(name=table.path.name, total=expected, unit="rows") as bar:
        for number, batch in enumerate(table.batches(IDS, texts, quarantine, keep)):
            if not number:
                refuse_events_in_another_format(batch, table)
            bar.update(batch["row"][-1] - 1 - bar.n)  # the header is line 1
            yield batch.with_columns(absent).rename({"valueuom": "unit"})


def link_by_stay(events: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Take HADM_ID from events of an admission of which the cohort has several stays: it does not say which of them.

    Such an event belongs to the stay that it names, or in which it lies.
    """
    several = stays.filter(pl.len().over("hadm_id") > 1)["hadm_id"].unique()
    if several.is_empty():
        return events
    unclear = pl.col("hadm_id").is_in(several.implode())
    return events.with_columns(hadm_id=pl.when(~unclear.fill_null(False)).then("hadm_id"))
