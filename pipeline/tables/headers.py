"""Columns that programs add when they write a table, and that nobody meant as a feature."""

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ...cache_schema import InputError
from ..source import Quarantine

ROW_NUMBERS = re.compile(r"|Unnamed: \d+([._]\w+)*|__index_level_\d+__|level_\d+|\.\.\.\d+|row[._]?names")
"""A column without a name (R), and what pandas, pyarrow and readr call it."""

COUNTING = ("X", "index")
"""What R and pandas call the numbers of rows when they read and write a table once more; features can be called so."""
FEWEST_COUNTED = 3
"""Of fewer rows nothing tells a count from features."""

REPEATED = re.compile(r"(.+)_duplicated_\d+")
"""What polars calls the second column of a name."""


def is_row_number(name: str) -> bool:
    """Return whether a column is called as programs call the numbers or names of rows."""
    return ROW_NUMBERS.fullmatch(name) is not None


def counts_rows(column: pl.Series) -> bool:
    """Return whether a column that can be one of row numbers counts its rows from 0 or from 1."""
    if column.name not in COUNTING or len(column) < FEWEST_COUNTED:
        return False
    steps = column.cast(pl.Float64, strict=False) - pl.int_range(len(column), eager=True)
    return bool(steps[0] in (0, 1) and (steps == steps[0]).all() and not steps.null_count())


def meant_columns(names: Sequence[str], path: Path) -> list[str]:
    """Return the columns without those of row numbers.

    Raises
    ------
    InputError
        If a column is the second of one name, renamed by the program that wrote the table.
    """
    for name in names:
        if (repeated := REPEATED.fullmatch(name)) and repeated[1] in names:
            raise InputError(f"{path} has two columns {repeated[1]!r}, one of them renamed to {name!r}; keep one.")
    return [name for name in names if not is_row_number(name)]


def say_left_out(names: Sequence[str], stage: str, path: Path, quarantine: Quarantine) -> None:
    """Put columns of row numbers, which are left out, into the quarantine."""
    for name in names:
        quarantine.add(stage, path.name, f"column {name!r}", "", "a column of row numbers or names, no feature")
