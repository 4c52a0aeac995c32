"""One row of features a sample, from a table or a matrix with ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from ....cache_schema import Column, InputError
from ...source import Block, Quarantine, TableModality
from ...tables.excel import ENDING as EXCEL
from ...tables.feature_files import (
    SAMPLE_ID,
    STAGE,
    TEXTS,
    feature_block,
    numbered,
    read_numbered_table,
    read_numbers,
    require_columns,
)
from ...tables.headers import counts_rows, meant_columns, say_left_out
from ...tables.ids import ids_to_join, refuse_unjoined
from ...tables.sample_table import SUBJECT_ID, SampleTable, first_rows
from .matrix_files import READERS, ids_beside, read_matrix

TABLES = (*TEXTS, ".parquet", EXCEL, ".npz")
ROWS_TRIED = 1000
"""The first rows of a table say which columns only count its rows."""
UNKNOWN_SAMPLE = "the sample is not in the table of samples"


@dataclass(frozen=True)
class TableFeatures:
    """A table with ``sample_id`` and columns of numbers, or the matrix ``part`` of a file with the ids of its rows."""

    path: Path
    part: str = ""

    def files(self) -> tuple[Path, ...]:
        """Return the files; raises :class:`InputError` if they hold no such table."""
        require_columns(self.read(rows=0)[0], [SAMPLE_ID], self.path)
        return (self.path, ids_beside(self.path)) if self.path.suffix.lower() == ".npy" else (self.path,)

    def read(self, rows: int | None = None) -> tuple[pl.DataFrame, pl.Series]:
        """Return the table, or only its first rows, and their lines as :func:`read_numbered_table`."""
        if self.path.suffix.lower() in READERS:
            return numbered(read_matrix(self.path, self.part, rows))
        if self.part:
            raise InputError(f"{self.path} has no parts; {self.part!r} cannot be one.")
        if not self.path.name.lower().endswith(TABLES):
            raise InputError(
                f"{self.path} cannot be imported; known are {', '.join([*TABLES, *READERS])}, or a folder."
            )
        return read_numbered_table(self.path, rows)

    def modality(self, name: str, samples: SampleTable) -> TableModality:
        """Return the rows of the samples that have any number."""
        columns = tuple(Column(column, variable=column) for column in self._names(self.read(rows=ROWS_TRIED)[0]))
        recipe = {"part": self.part} if self.part else {}
        blocks = partial(self._blocks, samples.frame.select(SAMPLE_ID, text=samples.texts))
        return TableModality(name, "features", columns, "one row of features a sample", recipe, self.files(), blocks)

    def _names(self, table: pl.DataFrame) -> list[str]:
        """Return the columns of features; the first rows of the table say which of them only count its rows."""
        meant = [name for name in meant_columns(table.columns, self.path) if name not in (SAMPLE_ID, SUBJECT_ID)]
        names = [name for name in meant if not counts_rows(table[name].head(ROWS_TRIED))]
        if not names:
            raise InputError(f"{self.path} has no column of features beside {SAMPLE_ID}.")
        return names

    def _blocks(self, samples: pl.DataFrame, quarantine: Quarantine) -> Iterator[Block]:
        """Yield everything as one block."""
        table, lines = self.read()
        names = self._names(table)
        unread = [name for name in table.columns if name not in (SAMPLE_ID, SUBJECT_ID, *names)]
        say_left_out(unread, STAGE, self.path, quarantine)
        ids = ids_to_join(table[SAMPLE_ID], samples["text"])
        refuse_unjoined(self.path, ids, samples["text"])
        rows = first_rows(ids, lines, self.path, quarantine)
        table, ids = table[rows], ids[rows]
        rows_of = pl.DataFrame({"text": ids}).with_row_index("position")
        for text in rows_of.join(samples, on="text", how="anti", maintain_order="left")["text"]:
            quarantine.add(STAGE, self.path.name, f"sample {text}", text, UNKNOWN_SAMPLE)
        known = samples.join(rows_of, on="text", maintain_order="left")
        columns = [table[name] for name in names]
        numbers = read_numbers(columns, lambda _, at: f"sample {ids[at]}", self.path, quarantine)
        yield feature_block(known[SAMPLE_ID], numbers[known["position"].to_numpy()])
