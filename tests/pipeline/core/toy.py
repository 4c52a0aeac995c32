"""A data set of four patients: notes, pictures and one table, small enough to know by heart."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from omnifuse.cache_schema import Column, MissingInputError, Task
from omnifuse.pipeline.source import Block, ItemModality, Quarantine, Records, TableModality, UnreadableItem
from PIL import Image

NOTES = {1: "Heart size is normal.", 2: "Large left effusion.", 3: "Heart size is normal.", 4: ""}
"""Samples 1 and 3 have the same note; that of sample 4 is empty."""


def write_raw(folder: Path) -> Path:
    """Write notes, pictures (samples 1 and 2; a broken one for 3) and a table of heart rates (samples 1 and 4)."""
    folder.mkdir(parents=True)
    with (folder / "rates.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["sample", "hour", "rate"], [1, 2, 80], [1, 4, 90], [4, 2, 70]])
    for sample, note in NOTES.items():
        (folder / f"note{sample}.txt").write_text(note)
    for sample in (1, 2):
        pixels = np.random.default_rng(sample).integers(0, 256, (64, 64), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"picture{sample}.png")
    (folder / "picture3.png").write_bytes(b"not a picture")
    return folder


def read_note(path: Path) -> str:
    if not (text := path.read_text()):
        raise UnreadableItem("empty note")
    return text


@dataclass
class ToyDataSet:
    """Reads what `write_raw` wrote; ``reads`` counts how often."""

    raw: Path
    name: str = "toy"
    version: int = 1
    modalities: tuple[str, ...] = ("rate", "note", "picture")
    recipe_version: int = 1
    reads: int = 0
    resources: tuple[Path, ...] = ()

    def inputs(self) -> list[Path]:
        if not (self.raw / "rates.csv").exists():
            raise MissingInputError(f"{self.raw} has no rates.csv.")
        return [self.raw / "rates.csv"]

    def settings(self) -> dict[str, Any]:
        return {"version": self.version, "modalities": list(self.modalities)}

    def read(self, quarantine: Quarantine) -> Records:
        self.reads += 1
        samples = pl.DataFrame({"sample_id": [1, 2, 3, 4], "subject_id": [10, 10, 11, 12]})
        y = np.array([[0], [1], [0], [1]], dtype=np.float32)
        task = Task("death", "binary", ("died",), y, 48.0, {}, (("all", 4),))
        tables = (self._rates(),) if "rate" in self.modalities else ()
        items = [
            self._items("note", "text", [1, 2, 3, 4], "txt", read_note),
            self._items("picture", "image", [1, 2, 3, 4], "png", None),
        ]
        return Records(
            samples, lambda _: (task,), tables, tuple(item for item in items if item.name in self.modalities)
        )

    def _rates(self) -> TableModality:
        def blocks(quarantine: Quarantine) -> Iterator[Block]:
            frame = pl.read_csv(self.raw / "rates.csv")
            quarantine.add("rate", "rates.csv", "row 9", "x", "not a number")
            for sample in (4, 1):  # any order
                rows = frame.filter(pl.col("sample") == sample)
                yield Block(
                    np.array([sample]),
                    np.array([rows.height]),
                    rows.select("rate").to_numpy().astype(np.float32),
                    rows["hour"].to_numpy().astype(np.float32),
                )

        columns = (Column("rate", "beats/min", "rate"),)
        inputs = (self.raw / "rates.csv",)
        return TableModality("rate", "timeseries", columns, "measurement", {"version": self.version}, inputs, blocks)

    def _items(self, name: str, content: Any, samples: list[int], ending: str, read_text: Any) -> ItemModality:
        items = pl.DataFrame(
            {
                "sample_id": samples,
                "item_id": [f"{name}{sample}" for sample in samples],
                "path": [str(self.raw / f"{name}{sample}.{ending}") for sample in samples],
                "time": pl.Series([1.0, 2.0, None, 4.0], dtype=pl.Float32),
            }
        )
        return ItemModality(name, content, "row", items, {"version": self.recipe_version}, read_text)


class InterruptedDataSet(ToyDataSet):
    """The same, stopped from the keyboard when its table or its first note is to be read."""

    def read(self, quarantine: Quarantine) -> Records:
        records = super().read(quarantine)
        tables = tuple(replace(table, blocks=interrupt) for table in records.tables)
        items = tuple(replace(item, read_text=interrupt if item.name == "note" else None) for item in records.items)
        return replace(records, tables=tables, items=items)


def interrupt(_: object) -> Any:
    raise KeyboardInterrupt
