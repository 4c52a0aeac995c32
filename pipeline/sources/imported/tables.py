"""One row of features a sample, from a table or a matrix with ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from ....cache_schema import Column, InputError
from ...source import Block, Quarantine, TableModality
from ..feature_files import (
    SAMPLE_ID,
    SEPARATORS,
    STAGE,
    as_text,
    feature_block,
    read_numbers,
    read_table,
    require_columns,
)
from ..sample_table import SUBJECT_ID, SampleTable, first_rows
from .matrix_files import READERS, ids_beside, read_matrix

TABLES = (*SEPARATORS, ".parquet", ".npz")
UNKNOWN_SAMPLE = "the sample is not in the table of samples"


@dataclass(frozen=True)
class TableFeatures:
    """A table with ``sample_id`` and columns of numbers, or the matrix ``part`` of a file with the ids of its rows."""

    path: Path
    part: str = ""

    def files(self) -> tuple[Path, ...]:
        """Return the files; raises :class:`InputError` if they hold no such table."""
        require_columns(self.read(rows=0), [SAMPLE_ID], self.path)
        return (self.path, ids_beside(self.path)) if self.path.suffix.lower() == ".npy" else (self.path,)

    def read(self, rows: int | None = None) -> pl.DataFrame:
        """Return the table, or only its first rows."""
        if self.path.suffix.lower() in READERS:
            return read_matrix(self.path, self.part, rows)
        if self.part:
            raise InputError(f"{self.path} has no parts; {self.part!r} cannot be one.")
        if not self.path.name.lower().endswith(TABLES):
            raise InputError(
                f"{self.path} cannot be imported; known are {', '.join([*TABLES, *READERS])}, or a folder."
            )
        return read_table(self.path, rows)

    def modality(self, name: str, samples: SampleTable) -> TableModality:
        """Return the rows of the samples that have any number."""
        columns = tuple(Column(column, variable=column) for column in self._names(self.read(rows=0)))
        recipe = {"part": self.part} if self.part else {}
        blocks = partial(self._blocks, samples.frame.select(SAMPLE_ID, text=samples.texts))
        return TableModality(name, "features", columns, "one row of features a sample", recipe, self.files(), blocks)

    def _names(self, table: pl.DataFrame) -> list[str]:
        names = [name for name in table.columns if name not in (SAMPLE_ID, SUBJECT_ID)]
        if not names:
            raise InputError(f"{self.path} has no column of features beside {SAMPLE_ID}.")
        return names

    def _blocks(self, samples: pl.DataFrame, quarantine: Quarantine) -> Iterator[Block]:
        """Yield everything as one block."""
        table = self.read()
        table = table[first_rows(as_text(table[SAMPLE_ID]), self.path, quarantine)]
        texts = as_text(table[SAMPLE_ID])
        ids = pl.DataFrame({"text": texts}).with_row_index("position")
        for text in ids.join(samples, on="text", how="anti", maintain_order="left")["text"]:
            quarantine.add(STAGE, self.path.name, f"sample {text}", text, UNKNOWN_SAMPLE)
        known = samples.join(ids, on="text", maintain_order="left")
        places = [f"sample {text}" for text in texts]
        numbers = [read_numbers(table[name], places, self.path, quarantine) for name in self._names(table)]
        yield feature_block(known[SAMPLE_ID], np.stack(numbers, axis=1)[known["position"].to_numpy()])
