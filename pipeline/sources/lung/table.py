"""The table of patients: ids, clinical text under its headings, and the label."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ....cache_schema import InputError, MissingInputError, Task
from ...source import Quarantine
from ...tables.delimited import LINE, Delimited
from ...tables.feature_files import STAGE, as_text, require_columns, row_of
from ...tables.sample_table import first_rows
from ...text.tokens import MAX_CHARACTERS

TABLE = "patients.csv"
PATIENT_ID = "patient_id"
LABEL = "label"
TEXT = "text:"
"""What the names of columns of clinical text begin with; the rest is the heading."""

MAX_SHOWN = 20
"""A value of the label column is quarantined as it is up to this length; a longer one may be clinical text."""

FIRST_CHINESE = "\u2e80"

LEVELS = ("low", "moderate", "high")
LEVEL_OF = {
    **{level: level for level in LEVELS},
    "aah": "low",
    "ais": "low",
    "mia": "moderate",
    "ia1": "moderate",
    "ia2": "high",
    "ia3": "high",
}
"""How invasive a pathology is (Wu et al. 2025, section 4.1), by its name without spaces, hyphens and ``grade``."""

ALLOWED = "AAH, AIS, MIA, IA1, IA2, IA3 (or IA grade 1, 2, 3), low, moderate, high"


@dataclass(frozen=True)
class Patients:
    """The patients, sorted by id: ``ids`` and ``places`` (rows of the table) and, aligned, ``texts``, null without.

    ``task`` has their labels. ``every_id`` are the ids of the whole table, whatever the limit.
    """

    ids: pl.Series
    places: list[str]
    texts: pl.Series
    task: Task
    every_id: frozenset[str]


def check_table(path: Path) -> None:
    """Raise :class:`InputError` if the table is missing or cannot be what is meant."""
    _headings(_read_table(path)[0], path)


def read_patients(path: Path, quarantine: Quarantine, limit: int | None = None) -> Patients:
    """Read the patients, or the first ``limit`` by id.

    Rows without an id, or with one that was there already, are quarantined; so are labels that are not known, whose
    patients stay without one, and texts that had to be cut.

    Raises
    ------
    InputError
        If there is no such table, it is neither UTF-8 nor GB18030, or a column is missing.
    """
    table, lines = _read_table(path)
    headings = _headings(table, path)
    ids = as_text(table[PATIENT_ID])
    positions = first_rows(ids, lines, path, quarantine)
    every_id = frozenset(ids[positions])
    positions = positions.gather(ids[positions].arg_sort()[:limit])
    places = [row_of(line) for line in lines[positions]]
    texts = _joined(table[positions], headings, places, quarantine)
    return Patients(ids[positions], places, texts, _task(table[positions], places, quarantine), every_id)


def _read_table(path: Path) -> tuple[pl.DataFrame, pl.Series]:
    """Return the table and the line of each row."""
    if not path.is_file():
        raise MissingInputError(
            f"There is no file {path}: a table with {PATIENT_ID}, {LABEL} and columns of text such as {TEXT}既往史."
        )
    table = Delimited.open(path, content=_decode(path.read_bytes(), path).encode()).read()
    require_columns(table, [PATIENT_ID, LABEL], path)
    return table.drop(LINE), table[LINE]


def _decode(content: bytes, path: Path) -> str:
    """Return the text of UTF-8, with or without a byte order mark, or of GB18030, which Excel in China writes."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as utf8:
        problem, begun = utf8, content[: utf8.start].decode("utf-8-sig")
    if all(character < FIRST_CHINESE for character in begun):  # else one bad byte would make nonsense of every text
        try:
            return content.decode("gb18030")
        except UnicodeDecodeError as gb18030:
            problem = gb18030
    raise InputError(
        f"{path}: byte {problem.start + 1:,} (0x{content[problem.start]:02x}) is neither UTF-8 nor GB18030. Save the "
        "table as CSV in UTF-8."
    )


def _headings(table: pl.DataFrame, path: Path) -> list[str]:
    headings = [name.removeprefix(TEXT).strip() for name in table.columns if name.startswith(TEXT)]
    if not all(headings):
        raise InputError(f"{path} has a column {TEXT!r} without a heading; write such as {TEXT}既往史.")
    return headings


def _joined(table: pl.DataFrame, headings: list[str], places: list[str], quarantine: Quarantine) -> pl.Series:
    """Return one text for each patient: every cell behind its heading, empty ones left out."""
    columns = [as_text(table[name]) for name in table.columns if name.startswith(TEXT)]
    texts = []
    for row, place in enumerate(places):
        cells = [(heading, column[row]) for heading, column in zip(headings, columns, strict=True)]
        text = "\n".join(f"{heading}：{cell}" for heading, cell in cells if cell)
        if len(text) > MAX_CHARACTERS:
            quarantine.add(STAGE, TABLE, place, "", f"text longer than {MAX_CHARACTERS:,} characters, cut there")
        texts.append(text[:MAX_CHARACTERS] or None)
    return pl.Series("text", texts, pl.String)


def _task(table: pl.DataFrame, places: list[str], quarantine: Quarantine) -> Task:
    """Return the labels as the task ``invasiveness``."""
    y = np.full((len(places), 1), np.nan, np.float32)
    for row, label in enumerate(as_text(table[LABEL])):
        if level := LEVEL_OF.get(re.sub(r"[\s_-]|grade", "", (label or "").lower())):
            y[row] = LEVELS.index(level)
        elif label:
            shown = label if len(label) <= MAX_SHOWN else ""
            quarantine.add(STAGE, TABLE, f"{places[row]}, {LABEL}", shown, f"none of {ALLOWED}: left unknown")
    counts = (("patients of the table", len(y)), ("with a known label", int((~np.isnan(y)).sum())))
    return Task("invasiveness", "multiclass", LEVELS, y, counts=counts, title="how invasive the pathology is")
