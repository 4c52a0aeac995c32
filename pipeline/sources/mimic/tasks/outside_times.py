"""The times in a table of labels, and how rows of it are refused."""

from pathlib import Path

import polars as pl

from .....cache_schema import InputError, shown
from ....series.times import moments
from ....tables.feature_files import as_text, row_of
from ....tables.outcomes import rows_text

TIME, HOURS, WINDOW_START, WINDOW_END = "prediction_time", "prediction_hours", "window_start", "window_end"


def read_times(path: Path, table: pl.DataFrame, name: str, lines: pl.Series) -> pl.Series:
    """Return a column of times in seconds, null where there is none; raises InputError where one cannot be read."""
    if name not in table.columns:
        return pl.Series(name, [None] * len(table), dtype=pl.Int64)
    times = moments(table[name]).dt.epoch("s")
    written = table[name].is_not_null() & (as_text(table[name]).fill_null("") != "")
    refuse_rows(path, table[name], times.is_null() & written, lines, f"{name} is no date and time without a zone")
    if name == TIME:
        refuse_rows(path, table[name], times.is_null(), lines, f"{name} is empty")
    return times


def read_hours(path: Path, table: pl.DataFrame, lines: pl.Series) -> pl.Series:
    """Return the hours of predictions since the beginning of stays, null where there is no such column."""
    if HOURS not in table.columns:
        return pl.Series(HOURS, [None] * len(table), dtype=pl.Float64)
    if TIME in table.columns:
        raise InputError(f"{path} has both {TIME} and {HOURS}; keep one.")
    hours = table[HOURS].cast(pl.Float64, strict=False)
    refuse_rows(path, table[HOURS], ~hours.is_finite().fill_null(False), lines, f"{HOURS} is no number")
    return hours


def refuse_rows(path: Path, values: pl.Series, wrong: pl.Series, lines: pl.Series, reason: str) -> None:
    """Raise :class:`InputError` for the rows that are wrong, with the value of the first."""
    if wrong.any():
        at = wrong.arg_true()
        rows = rows_text(lines[at]) if len(at) > 1 else row_of(lines[int(at[0])])
        raise InputError(f"{path}, {rows}: {reason} ({shown(str(values[int(at[0])]))}).")
