"""The suite for data sets passes a good one, and says of each bad one in words what is wrong with it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import Column
from omnifuse.pipeline.source import Block, Quarantine, Records
from omnifuse.testing import check_dataset

from tests.pipeline.core.toy import ToyDataSet, write_raw


class Good(ToyDataSet):
    """Rates of four patients, with a mask, and their notes."""

    def __init__(self, raw: Path) -> None:
        super().__init__(raw, modalities=("rate", "note"))

    def read(self, quarantine: Quarantine) -> Records:
        """Add the mask column, which a time series must have."""
        records = super().read(quarantine)
        (table,) = records.tables
        columns = (*table.columns, Column("mask", "", "rate", "mask"))

        def blocks(quarantine: Quarantine) -> Iterator[Block]:
            for block in table.blocks(quarantine):
                yield replace(block, values=np.hstack([block.values, np.ones_like(block.values)]))

        return replace(records, tables=(replace(table, columns=columns, blocks=blocks),))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "raw")


def reading(change: Callable[[Records], Records]) -> Callable[[Path], Good]:
    """Return what opens a data set whose records are changed."""

    class Changed(Good):
        def read(self, quarantine: Quarantine) -> Records:
            return change(super().read(quarantine))

    return Changed


def with_blocks(change: Callable[[Iterator[Block]], Any]) -> Callable[[Path], Good]:
    """Return what opens a data set whose blocks are changed."""

    def changed(records: Records) -> Records:
        (table,) = records.tables
        return replace(records, tables=(replace(table, blocks=lambda found: change(table.blocks(found))),))

    return reading(changed)


def with_table(**changed: Any) -> Callable[[Path], Good]:
    return reading(lambda records: replace(records, tables=(replace(records.tables[0], **changed),)))


def with_notes(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], Good]:
    def changed(records: Records) -> Records:
        (notes,) = records.items
        return replace(records, items=(replace(notes, items=change(notes.items)),))

    return reading(changed)


def test_a_good_data_set_passes_and_its_folder_stays_as_it_was(raw: Path) -> None:
    before = {path: path.read_bytes() for path in raw.iterdir()}
    check_dataset(Good, raw)
    assert {path: path.read_bytes() for path in raw.iterdir()} == before


FIRST = pl.col("sample_id").first()

RECORDS = {
    "Sample 1 occurs twice": reading(lambda records: replace(records, samples=records.samples[[0, 0, 1, 2]])),
    "sample 1 has no subject_id": reading(
        lambda records: replace(records, samples=records.samples.with_columns(subject_id=pl.lit(None, pl.Int64)))
    ),
    "two modalities have one name: rate, rate": reading(
        lambda records: replace(records, items=(replace(records.items[0], name="rate"),))
    ),
    "Records.tables holds a ItemModality": reading(lambda records: replace(records, tables=records.items, items=())),
    "has the kind 'table'": with_table(kind="table"),
    "has no mask of its column 'rate'": with_table(columns=(Column("rate", "", "rate"), Column("x", "", "rate"))),
    "lists no inputs": with_table(inputs=()),
    "the recipe of the modality 'rate' cannot be stored": with_table(recipe={"made": np.float32(1)}),
    "yield block after block": with_blocks(list),
    "has rows of 9, which is no sample": with_blocks(
        lambda blocks: (replace(block, sample_ids=np.array([9])) for block in blocks)
    ),
    "has a sample in two blocks": with_blocks(
        lambda blocks: (replace(block, sample_ids=np.array([1])) for block in blocks)
    ),
    r"announced 1 rows of 2 columns and gave \(1, 1\)": with_blocks(
        lambda blocks: (replace(block, values=block.values[:, :1]) for block in blocks)
    ),
    "the values of the modality 'rate' are float64": with_blocks(
        lambda blocks: (replace(block, values=block.values.astype(np.float64)) for block in blocks)
    ),
    "not finite; what is unknown is NaN": with_blocks(
        lambda blocks: (replace(block, values=block.values * np.float32(np.inf)) for block in blocks)
    ),
    "rows that go back in time": with_blocks(
        lambda blocks: (replace(block, time=block.time[::-1]) for block in blocks)
    ),
    "have no column time": with_notes(lambda items: items.drop("time")),
    "has an item of 7, which is no sample": with_notes(lambda items: items.with_columns(sample_id=pl.lit(7, pl.Int64))),
    "lists the item 'note1' twice": with_notes(lambda items: pl.concat([items, items[:1]])),
    "raise UnreadableItem": reading(
        lambda records: replace(records, items=(replace(records.items[0], read_text=Path.read_text),))
    ),
    "the split 'mine' cannot be stored: The split 'mine' names a sample twice": reading(
        lambda records: replace(
            records, splits={"mine": pl.DataFrame({"sample_id": [1, 1], "part": ["train", "test"]})}
        )
    ),
    "the split 'mine' puts subject 10 into two parts": reading(
        lambda records: replace(
            records, splits={"mine": pl.DataFrame({"sample_id": [1, 2], "part": ["train", "test"]})}
        )
    ),
    "the task 'death' cannot be stored: .*has the label 2": reading(
        lambda records: replace(
            records, tasks=lambda hours: tuple(replace(task, y=task.y * 2) for task in records.tasks(hours))
        )
    ),
}


@pytest.mark.parametrize("message", RECORDS)
def test_records_that_cannot_become_a_cache_are_named(raw: Path, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_dataset(RECORDS[message], raw)


def test_what_is_another_the_second_time_is_named(raw: Path) -> None:
    calls = iter(range(100))

    class Restless(Good):
        def settings(self) -> dict[str, Any]:
            return {"call": next(calls)}

    class Forgetful(Good):
        def read(self, quarantine: Quarantine) -> Records:
            records = super().read(quarantine)
            return replace(records, samples=records.samples.with_columns(call=pl.lit(next(calls))))

    with pytest.raises(AssertionError, match=r"settings\(\) differ the second time"):
        check_dataset(Restless, raw)
    with pytest.raises(AssertionError, match="the table of samples differs when it is read a second time"):
        check_dataset(Forgetful, raw)


def test_a_file_that_decides_and_is_not_listed_is_noticed(raw: Path) -> None:
    class Careless(Good):
        def inputs(self) -> list[Path]:
            return [self.raw / "note1.txt"]

        def read(self, quarantine: Quarantine) -> Records:
            records = super().read(quarantine)
            number = len(list(self.raw.glob("*.png")))
            return replace(records, samples=records.samples.with_columns(pictures=pl.lit(number)))

    with pytest.raises(AssertionError, match="the table of samples depends on a file that inputs"):
        check_dataset(Careless, raw)


def test_a_data_set_that_looks_elsewhere_is_noticed(raw: Path) -> None:
    class Fixed(Good):
        def inputs(self) -> list[Path]:
            return [raw / "rates.csv"]

    with pytest.raises(AssertionError, match="which is not below the folder that it was given"):
        check_dataset(Fixed, raw)


def test_a_data_set_whose_inputs_are_no_files_is_noticed(raw: Path) -> None:
    class Blind(Good):
        def inputs(self) -> list[Path]:
            return [self.raw]

    with pytest.raises(AssertionError, match=r"inputs\(\) lists .*raw, which is no file"):
        check_dataset(Blind, raw)
