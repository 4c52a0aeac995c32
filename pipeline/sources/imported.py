"""Features that somebody else computed: one row of numbers per sample and modality, joined by id."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ...cache_schema import Column, InputError
from ..source import Block, Quarantine, Records, TableModality
from .feature_files import SAMPLE_ID, as_text, read_table, require_columns, row_of
from .imported_labels import check_name, read_parts, read_task

VERSION = 1
"""To be raised whenever the same files would give another result."""

STAGE = "import"
SUBJECT_ID = "subject_id"
WHOLE_NUMBER = r"^(0|-?[1-9]\d{0,17})$"


class ImportedDataSet:
    """A table of samples and one table of features for each modality.

    Parameters
    ----------
    samples
        Table with ``sample_id``, ``subject_id`` (the patient; without it every sample is a patient of its own) and the
        columns named below.
    features
        File of each modality: ``sample_id`` and columns of numbers. What is empty is unknown; a sample without a row,
        or with an empty one, lacks the modality.
    labels
        Columns to predict: ``COLUMN``, or ``NAME=COLUMN,COLUMN`` for a task with several labels.
    split
        Column with the part of each sample: train, validation or test.
    keep
        Further columns of ``samples`` to store, such as age and sex; no model sees them.
    """

    name = "imported"

    def __init__(
        self,
        samples: Path,
        features: Mapping[str, Path],
        labels: Sequence[str] = (),
        split: str | None = None,
        keep: Sequence[str] = (),
    ) -> None:
        if not features:
            raise InputError("There are no features; give at least one --features NAME=FILE.")
        self.raw = samples.parent
        self.samples = samples
        self.features = {check_name(name, "The modality"): path for name, path in features.items()}
        self.labels, self.split, self.keep = tuple(labels), split, tuple(keep)

    def inputs(self) -> list[Path]:
        """Return all files; raises MissingInputError naming what is missing."""
        for path in (self.samples, *self.features.values()):
            require_columns(read_table(path, rows=0), [SAMPLE_ID], path)
        return [self.samples, *self.features.values()]

    def settings(self) -> dict[str, Any]:
        """Return everything but the files that decides the result."""
        return {
            "version": VERSION,
            "modalities": list(self.features),
            "labels": list(self.labels),
            "split": self.split,
            "keep": list(self.keep),
        }

    def read(self, quarantine: Quarantine) -> Records:
        """Read the samples; rows without an id, or with one that was there already, are quarantined."""
        table = _unique(read_table(self.samples), self.samples, quarantine)
        samples = self._samples(table)
        order = samples["position"]
        table = table[order]
        tasks = tuple(read_task(table, label, self.samples) for label in self.labels)
        splits = {}
        if self.split is not None:
            parts = samples.select(SAMPLE_ID).with_columns(part=read_parts(table, self.split, self.samples))
            splits[check_name(self.split, "The split")] = parts.drop_nulls("part")
        modalities = tuple(self._modality(name, path, samples) for name, path in self.features.items())
        return Records(samples.drop("position", "text"), lambda _: tasks, modalities, splits=splits)

    def _samples(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return sample_id, subject_id, kept columns, the id as ``text`` and ``position`` in the table, by id."""
        require_columns(table, self.keep, self.samples)
        text = as_text(table[SAMPLE_ID])
        subject = as_text(table[SUBJECT_ID]) if SUBJECT_ID in table.columns else text
        if subject.null_count():
            at = int(subject.is_null().arg_true()[0])
            raise InputError(f"{self.samples}: sample {text[at]} has no subject_id; splits are by patient.")
        columns = {SAMPLE_ID: _typed_id(text), SUBJECT_ID: _typed_id(subject)}
        kept = {name: _typed(table[name]) for name in self.keep}
        frame = pl.DataFrame({**columns, **kept, "text": text})
        return frame.with_columns(position=pl.int_range(pl.len())).sort(SAMPLE_ID)

    def _modality(self, name: str, path: Path, samples: pl.DataFrame) -> TableModality:
        columns = tuple(Column(column, variable=column) for column in _feature_names(read_table(path, rows=0), path))
        blocks = partial(_blocks, path, samples.select(SAMPLE_ID, "text"))
        recipe = {"imported": VERSION}
        return TableModality(name, "features", columns, "one row of features a sample", recipe, (path,), blocks)


