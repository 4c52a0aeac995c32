"""Where the tables of a MIMIC folder are, and how their rows are read.

Tables are ``.csv``, ``.csv.gz`` or ``.parquet``, with names and headers in upper or lower case. Inside the program all
names are lower case and the ICU stay is ``stay_id`` in both versions. A table that ends too early stops with an error.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ....cache_schema import InputError, MissingInputError
from ...source import Quarantine

SUFFIXES = (".csv", ".csv.gz", ".parquet")
DEPTH = 3
"""Levels below the raw folder that are searched."""
ROWS_AT_ONCE = 150_000
TAIL_BYTES = 1 << 16
SAMPLE_BYTES = 1 << 20
GZIP = 16 + zlib.MAX_WBITS
ALL_ROWS = pl.lit(True)
LINE_OF_FIRST_ROW = 2
"""As a text editor counts, with the header as line 1."""
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

        The column ``row`` is the row's place in the table, from 0; columns that the table does not have are null.
        Rows whose ``integers`` are not integers are quarantined. Raises :class:`InputError` where the table is cut
        or damaged.
        """
        done = 0
        try:
            for batch in self._scan(integers, texts, keep):
                done = batch["row"][-1] + 1
                yield batch
        except (pl.exceptions.ComputeError, pl.exceptions.InvalidOperationError):
            yield from self._batches_of_text(done, integers, texts, quarantine, keep)
        except OSError as error:
            raise _damaged(self.path, done, error) from error

    def expected_rows(self) -> int | None:
        """Estimate the number of rows from the beginning of the file; None where that is damaged."""
        name, size = self.path.name.lower(), self.path.stat().st_size
        if name.endswith(".parquet"):
            return int(pl.scan_parquet(self.path).select(pl.len()).collect().item())
        with self.path.open("rb") as file:
            read = file.read(SAMPLE_BYTES)
        try:
            lines = (zlib.decompressobj(GZIP).decompress(read) if name.endswith(".gz") else read).count(b"\n")
        except zlib.error:
            return None
        return lines * size // max(1, len(read))

    def _batches_of_text(
        self, skip: int, integers: Sequence[str], texts: Sequence[str], quarantine: Quarantine, keep: pl.Expr
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows after the first ``skip``, which hold something that is no integer or no UTF-8."""
        done = skip
        try:
            for batch in self._scan([], [*integers, *texts], ALL_ROWS, skip, lossy=True):
                done = batch["row"][-1] + 1
                kept = to_integers(batch, integers, self.path, quarantine).filter(keep)
                if len(kept):
                    yield kept
        except (pl.exceptions.ComputeError, OSError) as error:
            raise _damaged(self.path, done, error) from error

    def _scan(
        self, integers: Sequence[str], texts: Sequence[str], keep: pl.Expr, skip: int = 0, *, lossy: bool = False
    ) -> Iterator[pl.DataFrame]:
        kinds: dict[str, pl.DataType | type[pl.DataType]] = {
            **dict.fromkeys(integers, pl.Int64),
            **dict.fromkeys(texts, pl.String),
        }
        present = {name: kind for name, kind in kinds.items() if name in self.columns}
        absent = [pl.lit(None, kind).alias(name) for name, kind in kinds.items() if name not in self.columns]
        if self.path.name.lower().endswith(".parquet"):
            frame = pl.scan_parquet(self.path).select(_typed(self, name, kind) for name, kind in present.items())
        else:
            schema = dict.fromkeys(self.columns.values(), pl.String) | {
                self.columns[name]: kind for name, kind in present.items()
            }
            frame = pl.scan_csv(self.path, schema=schema, encoding="utf8-lossy" if lossy else "utf8").select(
                pl.col(self.columns[name]).alias(name) for name in present
            )
        if skip:
            frame = frame.slice(skip)
        rows = frame.with_row_index("row", skip).with_columns(absent).filter(keep)
        for batch in rows.collect_batches(chunk_size=ROWS_AT_ONCE):
            if len(batch):
                yield batch.rechunk()  # it comes in dozens of pieces, each of which costs time in every later step


def _typed(table: Table, name: str, kind: pl.DataType | type[pl.DataType]) -> pl.Expr:
    """Return a column of a Parquet table as text or integer; times stay times."""
    column = pl.col(table.columns[name]).alias(name)
    stored = pl.read_parquet_schema(table.path)[table.columns[name]]
    return column if stored.is_temporal() else column.cast(kind)


def read_table(
    table: Table, integers: Sequence[str], texts: Sequence[str], quarantine: Quarantine, needed: Sequence[str]
) -> pl.DataFrame:
    """Return a whole (small) table; rows without one of the ``needed`` integers are quarantined."""
    frame = pl.concat([_empty(integers, texts), *table.batches(integers, texts, quarantine)], how="diagonal_relaxed")
    frame = frame.with_columns(pl.col("row") + LINE_OF_FIRST_ROW)
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
            quarantine.add(
                "tables", path.name, f"row {frame['row'][at] + LINE_OF_FIRST_ROW}", str(frame[name][at])[:40], reason
            )
        if (surplus := int(unreadable.sum()) - SHOWN) > 0:
            quarantine.add("tables", path.name, "further rows", "", reason, surplus)
        wrong |= unreadable
    return frame.with_columns(integers).filter(~wrong)


def _empty(integers: Sequence[str], texts: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(
        schema={"row": pl.UInt32, **dict.fromkeys(integers, pl.Int64), **dict.fromkeys(texts, pl.String)}
    )


def _header(path: Path) -> list[str]:
    if path.name.lower().endswith(".parquet"):
        try:
            return list(pl.read_parquet_schema(path))
        except (pl.exceptions.ComputeError, OSError) as error:
            raise _damaged(path, 0, error) from error
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
            names = next(csv.reader(file), [])
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, 0, error) from error
    if not names:
        raise InputError(f"{path} is empty. Download it again.")
    return names


def _check_last_line(path: Path, fields: int) -> None:
    """Raise :class:`InputError` if the last line of a CSV file has fewer fields than the header.

    The parser would fill the others with null. It stops by itself at a quote that is never closed, and where the stream
    of a ``.csv.gz`` is cut.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL_BYTES))
        last = file.read().decode("utf-8", errors="replace").rstrip("\r\n").rpartition("\n")[2]
    found = len(next(csv.reader([last]), []))
    if found < fields and last.count('"') % 2 == 0:  # odd: the end of a text with a line break in it
        raise InputError(
            f"{path} ends in the middle of a line (byte {size}): the last line has {found} of {fields} fields. "
            "The file is cut; download it again."
        )


def _damaged(path: Path, rows: int, error: Exception) -> InputError:
    reason = str(error).split("\n")[0]
    return InputError(f"{path} cannot be read after row {rows}: {reason}. The file is cut or damaged; get it again.")
