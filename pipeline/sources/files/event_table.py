"""Timed events of a user's long table, one row an event, as bins since the t0 of each sample."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from ....cache_schema import InputError
from ....progress import progress
from ...series.bins import bin_index
from ...series.event_block import by_subject, event_block, event_columns, portions
from ...series.times import moments
from ...source import Block, Quarantine, TableModality
from ...tables.delimited import LINE
from ...tables.feature_files import SAMPLE_ID, STAGE, as_text, reading, require_columns, row_of, scan_table
from ...tables.ids import are_whole, refuse_unjoined, without_point
from ...tables.missing import known, trimmed
from ...tables.numerals import (
    COMMA,
    POINT_GROUP,
    THOUSANDS,
    Commas,
    marked_thousands,
    may_be_thousands,
    points_of,
    shown,
    with_points,
)
from ...tables.sample_table import SampleTable

logger = logging.getLogger(__name__)

VERSION = 3
"""To be raised whenever the same table would give another result."""

COLUMNS = (SAMPLE_ID, "time", "variable", "value")
MOST_VARIABLES = 1000
LONGEST_HOURS = 24_000.0
"""A thousand days: a slip of the pen must not make millions of bins."""
ROWS_AT_ONCE = 150_000
ROWS_TRIED = 1000
"""Of the first rows one must have a time that can be read."""
MICROSECONDS_PER_HOUR = 3.6e9
NO_VARIABLE = "no variable"
SHOWN = 40
WRITE_TIMES = "Write them as 2020-01-31 12:00:00, in the local time of the patient, without a zone."


@dataclass(frozen=True)
class Starts:
    """When samples begin. ``frame`` has sample (the running number), text (its id) and t0.

    ``every_id`` are the ids of the whole table of samples, whatever is extracted.
    ``path`` is the table that gives t0 as date and time; None: events say their hours since t0.
    """

    sample_ids: pl.Series
    frame: pl.DataFrame
    every_id: pl.Series
    path: Path | None

    @classmethod
    def read(cls, samples: SampleTable, column: str | None, path: Path, quarantine: Quarantine) -> "Starts":
        """Take t0 from a column of the table of samples; what is no date and time is quarantined.

        Raises
        ------
        InputError
            If none of it is.
        """
        t0 = pl.Series([None] * len(samples.texts), dtype=pl.Datetime("us"))
        if column is not None:
            written = as_text(samples.table[column])
            t0 = moments(written)
            wrong = (t0.is_null() & written.is_not_null()).arg_true()
            if len(wrong) and not t0.count():
                at = int(wrong[0])
                raise InputError(
                    f"{path}: no {column} is a date and time that can be read ({samples.place_of(column, at)}: "
                    f"{written[at][:SHOWN]!r}). {WRITE_TIMES}"
                )
            for at in wrong:
                quarantine.add(STAGE, path.name, samples.place_of(column, at), "", f"{column} is no date and time")
        frame = pl.DataFrame({"text": samples.texts, "t0": t0}).with_row_index("sample")
        return cls(samples.frame[SAMPLE_ID], frame, samples.every_id, None if column is None else path)


@dataclass(frozen=True)
class EventTable:
    """A long table with sample_id, time, variable and value that becomes the modality ``name``.

    ``variables`` are those to read, in the order of the columns; None: all, in alphabetical order.
    """

    name: str
    path: Path
    variables: tuple[str, ...] | None
    bin_hours: float

    def require_columns(self) -> None:
        """Raise :class:`InputError` unless the file is a table with the columns of events."""
        with reading(self.path):
            header = scan_table(self.path).head(0).drop(LINE).collect()
        require_columns(header, COLUMNS, self.path)

    def settings(self) -> dict[str, Any]:
        """Return what else than the file decides the modality."""
        return {"variables": list(self.variables) if self.variables else None, "bin_hours": self.bin_hours}

    def modality(self, starts: Starts) -> TableModality:
        """Return the modality.

        Raises
        ------
        InputError
            If the table has no variable or too many, or no time in it can be read.
        """
        self._check_times(dated=starts.path is not None)
        variables = self.variables or self._all_variables()
        recipe: dict[str, Any] = {"files": VERSION, "variables": list(variables), "bin_hours": self.bin_hours}
        recipe["value"] = "last of the bin, carried forward"
        columns = event_columns((variable, "") for variable in variables)
        inputs = (self.path,) if starts.path is None else (self.path, starts.path)
        meaning = f"{self.bin_hours:g} hours since t0"
        blocks = partial(self._blocks, variables, starts)
        return TableModality(self.name, "timeseries", columns, meaning, recipe, inputs, blocks)

    def _rows(self) -> pl.LazyFrame:
        """Return row (its line), and everything else as trimmed text, null where empty.

        ``variable`` is null where missing, and stands as it is in ``written``. Words for missing of the other columns
        are looked for where they matter, among the few cells that are no numbers: that takes time.
        """
        text = {name: pl.col(name).cast(pl.String) for name in COLUMNS}
        kept = [trimmed(text[name]) for name in (SAMPLE_ID, "time", "value")]
        return scan_table(self.path).select(
            pl.col(LINE).alias("row"), *kept, known(text["variable"]), written=text["variable"]
        )

    def _check_times(self, *, dated: bool) -> None:
        with reading(self.path):
            tried = self._rows().head(ROWS_TRIED).select("row", known(pl.col("time"))).collect()
        said = tried.drop_nulls("time")
        if said.is_empty() or _read_times(said["time"], dated=dated).count():
            return
        row, time = said.row(0)
        meaning = "a date and time, as t0 of the samples is" if dated else "a number of hours since t0"
        mend = WRITE_TIMES if dated else "Write them so, or dates and times here and in a column t0 of the samples."
        raise InputError(
            f"{self.path}: none of the first {len(tried):,} times is {meaning} ({row_of(row)}: {time[:SHOWN]!r}). "
            f"{mend}"
        )

    def _all_variables(self) -> tuple[str, ...]:
        with reading(self.path):
            found = self._rows().select("variable").drop_nulls().unique().collect(engine="streaming")["variable"]
        if not 0 < len(found) <= MOST_VARIABLES:
            raise InputError(
                f"{self.path} has {len(found):,} variables; expected 1 to {MOST_VARIABLES:,}. Name those to use in a "
                f"YAML file, `events:{self.name}: [HR, Temp]`, given with --columns."
            )
        return tuple(found.sort())

    def _blocks(self, variables: Sequence[str], starts: Starts, quarantine: Quarantine) -> Iterator[Block]:
        """Yield the bins from t0 to the last event of each sample, some samples at a time."""
        ids = starts.sample_ids.to_numpy()
        for events in by_subject(self._events(variables, starts, quarantine), len(ids)):
            ordered = events.sort("sample", "hours", "row")
            last = ordered.group_by("sample", maintain_order=True).agg(pl.col("hours").last())["hours"]
            cells = (bin_index(last.to_numpy(), self.bin_hours) + 1) * len(variables)
            for samples, some in portions(ordered, cells):
                block = event_block(samples, some, len(variables), self.bin_hours, quarantine)
                yield replace(block, sample_ids=ids[samples])

    def _events(self, variables: Sequence[str], starts: Starts, quarantine: Quarantine) -> Iterator[pl.DataFrame]:
        """Yield the usable events: subject and sample (both the number of the sample), row, hours, column, value."""
        column = pl.DataFrame({"variable": variables}, schema={"variable": pl.String}).with_row_index("column")
        wanted = pl.col("variable").is_in(list(variables)) | pl.col("variable").is_null()
        rows = self._rows().filter(wanted)
        if are_whole(starts.every_id):
            rows = rows.with_columns(without_point(pl.col(SAMPLE_ID)))
        marks = _Marks(self._rows(), self.path, ("value",) if starts.path else ("value", "time"))
        first, joined = None, False
        with progress(name=self.path.name, unit="rows") as bar, reading(self.path):
            for batch in rows.collect_batches(chunk_size=ROWS_AT_ONCE):
                bar.update(len(batch))
                batch = marks.replaced(batch)
                first = batch[SAMPLE_ID] if first is None else first
                joined = joined or bool(batch[SAMPLE_ID].is_in(starts.every_id.implode()).any())
                usable = _usable(batch, starts, marks, quarantine).join(column, on="variable")
                yield usable.select("sample", "row", "hours", "column", "value", subject="sample")
        if first is not None and not joined:
            refuse_unjoined(self.path, first, starts.every_id)


class _Marks:
    """Writes points for the decimal commas of batches; what marks are, the whole table says at the first."""

    def __init__(self, rows: pl.LazyFrame, path: Path, columns: Sequence[str]) -> None:
        self.rows, self.path = rows, path
        self.unknown, self.decimal = set(columns), set[str]()
        self.looked = False

    def replaced(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Return a batch of the table with points; raises :class:`InputError` as :meth:`Commas.are_decimal`."""
        if not self.looked:
            self.looked = True
            self._refuse_groups(batch)
        for name in sorted(self.unknown):
            if batch[name].str.contains(",", literal=True).any():
                written = batch.filter(pl.col(name).str.contains(COMMA))
                if len(written):
                    self._decide(name, f"{row_of(written['row'][0])}: {written[name][0][:SHOWN]!r}")
        return batch.with_columns(points_of(pl.col(name)) for name in sorted(self.decimal))

    def _decide(self, name: str, example: str) -> None:
        self.unknown.remove(name)
        counts = Commas(*self.rows.select(Commas.counts(pl.col(name))).collect(engine="streaming").row(0))
        if counts.are_decimal(self.path, name, example):
            logger.warning("%s: decimal commas are read as points: %s.", self.path.name, name)
            self.decimal.add(name)

    def _refuse_groups(self, batch: pl.DataFrame) -> None:
        """Raise :class:`InputError` if all numbers of a variable may have points between thousands."""
        marked = batch.group_by("variable").agg(may_be_thousands(pl.col("value")).alias("marked")).filter("marked")
        of_one = batch.filter(pl.col("variable").is_in(marked["variable"].implode()))
        for row, value in (
            of_one.filter(pl.col("value").str.contains(POINT_GROUP)).select("row", "value").head(1).rows()
        ):
            raise marked_thousands(self.path, "value", f"{row_of(row)}: {value!r}")

    def refuse_thousands(self, left_out: pl.DataFrame) -> None:
        """Raise :class:`InputError` if some of the values ``said`` have points between thousands, and others may."""
        marked = left_out.filter(pl.col("said").str.contains(THOUSANDS))
        alike = self.rows.filter(pl.col("variable").is_in(marked["variable"].implode()))
        if len(marked) and len(alike.filter(pl.col("value").str.contains(POINT_GROUP)).head(1).collect()):
            row = marked.row(0, named=True)
            raise marked_thousands(self.path, "value", f"{row_of(row['row'])}: {row['said']!r}")


