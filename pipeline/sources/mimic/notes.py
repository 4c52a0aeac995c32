"""Clinical notes, placed in ICU stays by subject and by when somebody could read them.

The time of an item is that from which the note could be read (`note_tables`), so that whatever a task cuts by time
cannot show it a note that was not written yet. What tells of a discharge is never of the admission that it ends.

Texts are cells of a table of gigabytes: those that are kept go to a temporary file, and the table is read in batches.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl

from ...source import ItemModality, Quarantine, UnreadableItem
from ...text.sections import findings
from ...text.stored_texts import StoredTexts
from .folder import MimicFolder
from .note_tables import (
    DICTATED,
    HOUR,
    RADIOLOGY_DELAY_HOURS,
    STAGE,
    UNSIGNED_DELAY_HOURS,
    VERSION,
    NoteSettings,
    note_tables,
    quarantine_notes,
    read_notes,
    tells_the_outcome,
)
from .tables import Table

REMOVED = r"(?s)\[\*\*.*?\*\*\]"
"""What MIMIC-III has in place of a name, a place or a date."""

OUTSIDE = "note was known outside the ICU stays"
OWN_ADMISSION = "note of the discharge from the same admission, or from one that is not named"


def note_items(
    folder: MimicFolder, stays: pl.DataFrame, settings: NoteSettings, quarantine: Quarantine
) -> ItemModality:
    """List the notes that could first be read within each stay, or shortly before, and store their texts.

    ``stays`` has stay_id, subject_id, hadm_id, and intime and outtime in seconds; both ends belong to a stay. An item
    has the hours ``time`` (known) and ``event_time`` since admission to the unit, and its ``category``.

    Raises
    ------
    InputError
        If a table cannot be read to its end, or none of its times.
    """
    categories = settings.of(folder.version)
    texts, parts = StoredTexts(), [_no_items(stays)]
    for table in note_tables(folder, categories):
        for notes in read_notes(folder, table, categories, stays, quarantine):
            placed = _in_stays(notes, stays, settings.history_hours, table, quarantine)
            parts.append(_with_digest(notes, placed, texts, table, quarantine))
    items = _named_once(pl.concat(parts), quarantine).sort("sample_id", "time", "item_id")
    return ItemModality(
        "notes", "text", "one token of a note", items, _recipe(folder.version, categories), texts=texts,
        title="clinical notes",
    )  # fmt: skip


def _named_once(items: pl.DataFrame, quarantine: Quarantine) -> pl.DataFrame:
    """Keep the first note of each id in a stay."""
    first = pl.struct("sample_id", "item_id").is_first_distinct()
    for place in items.filter(~first)["place"]:
        quarantine.add(STAGE, "notes", place, "", "the id of the note is repeated")
    return items.filter(first)


def _recipe(version: int, categories: Sequence[str]) -> dict[str, Any]:
    return {
        "version": VERSION,
        "release": version,
        "categories": sorted(categories),
        "sections": "findings of radiology, else the whole note",
        "time": "when the note could be read",
        "radiology_delay_hours": RADIOLOGY_DELAY_HOURS if version == 3 else None,
        "unsigned_delay_hours": UNSIGNED_DELAY_HOURS,
    }


def _in_stays(
    notes: pl.DataFrame, stays: pl.DataFrame, history_hours: float, table: Table, quarantine: Quarantine
) -> pl.DataFrame:
    """Give every note the stays of its subject in which it was known first: number (of the note), sample_id, hours.

    What tells of a discharge belongs to no stay of that admission; others outside are counted.
    """
    numbered = notes.drop("text").with_row_index("number")
    columns = ["subject_id", "intime", "outtime", pl.col("hadm_id").alias("own"), pl.col("stay_id").alias("sample_id")]
    joined = numbered.join(stays.select(columns), on="subject_id", maintain_order="left")
    begin = pl.col("intime") - int(history_hours * HOUR)
    within = joined.filter(pl.col("known").is_between(begin, pl.col("outtime")))
    if outside := notes.height - within["number"].n_unique():
        quarantine.add(STAGE, "notes", "", "", OUTSIDE, outside)
    quarantine_notes(within.filter(of_own_admission()), OWN_ADMISSION, table, quarantine)
    hours = {
        name: ((pl.col(column) - pl.col("intime")) / HOUR).cast(pl.Float32)
        for name, column in (("time", "known"), ("event_time", "event"))
    }
    kept = within.filter(~of_own_admission())
    return kept.select("number", "sample_id", "note_id", "category", "row", **hours)


def of_own_admission() -> pl.Expr:
    """Whether a note tells of the discharge from the admission of a stay, or nobody knows from which."""
    unnamed = pl.col("hadm_id").is_null()
    return tells_the_outcome() & (unnamed | (pl.col("hadm_id") == pl.col("own")).fill_null(True))


def _with_digest(
    notes: pl.DataFrame, placed: pl.DataFrame, texts: StoredTexts, table: Table, quarantine: Quarantine
) -> pl.DataFrame:
    """Store the texts of the notes that have a stay, and return the items; those without a text are listed."""
    numbers = placed["number"].unique(maintain_order=True)
    digests: list[str | None] = []
    for category, text, row in _cleaned(notes[numbers.to_list()]).select("category", "text", "row").iter_rows():
        try:
            digests.append(texts.add(read_note(category, text or "")))
        except UnreadableItem as reason:
            digests.append(None)
            quarantine.add(STAGE, table.path.name, f"row {row}", "", str(reason))
    found = pl.DataFrame({"number": numbers, "digest": pl.Series(digests, dtype=pl.String)})
    kept = placed.join(found, on="number", maintain_order="left").drop_nulls("digest")
    place = pl.concat_str(pl.lit(f"{table.path.name} row "), "row")
    return kept.select(
        "sample_id", "time", "event_time", "category", "digest", item_id="note_id", path=pl.lit(str(table.path)),
        place=place,
    )  # fmt: skip


def _cleaned(notes: pl.DataFrame) -> pl.DataFrame:
    return notes.with_columns(pl.col("text").str.replace_all(REMOVED, " "))


def read_note(category: str, text: str) -> str:
    """Return what is encoded of a note, in one line: the findings of a radiology report, else all of it.

    Raises
    ------
    UnreadableItem
        If nothing is left.
    """
    if category in DICTATED:
        return findings(text)
    if not (folded := " ".join(text.split())):
        raise UnreadableItem("empty note")
    return folded


def _no_items(stays: pl.DataFrame) -> pl.DataFrame:
    texts = dict.fromkeys(("category", "digest", "item_id", "path", "place"), pl.String)
    return pl.DataFrame(
        schema={"sample_id": stays["stay_id"].dtype, "time": pl.Float32, "event_time": pl.Float32, **texts}
    )
