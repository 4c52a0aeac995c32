"""Features that somebody else computed: one row of numbers per sample and modality, joined by id."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ...cache_schema import Column, InputError
from ..source import Block, Quarantine, Records, TableModality
from .feature_files import SAMPLE_ID, STAGE, as_text, feature_block, read_numbers, read_table, require_columns
from .imported_labels import check_name
from .sample_table import SUBJECT_ID, SampleColumns, SampleTable, first_rows, read_samples

VERSION = 1
"""To be raised whenever the same files would give another result."""


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
        self.columns = SampleColumns(tuple(labels), split, tuple(keep))

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
            "labels": list(self.columns.labels),
            "split": self.columns.split,
            "keep": list(self.columns.keep),
        }

    def read(self, quarantine: Quarantine) -> Records:
        """Read the samples; rows without an id, or with one that was there already, are quarantined."""
        samples = read_samples(self.samples, self.columns, quarantine)
        modalities = tuple(self._modality(name, path, samples) for name, path in self.features.items())
        return Records(samples.frame, lambda _: samples.tasks, modalities, splits=samples.splits)

    def _modality(self, name: str, path: Path, samples: SampleTable) -> TableModality:
        columns = tuple(Column(column, variable=column) for column in _feature_names(read_table(path, rows=0), path))
        blocks = partial(_blocks, path, samples.frame.select(SAMPLE_ID, text=samples.texts))
        recipe = {"imported": VERSION}
        return TableModality(name, "features", columns, "one row of features a sample", recipe, (path,), blocks)


def _feature_names(table: pl.DataFrame, path: Path) -> list[str]:
    names = [name for name in table.columns if name not in (SAMPLE_ID, SUBJECT_ID)]
    if not names:
        raise InputError(f"{path} has no column of features beside {SAMPLE_ID}.")
    return names


def _blocks(path: Path, samples: pl.DataFrame, quarantine: Quarantine) -> Iterator[Block]:
    """Yield the rows of the samples that have any number, as one block."""
    table = read_table(path)
    table = table[first_rows(as_text(table[SAMPLE_ID]), path, quarantine)]
    texts = as_text(table[SAMPLE_ID])
    ids = pl.DataFrame({"text": texts}).with_row_index("position")
    for text in ids.join(samples, on="text", how="anti", maintain_order="left")["text"]:
        quarantine.add(STAGE, path.name, f"sample {text}", text, "the sample is not in the table of samples")
    known = samples.join(ids, on="text", maintain_order="left")
    places = [f"sample {text}" for text in texts]
    numbers = [read_numbers(table[name], places, path, quarantine) for name in _feature_names(table, path)]
    yield feature_block(known[SAMPLE_ID], np.stack(numbers, axis=1)[known["position"].to_numpy()])