def _usable(batch: pl.DataFrame, starts: Starts, marks: _Marks, quarantine: Quarantine) -> pl.DataFrame:
    """Add sample, hours since t0 and value of each event; quarantine those that have no place or no number."""
    path = marks.path
    events = batch.join(starts.frame, left_on=SAMPLE_ID, right_on="text", how="left", maintain_order="left")
    number = pl.col("value").cast(pl.Float32, strict=False).cast(pl.Float64)  # as it will be stored
    events = events.with_columns(_hours(events, starts).alias("hours"), value=number, said=pl.col("value"))
    problems = {
        "the sample is not among those extracted": pl.col("sample").is_null(),
        NO_VARIABLE: pl.col("variable").is_null(),
        "the sample has no t0": pl.col("t0").is_null() & (starts.path is not None),
        "the time cannot be read": ~pl.col("hours").is_finite().fill_null(False),
        "before t0": pl.col("hours") < 0,
        f"more than {LONGEST_HOURS:,.0f} hours after t0": pl.col("hours") > LONGEST_HOURS,
    }
    for reason, wrong in problems.items():
        left_out = events.filter(wrong)
        if len(left_out):
            word = left_out["written"][0] if reason == NO_VARIABLE else None
            quarantine.add(STAGE, path.name, row_of(left_out["row"][0]), (word or "").strip(), reason, len(left_out))
            events = events.filter(~wrong)
    finite = pl.col("value").is_finite().fill_null(False)
    left_out = events.filter(~finite).with_columns(known(pl.col("said"))).drop_nulls("said")
    if len(left_out):
        marks.refuse_thousands(left_out)
        row = left_out.row(0, named=True)
        place = f"{row_of(row['row'])}, {row['variable']}"
        quarantine.add(STAGE, path.name, place, shown(row["said"]), "no finite number", len(left_out))
    return events.filter(finite)


def _read_times(times: pl.Series, *, dated: bool) -> pl.Series:
    """Return texts as dates and times or as hours, null where they are none."""
    return moments(times) if dated else with_points(times).cast(pl.Float64, strict=False)


def _hours(events: pl.DataFrame, starts: Starts) -> pl.Series:
    if starts.path is None:
        return events["time"].cast(pl.Float64, strict=False)
    return (moments(events["time"]) - events["t0"]).dt.total_microseconds() / MICROSECONDS_PER_HOUR
