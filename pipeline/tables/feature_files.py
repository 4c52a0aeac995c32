"""Tables that a user brings: CSV, Parquet or NPZ, each row with the id of its sample."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import InputError, MissingInputError, OmniFuseError
from ...cache_schema.errors import LONGEST_VALUE
from ...cache_schema.export.guarded import MOST_COLUMNS, check_claim, open_npz, to_dense
from ..source import Block, Quarantine
from .delimited import LINE, Delimited
from .delimited_text import require_file
from .excel import ENDING as EXCEL
from .excel import read_excel
from .missing import known
from .numerals import (
    POINT_GROUP,
    THOUSANDS,
    has_decimal_commas,
    marked_thousands,
    may_be_thousands,
    names_text,
    shown,
    with_points,
)
from .parquet import read_parquet

logger = logging.getLogger(__name__)

STAGE = "import"
SAMPLE_ID = "sample_id"
LINE_OF_FIRST_ROW = 2
"""As a text editor counts, with the header as line 1."""
DAMAGES = (Exception, pl.exceptions.PanicException)
"""What the readers of files raise when one is not what its name says, MemoryError included."""
LARGEST = 8
"""Bytes of the largest number that a table holds."""
LINE_BREAK = r"\r\n|\n|\r"
EXACT = 2**53
"""Whole numbers up to this size are exact as real ones."""
PlaceOf = Callable[[str, int], str]
"""Where a cell lies, by the name of its column and the index of its row: words for a person."""
TEXTS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


def read_table(path: Path, rows: int | None = None) -> pl.DataFrame:
    """Return a table, or only its first rows: text of a CSV file, numbers as they are of the others.

    Raises as :func:`read_numbered_table`.
    """
    return read_numbered_table(path, rows)[0]


def read_numbered_table(path: Path, rows: int | None = None) -> tuple[pl.DataFrame, pl.Series]:
    """Return a table, or only its first rows, and the line of each row as a text editor counts.

    Of files that are no text the first row counts as line 2. An NPZ file has the arrays ``sample_id`` [n], ``values``
    [n, D] and, if the columns have names, ``columns`` [D].

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If the file is of another kind or damaged, or has a row that cannot be read.
    """
    require_file(path)
    ending = _ending(path)
    with reading(path):
        if ending in TEXTS:
            table = Delimited.open(path).read(rows=rows)
            return table.drop(LINE), table[LINE]
        if ending == ".parquet":
            return numbered(read_parquet(path, rows))
        if ending == EXCEL:
            return numbered(read_excel(path, rows))
        if ending == ".npz":
            return numbered(_read_npz(path, rows))
    known = f"{', '.join(TEXTS)}, .parquet, {EXCEL}, .npz (arrays sample_id and values)"
    raise InputError(f"{path} cannot be imported; known are {known}.")


def numbered(table: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Return a table that is no text with the numbers of its rows, from 2, as if a header were the first."""
    return table, pl.int_range(LINE_OF_FIRST_ROW, len(table) + LINE_OF_FIRST_ROW, dtype=pl.Int64, eager=True)


