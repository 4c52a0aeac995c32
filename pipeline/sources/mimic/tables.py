"""Where the tables of a MIMIC folder are, and how their rows are read.

Tables are ``.csv``, ``.csv.gz`` or ``.parquet``, with names and headers in upper or lower case. Inside the program all
names are lower case and the ICU stay is ``stay_id`` in both versions. A table that ends too early stops with an error.
"""

import csv
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from isal import isal_zlib

from ....cache_schema import InputError, MissingInputError
from ...ahead import ahead
from ...source import Quarantine
from ...tables.delimited import ALL_ROWS, LINE, Delimited
from ...tables.delimited_text import DAMAGES
from ...tables.feature_files import LINE_OF_FIRST_ROW

SUFFIXES = (".csv", ".csv.gz", ".parquet")
DEPTH = 3
"""Levels below the raw folder that are searched."""
ROWS_AT_ONCE = 150_000
BYTES_AT_ONCE = 1 << 25
"""Of long texts, which are fewer rows."""
TAIL_BYTES = 1 << 16
SAMPLE_BYTES = 1 << 20
GZIP = 16 + zlib.MAX_WBITS
SHOWN = 1000
"""Unusable rows quarantined one by one, for each batch and column; the others are counted."""


@dataclass(frozen=True)
class Table:
    """One table: ``columns`` maps lower-case names to the names in the file."""

    path: Path
    columns: Mapping[str, str]

    @classmethod
    def open(cls, path: Path) -> "Table":
        """Read the header; raises :class:`InputError` for an empty or unreadable file or a line cut at the end."""
        columns = {name.lower().strip(): name for name in _header(path)}
        if path.name.lower().endswith(".csv"):
            _check_last_line(path, len(columns))
        if "icustay_id" in columns:
            columns["stay_id"] = columns["icustay_id"]
        return cls(path, columns)

    def require(self, names: Sequence[str]) -> None:
        """Raise :class:`MissingInputError` unless the table has all these columns."""
        missing = [name for name in names if name not in self.columns]
        if missing:
            found = ", ".join(dict.fromkeys(self.columns.values()))
            raise MissingInputError(
                f"{self.path} has no column {', '.join(missing)}; it has {found}. "
                "Check that this is the original MIMIC table."
            )

    def batches(
        self,
        integers: Sequence[str],
        texts: Sequence[str],
        quarantine: Quarantine,
        keep: pl.Expr = ALL_ROWS,
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows for which ``keep`` holds in order, with bounded memory.

        The column ``row`` is the line on which the row begins, as a text editor counts; columns that the table does not
        have are null. Rows whose ``integers`` are not integers are quarantined. Raises :class:`InputError` where the
        table is cut or damaged.
        """
        names = {name: self.columns[name] for name in (*integers, *texts) if name in self.columns}
        absent = [
            pl.lit(None, kind).alias(name)
            for kind, wanted in ((pl.Int64, integers), (pl.String, texts))
            for name in wanted
            if name not in names
        ]
        numbers = [name for name in integers if name in names]
        is_parquet = self.path.name.lower().endswith(".parquet")
        for batch in self._parquet(names, numbers, keep) if is_parquet else self._text(names, numbers, keep):
            if any(batch[name].dtype == pl.String for name in numbers):
                rows = to_integers(batch.with_columns(absent), integers, self.path, quarantine).filter(keep)
            else:
                rows = batch.with_columns(absent)
            if len(rows):
                yield rows

    def expected_rows(self) -> int | None:
        """Estimate the number of rows from the beginning of the file; None where that is damaged."""
        name, size = self.path.name.lower(), self.path.stat().st_size
        if name.endswith(".parquet"):
            return int(pl.scan_parquet(self.path, glob=False).select(pl.len()).collect().item())
        with self.path.open("rb") as file:
            read = file.read(SAMPLE_BYTES)
        try:
            lines = (isal_zlib.decompressobj(GZIP).decompress(read) if name.endswith(".gz") else read).count(b"\n")
        except DAMAGES:
            return None
        return lines * size // max(1, len(read))

    def _text(self, names: Mapping[str, str], integers: Sequence[str], keep: pl.Expr) -> Iterator[pl.DataFrame]:
        """Yield batches of a text file; one with an integer that is none comes whole and as text."""
        file = Delimited.open(self.path, ",", lossy=True)
        rows = file.batches(names, dict.fromkeys(integers, pl.Int64), keep)
        with closing(ahead(_gathered(rows), _joined, waiting=2)) as batches:  # read while the events before are cleaned
            yield from batches

    def _parquet(self, names: Mapping[str, str], integers: Sequence[str], keep: pl.Expr) -> Iterator[pl.DataFrame]:
        """Yield batches of a Parquet file; from the first with an integer that is none, whole and as text.

        Raises :class:`InputError` where ids are stored so that they have lost digits.
        """
        stored = pl.scan_parquet(self.path, glob=False).collect_schema()
        if inexact := [name for name in integers if stored[names[name]] == pl.Float32]:
            raise InputError(
                f"{self.path}: {inexact[0]} is a real number of 32 bits, of which several ids are one. Write it as "
                "whole numbers, from the table as it was."
            )
        real = any(stored[names[name]].is_float() for name in integers)
        as_integers = [] if real else [(dict.fromkeys(integers, pl.Int64), keep)]  # a cast cuts decimals off
        done = 0
        try:
            for kinds, kept in (*as_integers, ({}, ALL_ROWS)):
                columns = [
                    pl.col(written).alias(name)  # times stay times
                    if stored[written].is_temporal()
                    else pl.col(written).cast(kinds.get(name, pl.String)).alias(name)
                    for name, written in names.items()
                ]
                rows = pl.scan_parquet(self.path, glob=False).slice(done).select(columns)
                numbered = rows.with_row_index("row", done + LINE_OF_FIRST_ROW).filter(kept)
                try:
                    for batch in numbered.collect_batches(chunk_size=ROWS_AT_ONCE):
                        if len(batch):
                            done = int(batch["row"][-1]) + 1 - LINE_OF_FIRST_ROW
                            yield batch.rechunk()  # of dozens of pieces, each of which costs time in every later step
                    return
                except pl.exceptions.InvalidOperationError:
                    continue
        except (pl.exceptions.ComputeError, OSError) as error:
            raise _damaged(self.path, done, error) from error


def _gathered(batches: Iterator[pl.DataFrame]) -> Iterator[list[pl.DataFrame]]:
    """Yield batches of the same columns, together of about :data:`ROWS_AT_ONCE` rows or :data:`BYTES_AT_ONCE`."""
    small: list[pl.DataFrame] = []
    rows = size = 0
    for batch in batches:
        if small and (batch.schema != small[0].schema or rows >= ROWS_AT_ONCE or size >= BYTES_AT_ONCE):
            yield small
            small, rows, size = [], 0, 0
        small.append(batch)
        rows, size = rows + len(batch), size + int(batch.estimated_size())
    if small:
        yield small


def _joined(small: list[pl.DataFrame]) -> pl.DataFrame:
    """Return small batches as one without pieces, each of which costs time in every later step."""
    return pl.concat(small, rechunk=True).rename({LINE: "row"})


def read_table(
    table: Table,
    integers: Sequence[str],
    texts: Sequence[str],
    quarantine: Quarantine,
    needed: Sequence[str],
    keep: pl.Expr = ALL_ROWS,
) -> pl.DataFrame:
    """Return what ``keep`` holds of a (small) table; rows without one of the ``needed`` integers are quarantined."""
    batches = table.batches(integers, texts, quarantine, keep)
    frame = pl.concat([_empty(integers, texts), *batches], how="diagonal_relaxed")
    without = frame.filter(pl.any_horizontal(pl.col(list(needed)).is_null()))
    for row in without.iter_rows(named=True):
        names = ", ".join(name for name in needed if row[name] is None)
        quarantine.add("tables", table.path.name, f"row {row['row']}", "", f"{names} empty")
    return frame.join(without.select("row"), on="row", how="anti", maintain_order="left")


def unique_rows(frame: pl.DataFrame, key: Sequence[str], table: Table, quarantine: Quarantine) -> pl.DataFrame:
    """Keep the first row of every key; the others are quarantined."""
    repeated = frame.filter(~pl.struct(key).is_first_distinct())
    for row in repeated.iter_rows(named=True):
        value = ", ".join(str(row[name]) for name in key)
        quarantine.add("tables", table.path.name, f"row {row['row']}", value, f"{', '.join(key)} is repeated")
    return frame.unique(list(key), keep="first", maintain_order=True)


def to_integers(frame: pl.DataFrame, names: Sequence[str], path: Path, quarantine: Quarantine) -> pl.DataFrame:
    """Turn text columns into integers (``12.0`` is one); rows with anything else are quarantined and dropped."""
    numbers = [pl.col(name).str.strip_chars().cast(pl.Float64, strict=False).alias(name) for name in names]
    whole = pl.when(pl.all() == pl.all().floor()).then(pl.all())
    integers = frame.select(numbers).select(whole.cast(pl.Int64, strict=False))
    wrong = pl.Series([False]).new_from_index(0, len(frame))
    for name in names:
        unreadable = integers[name].is_null() & (frame[name].fill_null("") != "")
        reason = f"{name} is no integer"
        for at in unreadable.arg_true().head(SHOWN):
            quarantine.add("tables", path.name, f"row {frame['row'][at]}", str(frame[name][at])[:40], reason)
        if (surplus := int(unreadable.sum()) - SHOWN) > 0:
            quarantine.add("tables", path.name, "further rows", "", reason, surplus)
        wrong |= unreadable
    return frame.with_columns(integers).filter(~wrong)


def _empty(integers: Sequence[str], texts: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(
        schema={"row": pl.Int64, **dict.fromkeys(integers, pl.Int64), **dict.fromkeys(texts, pl.String)}
    )


def _header(path: Path) -> list[str]:
    if path.name.lower().endswith(".parquet"):
        try:
            return list(pl.scan_parquet(path, glob=False).collect_schema())
        except (pl.exceptions.ComputeError, OSError) as error:
            raise _damaged(path, 0, error) from error
    return list(Delimited.open(path, ",", lossy=True).columns)


def _check_last_line(path: Path, fields: int) -> None:
    """Raise :class:`InputError` if the last line of a CSV file has fewer fields than the header.

    Found before any work is done; what else is cut or damaged is found where it is read.
    """
    with path.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":  # packed in spite of its name
            return
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL_BYTES))
        last = file.read().decode("utf-8", errors="replace").rstrip("\r\n").replace("\r", "\n").rpartition("\n")[2]
    found = len(next(csv.reader([last]), []))
    if found < fields and last.count('"') % 2 == 0:  # odd: the end of a text with a line break in it
        raise InputError(
            f"{path} ends in the middle of a line (byte {size}): the last line has {found} of {fields} fields. "
            "The file is cut; download it again."
        )


def _damaged(path: Path, rows: int, error: Exception) -> InputError:
    reason = str(error).split("\n")[0]
    return InputError(f"{path} cannot be read after row {rows}: {reason}. The file is cut or damaged; get it again.")