def _feature_names(table: pl.DataFrame, path: Path) -> list[str]:
    names = [name for name in table.columns if name not in (SAMPLE_ID, SUBJECT_ID)]
    if not names:
        raise InputError(f"{path} has no column of features beside {SAMPLE_ID}.")
    return names


def _typed_id(text: pl.Series) -> pl.Series:
    """Return ids as whole numbers if all of them are written as such, else as text."""
    return text.cast(pl.Int64) if text.str.contains(WHOLE_NUMBER).all() else text


def _typed(column: pl.Series) -> pl.Series:
    """Return numbers if everything that is known is one, else text."""
    text = as_text(column)
    numbers = text.cast(pl.Float64, strict=False)
    return numbers if numbers.null_count() == text.null_count() else text


def _unique(table: pl.DataFrame, path: Path, quarantine: Quarantine) -> pl.DataFrame:
    """Return the first row of every id."""
    ids = as_text(table[SAMPLE_ID])
    for reason, wrong in (
        ("sample_id is empty", ids.is_null()),
        ("sample_id is repeated", ids.is_not_null() & ~ids.is_first_distinct()),
    ):
        for at in wrong.arg_true():
            quarantine.add(STAGE, path.name, row_of(at), str(ids[at] or ""), reason)
    return table.filter(ids.is_not_null() & ids.is_first_distinct())


def _blocks(path: Path, samples: pl.DataFrame, quarantine: Quarantine) -> Iterator[Block]:
    """Yield the rows of the samples that have any number, as one block."""
    table = _unique(read_table(path), path, quarantine)
    ids = pl.DataFrame({"text": as_text(table[SAMPLE_ID])}).with_row_index("position")
    for text in ids.join(samples, on="text", how="anti", maintain_order="left")["text"]:
        quarantine.add(STAGE, path.name, f"sample {text}", text, "the sample is not in the table of samples")
    known = samples.join(ids, on="text", maintain_order="left")
    numbers = [_numbers(table[name], table[SAMPLE_ID], path, quarantine) for name in _feature_names(table, path)]
    values = np.stack(numbers, axis=1)[known["position"].to_numpy()]  # [n, D]
    some = ~np.isnan(values).all(axis=1)
    lengths, time = np.ones(int(some.sum()), dtype=np.int64), np.full(int(some.sum()), np.nan, dtype=np.float32)
    yield Block(known[SAMPLE_ID].to_numpy()[some], lengths, values[some], time)


def _numbers(
    column: pl.Series, ids: pl.Series, path: Path, quarantine: Quarantine
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return a column as float32, NaN where unknown; what is no finite number is quarantined."""
    text = as_text(column)
    numbers = text.cast(pl.Float32, strict=False)
    wrong = text.is_not_null() & ~numbers.is_finite().fill_null(False) & ~text.str.to_lowercase().is_in(["nan", "na"])
    if wrong.any() and not numbers.is_finite().any():
        at = int(wrong.arg_true()[0])
        raise InputError(
            f"{path}: the column {column.name!r} holds no number (sample {ids[at]}: {text[at][:40]!r}). Leave it out, "
            "or write categories as columns of 0 and 1."
        )
    for at in wrong.arg_true():
        quarantine.add(STAGE, path.name, f"sample {ids[at]}, {column.name}", text[at][:40], "no finite number")
    finite = numbers.set(wrong, None).fill_null(np.nan)
    return finite.to_numpy().astype(np.float32)
