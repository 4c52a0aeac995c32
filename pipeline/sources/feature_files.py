"""Tables that a user brings: CSV, Parquet or NPZ, each row with the id of its sample."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import InputError, MissingInputError
from ..source import Block, Quarantine

STAGE = "import"
SAMPLE_ID = "sample_id"
LINE_OF_FIRST_ROW = 2
"""As a text editor counts, with the header as line 1."""
SEPARATORS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}


def read_table(path: Path, rows: int | None = None) -> pl.DataFrame:
    """Return a table, or only its first rows: text of a CSV file, numbers as they are of the others.

    An NPZ file has the arrays ``sample_id`` [n], ``values`` [n, D] and, if the columns have names, ``columns`` [D].

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If the file is of another kind, damaged, or a row has more fields than the header.
    """
    if not path.is_file():
        raise MissingInputError(f"There is no file {path}.")
    ending = next((ending for ending in SEPARATORS if path.name.lower().endswith(ending)), path.suffix.lower())
    try:
        if ending in SEPARATORS:
            return pl.read_csv(path, infer_schema=False, n_rows=rows, separator=SEPARATORS[ending])
        if ending == ".parquet":
            return pl.read_parquet(path, n_rows=rows)
        if ending == ".npz":
            return _read_npz(path)
    except (pl.exceptions.PolarsError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    known = f"{', '.join(SEPARATORS)}, .parquet, .npz (arrays sample_id and values)"
    raise InputError(f"{path} cannot be imported; known are {known}.")


def _read_npz(path: Path) -> pl.DataFrame:
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    if missing := [name for name in (SAMPLE_ID, "values") if name not in arrays]:
        raise InputError(f"{path} has no array {missing[0]}; it has {', '.join(arrays)}.")
    ids, values = arrays[SAMPLE_ID], arrays["values"]
    if values.ndim != 2 or len(values) != len(ids):
        raise InputError(f"{path}: values has the shape {values.shape}; expected one row for each of {len(ids)} ids.")
    names = arrays.get("columns", np.arange(values.shape[1])).astype(str)
    return pl.DataFrame({SAMPLE_ID: ids, **{str(name): values[:, i] for i, name in enumerate(names)}})


def require_columns(table: pl.DataFrame, names: Sequence[str], path: Path) -> None:
    """Raise :class:`MissingInputError` unless the table has all these columns."""
    if missing := [name for name in names if name not in table.columns]:
        found = ", ".join(table.columns[:8]) + (", …" if len(table.columns) > 8 else "")
        raise MissingInputError(f"{path} has no column {missing[0]!r}; it has {found}.")


def as_text(column: pl.Series) -> pl.Series:
    """Return a column as trimmed text, null where empty."""
    return pl.select(pl.lit(column).cast(pl.String).str.strip_chars().replace("", None)).to_series()


def row_of(position: int) -> str:
    """Return where a row lies in its file, as a text editor counts."""
    return f"row {position + LINE_OF_FIRST_ROW}"


def read_numbers(
    column: pl.Series, places: Sequence[str], path: Path, quarantine: Quarantine
) -> npt.NDArray[np.float32]:
    """Return a column as float32 ``[n]``, NaN where unknown; what is no finite number is quarantined.

    ``places`` says where each row lies. Raises :class:`InputError` if the column holds no number at all.
    """
    text = as_text(column)
    numbers = text.cast(pl.Float32, strict=False)
    wrong = text.is_not_null() & ~numbers.is_finite().fill_null(False) & ~text.str.to_lowercase().is_in(["nan", "na"])
    if wrong.any() and not numbers.is_finite().any():
        at = int(wrong.arg_true()[0])
        raise InputError(
            f"{path}: the column {column.name!r} holds no number ({places[at]}: {text[at][:40]!r}). Leave it out, "
            "or write categories as columns of 0 and 1."
        )
    for at in wrong.arg_true():
        quarantine.add(STAGE, path.name, f"{places[at]}, {column.name}", text[at][:40], "no finite number")
    finite = numbers.set(wrong, None).fill_null(np.nan)
    return finite.to_numpy().astype(np.float32)


def feature_block(sample_ids: pl.Series, values: npt.NDArray[np.float32]) -> Block:
    """Return one row of features ``[n, D]`` for each sample that has any number."""
    some = ~np.isnan(values).all(axis=1)
    lengths, time = np.ones(int(some.sum()), dtype=np.int64), np.full(int(some.sum()), np.nan, dtype=np.float32)
    return Block(sample_ids.to_numpy()[some], lengths, values[some], time)
