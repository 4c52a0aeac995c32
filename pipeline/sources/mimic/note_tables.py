"""Tables of clinical notes, read in batches: which notes there are, and since when somebody could read them.

A note has two times: that of what it tells of, and that from which it could be read:

==========================  =======================  ==========================================================
note                        event time               known time
==========================  =======================  ==========================================================
with a STORETIME            CHARTTIME                the later of CHARTTIME and STORETIME
III, radiology              CHARTTIME (examination)  4 hours later: MIMIC-III has no time of the report
III, date only (ECG, Echo)  CHARTDATE                the end of that day
any other without storing   CHARTTIME                24 hours later
discharge summary           CHARTDATE, CHARTTIME     as above, and not before the discharge
==========================  =======================  ==========================================================
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from ....cache_schema import InputError, MissingInputError, meant
from ....progress import progress
from ...series.times import seconds
from ...source import Quarantine
from .folder import MimicFolder
from .tables import DEPTH, Table, read_table
from .times import read_times

VERSION = 1
"""To be raised whenever the same table would give other notes, times or texts."""

STAGE = "items"
HOUR, DAY = 3600, 24 * 3600

RADIOLOGY_DELAY_HOURS = 4
"""From an examination to its report, where no time of the report exists: our choice, not a fact of MIMIC-III."""

UNSIGNED_DELAY_HOURS = 24
"""From the time of a note to when it could be read, where it should have a time of storing and has none."""

RADIOLOGY, RADIOLOGY_ADDENDUM = "Radiology", "Radiology addendum"
DISCHARGE, DISCHARGE_ADDENDUM = "Discharge summary", "Discharge addendum"
DICTATED = (RADIOLOGY, RADIOLOGY_ADDENDUM)
"""Notes of which the findings are read, as of a report of MIMIC-CXR."""
AFTER_DISCHARGE = (DISCHARGE, DISCHARGE_ADDENDUM)
"""Notes that tell what became of the patient."""

CATEGORIES = {
    3: (
        *(RADIOLOGY, "Nursing", "Nursing/other", "Physician", "Respiratory", "ECG", "Echo", "Nutrition", "General"),
        *("Rehab Services", "Social Work", "Case Management", "Pharmacy", "Consult", DISCHARGE),
    ),
    4: (*DICTATED, *AFTER_DISCHARGE),
}
"""Categories of the notes of each release; those of MIMIC-IV are its types of notes."""

DEFAULT = {3: (RADIOLOGY, "Nursing", "Nursing/other", "Physician", "Respiratory"), 4: DICTATED}
TYPES = {"RR": RADIOLOGY, "AR": RADIOLOGY_ADDENDUM, "DS": DISCHARGE, "AD": DISCHARGE_ADDENDUM}
"""``note_type`` of MIMIC-IV-Note."""

LAST_NOTES = {3: 5, 4: 3}
"""How many notes a task sees, the last that were known."""

IN_ERROR = "note_error: marked as written in error"
WITHOUT_TIME = "note_without_time: neither CHARTTIME nor CHARTDATE can be read"


@dataclass(frozen=True)
class NoteSettings:
    """Which notes are read: of ``categories`` (None: the usual ones), known from so many hours before a stay on."""

    categories: tuple[str, ...] | None = None
    history_hours: float = 0

    def __post_init__(self) -> None:
        if not 0 <= self.history_hours < float("inf"):
            raise InputError(f"--note-history-hours {self.history_hours:g}: give hours before the stay, 0 or more.")

    def to_json(self, version: int) -> dict[str, Any]:
        """Return what decides which notes there are of a release; raises as :meth:`of`."""
        return {"version": VERSION, "categories": sorted(self.of(version)), "history_hours": self.history_hours}

    def of(self, version: int) -> tuple[str, ...]:
        """Return the categories for MIMIC-III (3) or MIMIC-IV (4); raises :class:`InputError` for an unknown one."""
        if self.categories is None:
            return DEFAULT[version]
        known = {name.lower(): name for name in CATEGORIES[version]}
        for name in self.categories:
            if name.lower() not in known:
                hint = meant(name, CATEGORIES[version])
                raise InputError(
                    f"--note-categories {name!r}: there is no such category; known are "
                    f"{', '.join(CATEGORIES[version])}.{hint}"
                )
        return tuple(known[name.lower()] for name in self.categories)


def note_tables(folder: MimicFolder, categories: Sequence[str]) -> list[Table]:
    """Return the tables that hold notes of some categories; raises :class:`MissingInputError` where one is missing."""
    if folder.version == 3:
        names = ["noteevents"]
    else:
        wanted = {"radiology": DICTATED, "discharge": AFTER_DISCHARGE}
        names = [name for name, held in wanted.items() if set(held) & set(categories)]
    tables = []
    for name in names:
        path = folder.find_note_table(name)
        if path is None:
            written = "NOTEEVENTS.csv(.gz)" if folder.version == 3 else f"note/{name}.csv(.gz) of MIMIC-IV-Note"
            raise MissingInputError(f"{folder.raw} (searched to {DEPTH} levels below) has no {written}. Add it.")
        tables.append(Table.open(path))
    return tables


def read_notes(
    folder: MimicFolder, table: Table, categories: Sequence[str], stays: pl.DataFrame, quarantine: Quarantine
) -> Iterator[pl.DataFrame]:
    """Yield the notes of the subjects: note_id, subject_id, hadm_id, category, event, known (seconds), text, row."""
    read = _read_noteevents if folder.version == 3 else _read_note_module
    discharged = _discharges(folder) if set(categories) & set(AFTER_DISCHARGE) else None
    subjects = pl.col("subject_id").is_in(stays["subject_id"].unique().implode())
    with progress(name=table.path.name, total=table.expected_rows(), unit="lines") as bar:
        batches = (batch for batch in read(table, categories, subjects, quarantine) if len(batch))
        for number, batch in enumerate(batches):
            bar.update(batch["row"][-1] - 1 - bar.n)
            _refuse_without_times(batch, table, first=not number)
            timeless = batch["event"].is_null()
            quarantine_notes(batch.filter(timeless), WITHOUT_TIME, table, quarantine)
            timed = batch.filter(~timeless)
            yield timed if discharged is None else after_discharge(timed, discharged)


def _read_noteevents(
    table: Table, categories: Sequence[str], subjects: pl.Expr, quarantine: Quarantine
) -> Iterator[pl.DataFrame]:
    """Read the notes of MIMIC-III; names of categories may have blanks behind them."""
    texts = ["chartdate", "charttime", "storetime", "category", "iserror", "text"]
    table.require(["row_id", "subject_id", "hadm_id", *texts])
    names = {name.lower(): name for name in categories}
    category = pl.col("category").str.strip_chars().str.to_lowercase()
    keep = subjects & category.is_in(list(names)).fill_null(False)
    for batch in table.batches(["row_id", "subject_id", "hadm_id"], texts, quarantine, keep):
        quarantine_notes(batch.filter(in_error()), IN_ERROR, table, quarantine)
        kept = batch.filter(~in_error()).with_columns(
            category.replace_strict(names), note_id=pl.col("row_id").cast(pl.String)
        )
        date, chart, store = (seconds(kept[name]) for name in ("chartdate", "charttime", "storetime"))
        kept = kept.with_columns(date=date // DAY * DAY, chart=chart, store=store)
        yield _timed(kept.with_columns(event=pl.coalesce("chart", "date"), known=known_second()))


def in_error() -> pl.Expr:
    """Whether a physician marked a note as an error."""
    return (pl.col("iserror").str.strip_chars().cast(pl.Float64, strict=False) == 1).fill_null(False)


def known_second() -> pl.Expr:
    """Return the second from which a note of MIMIC-III could be read, from its chart, date and store (seconds)."""
    event = pl.coalesce("chart", "date")
    radiology = pl.coalesce("chart", pl.col("date") + DAY) + RADIOLOGY_DELAY_HOURS * HOUR
    unsigned = pl.when(pl.col("category") == RADIOLOGY).then(radiology).otherwise(event + UNSIGNED_DELAY_HOURS * HOUR)
    return pl.when(pl.col("store").is_null()).then(unsigned).otherwise(pl.max_horizontal(event, "store"))


def _read_note_module(
    table: Table, categories: Sequence[str], subjects: pl.Expr, quarantine: Quarantine
) -> Iterator[pl.DataFrame]:
    """Read the notes of MIMIC-IV-Note."""
    texts = ["note_id", "note_type", "charttime", "storetime", "text"]
    table.require(["subject_id", "hadm_id", *texts])
    types = {code: name for code, name in TYPES.items() if name in categories}
    code = pl.col("note_type").str.strip_chars()
    keep = subjects & code.is_in(list(types)).fill_null(False)
    for batch in table.batches(["subject_id", "hadm_id"], texts, quarantine, keep):
        kept = batch.with_columns(
            category=code.replace_strict(types), chart=seconds(batch["charttime"]), store=seconds(batch["storetime"])
        )
        yield _timed(kept.with_columns(event=pl.col("chart"), known=signed_second()))


def signed_second() -> pl.Expr:
    """Return the second from which a note of MIMIC-IV could be read, from its chart and store (seconds)."""
    unsigned = pl.col("chart") + UNSIGNED_DELAY_HOURS * HOUR
    return pl.when(pl.col("store").is_null()).then(unsigned).otherwise(pl.max_horizontal("chart", "store"))


def _timed(notes: pl.DataFrame) -> pl.DataFrame:
    named = pl.coalesce("note_id", pl.concat_str(pl.lit("row "), "row"))
    return notes.select(named, "subject_id", "hadm_id", "category", "event", "known", "text", "row")


def _refuse_without_times(notes: pl.DataFrame, table: Table, *, first: bool) -> None:
    """Raise :class:`InputError` where of the first notes, if there are several, none has a time; no cell is shown."""
    if first and len(notes) > 1 and notes["event"].null_count() == len(notes):
        raise InputError(
            f"{table.path}: the time of the note in row {notes['row'][0]} cannot be read, nor can any other one. MIMIC "
            "writes it as 2150-03-01 10:00:00, local and without a zone; take the original table."
        )


def _discharges(folder: MimicFolder) -> pl.DataFrame:
    """Return hadm_id and when the admission ended (seconds), of all admissions."""
    table = folder.table("admissions")
    unseen = Quarantine()  # the cohort lists what is wrong with this table
    frame = read_table(table, ["hadm_id"], ["dischtime"], unseen, ["hadm_id"]).unique("hadm_id", keep="first")
    return read_times(frame, ["dischtime"], table, unseen).select("hadm_id", "dischtime")


def after_discharge(notes: pl.DataFrame, discharged: pl.DataFrame) -> pl.DataFrame:
    """Let no summary of a discharge be known before that."""
    joined = notes.join(discharged, on="hadm_id", how="left", maintain_order="left")
    later = pl.max_horizontal("known", "dischtime")
    return joined.with_columns(known=pl.when(tells_the_outcome()).then(later).otherwise("known")).drop("dischtime")


def tells_the_outcome() -> pl.Expr:
    """Whether a note is written at the end of an admission."""
    return pl.col("category").is_in(list(AFTER_DISCHARGE))


def quarantine_notes(notes: pl.DataFrame, reason: str, table: Table, quarantine: Quarantine) -> None:
    """List notes that are left out, by their rows alone."""
    for row in notes["row"]:
        quarantine.add(STAGE, table.path.name, f"row {row}", "", reason)