def scan_table(path: Path) -> pl.LazyFrame:
    """Return a long table to be read in batches: text of a CSV file, values as they are of a Parquet file.

    The column :data:`LINE` has the line of each row, as :func:`read_numbered_table`.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If the file is of another kind; while it is read, if it has a row that cannot be.
    """
    require_file(path)
    ending = _ending(path)
    if ending in TEXTS:
        return Delimited.open(path).scan()
    if ending == ".parquet":
        return pl.scan_parquet(path, glob=False, row_index_name=LINE, row_index_offset=LINE_OF_FIRST_ROW)
    if ending == EXCEL:
        with reading(path):
            return read_excel(path).lazy().with_row_index(LINE, LINE_OF_FIRST_ROW)
    raise InputError(f"{path} cannot be read as a long table; known are {', '.join(TEXTS)}, .parquet, {EXCEL}.")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn errors of a file that is damaged, or not of the kind that its name says, into :class:`InputError`."""
    try:
        yield
    except OmniFuseError:
        raise
    except DAMAGES as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{path} cannot be read: {reason}. Is the file complete, and what its name says?") from error


def _ending(path: Path) -> str:
    return next((ending for ending in TEXTS if path.name.lower().endswith(ending)), path.suffix.lower())


def _read_npz(path: Path, rows: int | None) -> pl.DataFrame:
    with open_npz(path) as file:
        if missing := [name for name in (SAMPLE_ID, "values") if name not in file]:
            raise InputError(f"{path} has no array {missing[0]}; it has {', '.join(file.names)[:80]}.")
        names = file["columns"][()] if "columns" in file else None
        return matrix_table(_npz_ids(file[SAMPLE_ID][()], path), file["values"], names, path, rows)


def _npz_ids(ids: npt.NDArray[Any], path: Path) -> list[str]:
    whole = ids.dtype.kind in "USiu" or (
        ids.dtype.kind == "f" and bool((abs(ids) <= EXACT).all()) and not (ids % 1).any()
    )
    if ids.ndim != 1 or not whole:
        raise InputError(f"{path}: {SAMPLE_ID} is {ids.dtype}{list(ids.shape)}, neither texts nor whole numbers.")
    return list(map(str, (ids.astype(np.int64) if ids.dtype.kind == "f" else ids.astype(str)).tolist()))


def matrix_table(ids: Sequence[Any], values: Any, names: Any, path: Path, rows: int | None) -> pl.DataFrame:
    """Return a matrix ``[n, D]`` and the ids ``[n]`` of its rows as a table, or only its first rows.

    ``values`` is an array, or something that is read when it is sliced; ``names`` ``[D]``, None: columns are numbered.

    Raises
    ------
    InputError
        If lengths or types do not fit, two columns have one name, or the matrix claims more than its file can hold.
    """
    shape: tuple[int, ...] = values.shape or ()
    if len(shape) != 2 or shape[0] != len(ids):
        raise InputError(f"{path}: the values have the shape {shape}; expected a row for each of {len(ids)} ids.")
    if values.dtype.kind not in "fiub":
        raise InputError(f"{path}: the values are of type {str(values.dtype)[:80]}, not numbers.")
    if shape[1] > MOST_COLUMNS:
        raise InputError(f"{path} has {shape[1]:,} columns; at most {MOST_COLUMNS:,} can be imported.")
    check_claim(
        path, f"the matrix of {shape[0]:,} rows and {shape[1]:,} columns", values.dtype.itemsize * math.prod(shape)
    )
    given = range(shape[1]) if names is None else names
    columns = [name.decode() if isinstance(name, bytes) else str(name) for name in given]
    if len(columns) != shape[1]:
        raise InputError(f"{path}: {len(columns)} names do not go with {shape[1]} columns.")
    if repeated := [name for name, count in Counter([SAMPLE_ID, *columns]).items() if count > 1]:
        raise InputError(f"{path} has two columns {repeated[0][:80]!r}; make their names unique.")
    dense = to_dense(values[:rows]) if rows != 0 else np.empty((0, len(columns)), values.dtype)
    kind = np.uint8 if dense.dtype == bool else np.float64 if dense.dtype.itemsize > LARGEST else dense.dtype
    table = pl.from_numpy(dense.astype(np.dtype(kind).newbyteorder("=")), schema=columns, orient="row")
    table.columns = columns  # a column without a name gets one otherwise
    return table.insert_column(0, pl.Series(SAMPLE_ID, list(map(str, ids[:rows])), dtype=pl.String))


def require_columns(table: pl.DataFrame, names: Sequence[str], path: Path) -> None:
    """Raise :class:`MissingInputError` unless the table has all these columns."""
    if missing := [name for name in names if name not in table.columns]:
        names_found = (" ".join(name.split())[: LONGEST_VALUE // 2] for name in table.columns[:8])
        found = ", ".join(names_found) + (", …" if len(table.columns) > 8 else "")
        raise MissingInputError(f"{path} has no column {missing[0]!r}; it has {found}.")


def as_text(column: pl.Series) -> pl.Series:
    """Return a column as trimmed text, null where missing; real numbers that are all whole ones without ``.0``."""
    if column.dtype.is_float():
        column = column.fill_nan(None)
        if not (column.is_infinite() | (column != column.round()) | (column.abs() > EXACT)).any():
            column = column.cast(pl.Int64)
    return pl.select(text_of(pl.lit(column))).to_series().alias(column.name)


def text_of(column: pl.Expr) -> pl.Expr:
    """Return an expression as trimmed text, null where missing."""
    return known(column.cast(pl.String))


def row_of(line: int) -> str:
    """Return where a row lies in its file, in words."""
    return f"row {line}"


def cell_lines(table: pl.DataFrame, lines: pl.Series, column: str) -> pl.Series:
    """Return the line on which each cell of a column begins: cells before it in the row may have line breaks.

    ``lines`` are those on which the rows of ``table`` begin, whose columns are in the order of the file.
    """
    before = [name for name in table.columns[: table.columns.index(column)] if table[name].dtype == pl.String]
    breaks = (pl.col(name).str.count_matches(LINE_BREAK).fill_null(0) for name in before)
    return lines + table.select(pl.sum_horizontal(pl.lit(0), *breaks).cast(pl.Int64)).to_series()


def read_numbers(
    columns: Sequence[pl.Series], place_of: PlaceOf, path: Path, quarantine: Quarantine
) -> npt.NDArray[np.float32]:
    """Return columns as float32 ``[n, D]``, NaN where missing; what is no finite number is quarantined.

    ``place_of`` says where a cell lies. A column whose numbers have a decimal comma is read as such, which is said.

    Raises
    ------
    InputError
        If a column holds no number at all, or its commas can be read in two ways.
    """
    numbers = np.empty((len(columns[0]) if columns else 0, len(columns)), dtype=np.float32)
    with_commas = []
    for place, column in enumerate(columns):
        if column.dtype == pl.Boolean:
            column = column.cast(pl.UInt8)
        cells = column if column.dtype.is_numeric() else as_text(column)
        if cells.dtype == pl.String and has_decimal_commas(cells, place_of, path):
            with_commas.append(column.name)
            numbers[:, place] = _finite(with_points(cells), cells, place_of, path, quarantine)
        else:
            numbers[:, place] = _finite(cells, cells, place_of, path, quarantine)
    if with_commas:
        logger.warning("%s: decimal commas are read as points: %s.", path.name, names_text(with_commas))
    return numbers


def _finite(
    cells: pl.Series, written: pl.Series, place_of: PlaceOf, path: Path, quarantine: Quarantine
) -> npt.NDArray[np.float32]:
    """Return the numbers ``[n]`` of a column; ``written`` are its cells as they stand in the file."""
    numbers = cells.cast(pl.Float32, strict=False).to_numpy().astype(np.float32)  # a copy, NaN where null
    said = cells.is_not_null().to_numpy() if cells.dtype == pl.String else np.isinf(numbers)
    wrong = np.flatnonzero(said & ~np.isfinite(numbers))
    if len(wrong) and written.dtype == pl.String:
        marked = wrong[written[wrong].str.contains(THOUSANDS).to_numpy()]
        if len(marked) and written.str.contains(POINT_GROUP).any():
            at = int(marked[0])
            raise marked_thousands(path, written.name, f"{place_of(written.name, at)}: {written[at]!r}")
    if written.dtype == pl.String and pl.select(may_be_thousands(pl.lit(written))).item():
        at = written.str.contains(POINT_GROUP).arg_max() or 0
        raise marked_thousands(path, written.name, f"{place_of(written.name, at)}: {written[at]!r}")
    if len(wrong) and not np.isfinite(numbers).any():
        at = int(wrong[0])
        example = f"{place_of(cells.name, at)}: {str(written[at])[:40]!r}"
        raise InputError(
            f"{path}: the column {cells.name!r} holds no number ({example}). "
            "Leave it out, or call it cat:NAME if these are categories."
        )
    for at in map(int, wrong):
        quarantine.add(
            STAGE, path.name, f"{place_of(cells.name, at)}, {cells.name}", shown(written[at]), "no finite number"
        )
    numbers[wrong] = np.nan
    return numbers


def feature_block(sample_ids: pl.Series, values: npt.NDArray[np.float32]) -> Block:
    """Return one row of features ``[n, D]`` for each sample that has any number."""
    some = ~np.isnan(values).all(axis=1)
    lengths, time = np.ones(int(some.sum()), dtype=np.int64), np.full(int(some.sum()), np.nan, dtype=np.float32)
    return Block(sample_ids.to_numpy()[some], lengths, values[some], time)
