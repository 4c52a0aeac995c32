"""Times and other values of small tables: what cannot be read is quarantined, a column of another format is refused."""

from collections.abc import Sequence

import polars as pl

from ....cache_schema import InputError
from ...series.times import seconds
from ...source import Quarantine
from .tables import Table

STAGE = "tables"
SHOWN_SIGNS = 80
USUAL = "2150-03-01 10:00:00, local and without a zone"
DATE = r"^\s*\d{4}-\d{2}-\d{2}\s*$"


def read_times(
    frame: pl.DataFrame, names: Sequence[str], table: Table, quarantine: Quarantine, needed: Sequence[str] = ()
) -> pl.DataFrame:
    """Turn columns into seconds; an unreadable time becomes null and is quarantined.

    ``frame`` has the column ``row``, the line of each row. Raises :class:`InputError` where no time of a column can be
    read: of one that is ``needed`` if any is written, of another if several are.
    """
    for name in names:
        times = seconds(frame[name])
        refuse_other_format(frame, name, times, table, 1 if name in needed else 2)
        quarantine_values(frame, name, times.is_null(), f"{name} is no date and time", table, quarantine)
        frame = frame.with_columns(times.alias(name))
    return frame


def refuse_other_format(
    frame: pl.DataFrame, name: str, times: pl.Series, table: Table, at_least: int = 2, form: str = USUAL
) -> None:
    """Raise :class:`InputError` where at least so many times of a column are written and none was read.

    ``times`` ``[N]`` is what was read of ``frame[name]``, null where it could not be; ``form`` is what was expected.
    """
    if times.null_count() < len(times):
        return
    written = _written(frame, name)
    if len(written) >= at_least:
        row, value = written.select("row", name).row(0)
        raise InputError(
            f"{table.path}: {name.upper()} of row {row}, {str(value)[:SHOWN_SIGNS]!r}, cannot be read, nor can any "
            f"other one. MIMIC writes it as {form}; export the table so, or take the original one."
        )


def refuse_dates(frame: pl.DataFrame, name: str, table: Table) -> None:
    """Raise :class:`InputError` where several times of a column are written and all of them are dates alone."""
    written = _written(frame, name)
    kind = written[name].dtype
    if len(written) > 1 and (kind == pl.Date or (kind == pl.String and written[name].str.contains(DATE).all())):
        raise InputError(
            f"{table.path}: {name.upper()} of row {written['row'][0]}, {str(written[name][0])[:SHOWN_SIGNS]!r}, has no "
            f"time of day, nor has any other one. MIMIC writes it as {USUAL}; take the original table."
        )


def refuse_events_in_another_format(batch: pl.DataFrame, table: Table) -> None:
    """Raise :class:`InputError` where of the first events of a table no CHARTTIME can be read or all are dates."""
    head = batch.head(1000)
    refuse_dates(head, "charttime", table)
    refuse_other_format(head, "charttime", seconds(head["charttime"]), table)


def quarantine_values(
    frame: pl.DataFrame, name: str, where: pl.Series, reason: str, table: Table, quarantine: Quarantine
) -> None:
    """Quarantine the non-empty values of a column in the rows of a mask."""
    for row in _written(frame.filter(where), name).select("row", name).iter_rows(named=True):
        quarantine.add(STAGE, table.path.name, f"row {row['row']}", str(row[name])[:SHOWN_SIGNS], reason)


def _written(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the rows in which something stands."""
    written = frame.drop_nulls(name)
    return written.filter(pl.col(name) != "") if frame[name].dtype == pl.String else written
