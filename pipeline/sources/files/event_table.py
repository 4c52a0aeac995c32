"""Timed events of a user's long table, one row an event, as bins since the t0 of each sample."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from tqdm import tqdm

from ....cache_schema import InputError
from ...ehr.bins import bin_index
from ...ehr.event_block import by_subject, event_block, event_columns, portions
from ...ehr.times import moments
from ...source import Block, Quarantine, TableModality
from ..feature_files import SAMPLE_ID, STAGE, as_text, reading, require_columns, row_of, scan_table, text_of
from ..sample_table import SampleTable

VERSION = 1
"""To be raised whenever the same table would give another result."""

COLUMNS = (SAMPLE_ID, "time", "variable", "value")
MOST_VARIABLES = 1000
LONGEST_HOURS = 24_000.0
"""A thousand days: a slip of the pen must not make millions of bins."""
ROWS_AT_ONCE = 150_000
ROWS_TRIED = 1000
"""Of the first rows one must have a time that can be read."""
MICROSECONDS_PER_HOUR = 3.6e9
UNKNOWN = ("nan", "na")


@dataclass(frozen=True)
class Starts:
    """When samples begin. ``frame`` has sample (the running number), text (its id) and t0.

    ``path`` is the table that gives t0 as date and time; None: events say their hours since t0.
    """

    sample_ids: pl.Series
    frame: pl.DataFrame
    path: Path | None

    @classmethod
    def read(cls, samples: SampleTable, column: str | None, path: Path, quarantine: Quarantine) -> "Starts":
        """Take t0 from a column of the table of samples; what is no date and time is quarantined."""
        t0 = pl.Series([None] * len(samples.texts), dtype=pl.Datetime("us"))
        if column is not None:
            written = as_text(samples.table[column])
            t0 = moments(written)
            for at in (t0.is_null() & written.is_not_null()).arg_true():
                quarantine.add(STAGE, path.name, row_of(samples.positions[at]), "", f"{column} is no date and time")
        frame = pl.DataFrame({"text": samples.texts, "t0": t0}).with_row_index("sample")
        return cls(samples.frame[SAMPLE_ID], frame, None if column is None else path)


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
            header = scan_table(self.path).head(0).collect()
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
        """Return row (from 0), and everything else as trimmed text, null where empty."""
        return scan_table(self.path).select(text_of(pl.col(name)) for name in COLUMNS).with_row_index("row")

    def _check_times(self, *, dated: bool) -> None:
        with reading(self.path):
            tried = self._rows().head(ROWS_TRIED).collect()["time"]
        if tried.is_empty() or (moments(tried) if dated else tried.cast(pl.Float64, strict=False)).count():
            return
        meaning = "a date and time, as t0 of the samples is" if dated else "a number of hours since t0"
        mend = "Write them so" if dated else "Write them so, or dates and times here and in a column t0 of the samples"
        raise InputError(f"{self.path}: none of the first {len(tried):,} times is {meaning}. {mend}.")

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
        with tqdm(desc=self.path.name, unit=" rows", unit_scale=True, disable=None) as progress, reading(self.path):
            for batch in self._rows().filter(wanted).collect_batches(chunk_size=ROWS_AT_ONCE):
                progress.update(len(batch))
                usable = _usable(batch, starts, self.path, quarantine).join(column, on="variable")
                yield usable.select("sample", "row", "hours", "column", "value", subject="sample")


def _usable(batch: pl.DataFrame, starts: Starts, path: Path, quarantine: Quarantine) -> pl.DataFrame:
    """Add sample, hours since t0 and value of each event; quarantine those that have no place or no number."""
    events = batch.join(starts.frame, left_on=SAMPLE_ID, right_on="text", how="left", maintain_order="left")
    number = pl.col("value").cast(pl.Float64, strict=False)
    unknown = pl.col("value").str.to_lowercase().is_in(UNKNOWN)
    events = events.with_columns(_hours(events, starts).alias("hours"), value=number, unknown=unknown.fill_null(True))
    problems = {
        "the sample is not among those extracted": pl.col("sample").is_null(),
        "no variable": pl.col("variable").is_null(),
        "the sample has no t0": pl.col("t0").is_null() & (starts.path is not None),
        "the time cannot be read": ~pl.col("hours").is_finite().fill_null(False),
        "before t0": pl.col("hours") < 0,
        f"more than {LONGEST_HOURS:,.0f} hours after t0": pl.col("hours") > LONGEST_HOURS,
        "no finite number": ~pl.col("unknown") & ~pl.col("value").is_finite().fill_null(False),
    }
    for reason, wrong in problems.items():
        left_out = events.filter(wrong)
        if len(left_out):
            quarantine.add(STAGE, path.name, row_of(left_out["row"][0]), "", reason, len(left_out))
            events = events.filter(~wrong)
    return events.filter(~pl.col("unknown"))


def _hours(events: pl.DataFrame, starts: Starts) -> pl.Series:
    if starts.path is None:
        return events["time"].cast(pl.Float64, strict=False)
    return (moments(events["time"]) - events["t0"]).dt.total_microseconds() / MICROSECONDS_PER_HOUR
