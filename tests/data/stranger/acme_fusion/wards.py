"""Patients of a ward: age, and a waveform from the monitor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omnifuse.pipeline.source import Quarantine, Records

title = "patients of a ward, patients.csv, and a waveform of each, NUMBER.npy"


@dataclass(frozen=True)
class Options:
    """Which patients."""

    beds: int | None = field(default=None, metadata={"help": "Only the first beds of the ward."})


def open(raw: Path, options: Options) -> Ward:  # noqa: A001
    """Return the ward in a folder."""
    return Ward(raw, options.beds)


@dataclass(frozen=True)
class Ward:
    """One sample is one patient; t0 is the admission."""

    raw: Path
    beds: int | None
    name = "wards"
    resources = ()

    def inputs(self) -> list[Path]:
        """Return the table of patients."""
        from omnifuse.cache_schema import MissingInputError

        if not (table := self.raw / "patients.csv").is_file():
            raise MissingInputError(f"{self.raw} has no patients.csv.")
        return [table]

    def settings(self) -> dict[str, Any]:
        """Return what else decides the result."""
        return {"version": 1, "beds": self.beds}

    def read(self, quarantine: Quarantine) -> Records:
        """Read patients, age and where the waveforms are."""
        import numpy as np
        import polars as pl
        from omnifuse.cache_schema import Column, Task
        from omnifuse.pipeline.source import Block, ItemModality, Records, TableModality

        (table,) = self.inputs()
        patients = pl.read_csv(table).sort("patient")[: self.beds]
        ids = patients["patient"]
        task = Task("death", "binary", ("died",), patients["died"].cast(pl.Float32).to_numpy()[:, None], 48.0)

        def age(quarantine: Quarantine) -> Iterator[Block]:
            values = patients["age"].cast(pl.Float32).to_numpy()[:, None]
            yield Block(ids.to_numpy(), np.ones(len(ids), np.int64), values, np.zeros(len(ids), np.float32))

        items = pl.DataFrame({
            "sample_id": ids,
            "item_id": [f"wave{number}" for number in ids],
            "path": [str(self.raw / f"{number}.npy") for number in ids],
            "time": pl.Series([0.0] * len(ids), dtype=pl.Float32),
        })  # fmt: skip
        return Records(
            patients.select(sample_id="patient", subject_id="patient"),
            lambda first_hours: (task,),
            (TableModality("age", "features", (Column("age", "years"),), "the age", {"version": 1}, (table,), age),),
            (ItemModality("monitor", "waveform", "a quarter", items, {}, title="the monitor"),),
        )
