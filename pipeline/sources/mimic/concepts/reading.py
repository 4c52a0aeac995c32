"""The one pass over the tables of events: what a list of concepts is of the patients of a cohort, with two times."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from .....progress import progress
from ....series.ordering import order_by, packed
from ....series.spill import EventStore, read_group
from ....series.times import seconds
from ....source import Quarantine
from ....temporary import TemporaryFolder
from ..folder import MimicFolder
from ..tables import Table
from ..times import refuse_dates, refuse_other_format
from .conversion import NO_CONVERSION
from .definitions import Concept, starter_set
from .event_tables import EVENT_TABLES, EventTable
from .held import ENDS, apply_weights, hold_rates
from .pairs import asked_for, pairs_of
from .values import DEFAULT_KG, HALF, OUTSIDE, WHOLE, RowReader

Available = Literal["storetime", "charttime"]
"""When a value counts as known: when it was stored, where the table says so, or when it was charted."""

STAGE = "variables"
CULTURES = "microbiologyevents"
NO_ROWS = "concepts without a row in the tables"
NOBODYS = "subject_id empty"
SHOWN_UNIT = 20
WEIGHTS = ("weight_daily", "weight_admit")

SPILLED = {
    "subject": pl.Int32, "concept": pl.UInt16, "pair": pl.UInt32, "time": pl.Int64, "end": pl.Int64,
    "known": pl.Int64, "value": pl.Float64, "power": pl.Int8, "kg": pl.Float64, "spread": pl.Boolean,
    "hold": pl.Boolean, "stopped": pl.Boolean, "row": pl.Int64,
}  # fmt: skip

EVENT: dict[str, pl.DataType | type[pl.DataType]] = {
    "subject_id": pl.Int64, "concept": pl.UInt32, "time": pl.Int64, "end": pl.Int64, "known": pl.Int64,
    "value": pl.Float64, "row": pl.Int64, "spread": pl.Boolean, "open_end": pl.Int64, "end_known": pl.Int64,
    "ends": ENDS,
}  # fmt: skip
"""Columns of concept events."""


@dataclass(frozen=True)
class EventFile:
    """A file of a logical table; ``table`` is None where it is not there."""

    logical: str
    event_table: EventTable
    table: Table | None

    def require(self) -> None:
        """Raise :class:`MissingInputError` where the file is there without the columns that every row needs."""
        of_table = self.event_table
        named = [name for name in (of_table.item, of_table.names, of_table.end) if name is not None]
        if self.table is not None:
            self.table.require(["subject_id", *named, of_table.start, *of_table.given])


def event_files(folder: MimicFolder, concepts: Sequence[Concept]) -> list[EventFile]:
    """Return the files that hold items of concepts, those that are missing included."""
    files = []
    for logical, event_tables in EVENT_TABLES[folder.version].items():
        items = {item for concept in concepts for item in concept.items.get(logical, ())}
        for event_table in event_tables:
            if event_table.has_any(items):
                there = folder.find_table(event_table.name)
                files.append(EventFile(logical, event_table, None if there is None else Table.open(there)))
    return files


def weights_for(folder: MimicFolder, concepts: Iterable[Concept]) -> tuple[Concept, ...]:
    """Return the concepts of body weight, where values are to be divided by it and rows do not have it."""
    weighed = any(
        "inputevents" in concept.items and any(rule.power for rule in concept.conversions) for concept in concepts
    )
    if not weighed or folder.version == 4 or folder.find_table("inputevents_cv") is None:
        return ()
    return tuple(concept for concept in starter_set("vitals_extra", 3) if concept.name in WEIGHTS)


class ConceptEvents:
    """Events of concepts, in one pass over each table however many concepts there are.

    Parameters
    ----------
    folder
        Where the tables are.
    concepts
        Those asked for; an event says the number of its concept in this list.
    subjects
        subject_id, and first and last, the seconds between which events of the subject are kept (null: any).
    available
        Whether a value is known when it was stored, or when it was charted.
    """

    def __init__(
        self,
        folder: MimicFolder,
        concepts: Sequence[Concept],
        subjects: pl.DataFrame,
        available: Available = "storetime",
    ) -> None:
        self.folder, self.available = folder, available
        self.concepts = tuple(concepts)
        self.rows = Counter[int]()
        """Rows of the items of each concept, of all these patients, whatever they say."""
        self._subjects = subjects.unique("subject_id").sort("subject_id").with_row_index("subject")
        self._left_out: dict[int, Quarantine] = {}
        self._read = [*self.concepts, *weights_for(folder, concepts)]

    def of_subjects(self) -> Iterator[pl.DataFrame]:
        """Yield events in groups, all of a subject in one, in order of subject_id, time, concept and row.

        Columns: subject_id, concept (UInt32, its number), time and end (seconds since 1970, local as written; end is
        null but for intervals), known (when a clinician could read it, never before time), value (code of the level of
        a categorical concept, rate, amount), row (line in its file), spread (of an amount: it accrues evenly, because
        its rate is known; another counts at its end), and open_end, end_known and ends (of a rate that holds until the
        next row: see :func:`.held.hold_rates`).

        What is left out or mended is counted: :meth:`left_out` says it when all groups were taken.
        """
        self.rows.clear()
        self._left_out.clear()
        temporary = TemporaryFolder()
        try:
            store = EventStore(temporary.path / "events", max(1, len(self._subjects)))
            for file in event_files(self.folder, self._read):
                for events in self._events(file) if file.table else ():
                    store.add(events)
            for pieces in store.groups():
                yield self._settled(read_group(pieces))
        finally:
            temporary.remove()
        self._count_without_rows()

    def left_out(self, numbers: Collection[int]) -> Quarantine:
        """Return what was left out or mended of some concepts, by their numbers."""
        all_of_them = Quarantine()
        for number in numbers:
            if number in self._left_out:
                all_of_them.extend(self._left_out[number].to_json())
        return all_of_them

    def _events(self, file: EventFile) -> Iterator[pl.DataFrame]:
        """Yield the usable events of a file; the others are counted."""
        table, event_table = file.table, file.event_table
        assert table is not None
        numbered = enumerate(self._read)
        concepts = {number: concept for number, concept in numbered if concept.items.get(file.logical)}
        pairs = pairs_of(list(concepts.items()), file.logical)
        reader = RowReader(event_table, concepts, pairs, storetime=self.available == "storetime")
        file.require()
        items = {item for concept in concepts.values() for item in concept.items[file.logical]}
        owner = pl.col("subject_id")
        ours = owner.is_in(self._subjects["subject_id"].implode()) | owner.is_null()
        keep = ours & asked_for(event_table, [*items])
        ids = ["subject_id", *([event_table.item] if event_table.item else [])]
        unread = Quarantine()
        with progress(name=table.path.name, total=table.expected_rows(), unit="rows") as bar:
            for number, batch in enumerate(table.batches(ids, reader.columns, unread, keep)):
                if not number:
                    _refuse_other_times(batch, reader, table)
                bar.update(batch["row"][-1] - 1 - bar.n)
                if batch["subject_id"].null_count():
                    nobodys = batch.filter(owner.is_null())
                    unread.add(STAGE, table.path.name, f"row {nobodys['row'][0]}", "", NOBODYS, len(nobodys))
                    batch = batch.drop_nulls("subject_id")
                subject = self._subjects["subject_id"].search_sorted(batch["subject_id"])
                rows = self._in_span(reader.read(batch.drop("subject_id").with_columns(subject=subject)))
                self._count(rows, table.path)
                usable = rows.select(*SPILLED, "problem").filter(pl.col("problem").is_null())
                yield usable.select(pl.col(name).cast(kind) for name, kind in SPILLED.items())
        self._count_unread(unread, concepts, table.path)

    def _in_span(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that touch the span of their subject, or decide what does: a weight, a rate that holds."""
        spans = self._subjects["first"], self._subjects["last"]
        if all(span.null_count() == len(span) for span in spans):
            return rows
        first, last = (span.gather(rows["subject"]) for span in spans)
        late, early = pl.col("time") > last, pl.coalesce("end", "time") < first
        decides = pl.col("hold") | (pl.col("concept") >= len(self.concepts))
        return rows.filter(~(late.fill_null(False) | (early & ~decides).fill_null(False)))

    def _count(self, rows: pl.DataFrame, path: Path) -> None:
        """Count rows by concept, what is left out by its reason, and what was read as something else."""
        for number, count in rows.group_by("concept").len().iter_rows():
            self.rows[number] += count
        mended = pl.col("limit").replace_strict({-1: HALF, 1: WHOLE}, default=None, return_dtype=pl.String)
        told = rows.with_columns(reason=pl.coalesce("problem", mended)).drop_nulls("reason")
        foreign = pl.when(pl.col("reason") == NO_CONVERSION).then("unit").fill_null("")
        first = told.group_by("concept", "reason", foreign.alias("foreign"), maintain_order=True).agg(
            pl.len().alias("count"), pl.col("row", "text").first()
        )
        for number, reason, unit, count, row, text in first.iter_rows():
            self._add(number, f"{path.name} row {row}", text or "", reason, count, unit)

    def _count_unread(self, unread: Quarantine, concepts: Iterable[int], path: Path) -> None:
        """Count rows without readable ids, which are of no concept, once for each set that has items in the file."""
        shown = unread.frame().group_by("reason", maintain_order=True).first().select("reason", "where", "value")
        told = unread.counts().join(shown, on="reason").select("where", "value", "reason", "count")
        for name, number in {self._read[number].set: number for number in sorted(concepts, reverse=True)}.items():
            for where, value, reason, count in told.iter_rows():
                self._quarantine(number).add(STAGE, f"{name}: {path.name}", where, value, reason, count)

    def _add(self, number: int, where: str, value: str, reason: str, count: int, unit: str = "") -> None:
        concept = self._read[number]
        if reason == OUTSIDE:
            reason = f"outside {_limit(concept.low)} to {_limit(concept.high)} {concept.unit}".rstrip()
        if reason == NO_CONVERSION:
            reason = f"the unit {unit[:SHOWN_UNIT]!r} cannot be converted to {concept.unit or 'one without a unit'}"
        self._quarantine(number).add(STAGE, f"{concept.set}.{concept.name}", where, value, reason, count)

    def _quarantine(self, number: int) -> Quarantine:
        return self._left_out.setdefault(number, Quarantine())

    def _settled(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return the events of a group of subjects as they are given out."""
        asked = len(self.concepts)
        weights = events.filter(pl.col("concept") >= asked).rename({"value": "weight"})
        events = apply_weights(hold_rates(events.filter(pl.col("concept") < asked)), weights, self._limits())
        for reason, mask in ((OUTSIDE, "beyond"), (DEFAULT_KG, "usual")):
            counts = (
                events.filter(mask)
                .group_by("concept", maintain_order=True)
                .agg(pl.len().alias("n"), pl.col("row").first())
            )
            for number, count, row in counts.iter_rows():
                self._add(number, f"row {row}", "", reason, count)
        owner = self._subjects["subject_id"].gather(events["subject"])
        usable = events.with_columns(owner.alias("subject_id"))
        usable = self._once(usable.filter(~pl.col("beyond")) if usable["beyond"].any() else usable)
        subject, time, concept, row = (usable[name].to_numpy() for name in ("subject", "time", "concept", "row"))
        order = order_by(packed(subject, time, concept), row)
        return usable.select(pl.col(name).gather(order).cast(kind) for name, kind in EVENT.items())

    def _once(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return cultures once: their rows are as many as organisms were found and drugs tried on them, days later."""
        cultures = [number for number, concept in enumerate(self.concepts) if CULTURES in concept.items]
        if not cultures:
            return events
        of_cultures = pl.col("concept").is_in(cultures)
        once = events.filter(of_cultures).sort("row").unique(["subject_id", "concept", "time", "value"], keep="first")
        return pl.concat([events.filter(~of_cultures), once])

    def _limits(self) -> pl.DataFrame:
        rows = [(number, concept.low, concept.high) for number, concept in enumerate(self.concepts)]
        schema = {"concept": pl.UInt16, "low": pl.Float64, "high": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def _count_without_rows(self) -> None:
        for number, concept in enumerate(self.concepts):
            if not self.rows[number] and not concept.derived:
                self._quarantine(number).add(STAGE, concept.set, concept.name, "", NO_ROWS)


def _limit(limit: float | None) -> str:
    return "any" if limit is None else f"{limit:g}"


def _refuse_other_times(batch: pl.DataFrame, reader: RowReader, table: Table) -> None:
    """Raise :class:`InputError` where of the first events of a table no time can be read or all are dates."""
    head, event_table = batch.head(1000), reader.table
    if not event_table.by_day:
        refuse_dates(head, event_table.start, table)
    for name in filter(None, (event_table.end, "storetime" if reader.storetime else None)):
        refuse_dates(head, name, table)
    for name in reader.times:
        refuse_other_format(head, name, seconds(head[name]), table)
