"""What the columns of a table may hold, guessed from their names and cells: a draft for its user to correct."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml

from ...tables.feature_files import SAMPLE_ID, as_text
from ...tables.headers import counts_rows, meant_columns
from ...tables.ids import as_ids
from ...tables.label_spec import pairs_of
from ...tables.labels import suggestion
from ...tables.sample_table import SUBJECT_ID
from .columns import CATEGORIES, EVENTS, LABEL, LEVELS, NUMBERS, T0, Description

ID = re.compile(r"(^|[\W_])(id|nr|no|number|key)$|(Id|ID|Nr|No|Number)$")
PATIENT = re.compile(r"subject|patient|person|participant", re.IGNORECASE)
LABELS = ("label", "outcome", "target", "y")
NUMBER = r"^[<>≤≥~]?\s*[-+]?(\d+([.,]\d*)*|[.,]\d+)([eE][-+]?\d+)?\s*%?$"
"""Or what was meant as one."""
DATE = r"^\d{1,4}[-./]\d{1,2}[-./]\d{2,4}([T ]\d.*)?$"
IMAGE = r"(?i)\.(png|jpe?g|dcm|tiff?)$"

MOST_LEVELS = 20
LONGEST_LEVEL = 40
MOST = 0.8
"""Of the cells that are known, so many must be of a kind."""


@dataclass(frozen=True)
class Guess:
    """What a table may hold: our names of its columns with those of the table, and why columns are left out."""

    columns: dict[str, str]
    left_out: dict[str, str]

    def without(self, names: Sequence[str]) -> Guess:
        """Return what the other columns of the table may be."""
        return Guess(
            {key: name for key, name in self.columns.items() if name not in names},
            {name: why for name, why in self.left_out.items() if name not in names},
        )


def guess(table: pl.DataFrame, path: Path) -> Guess:
    """Return what the columns of a table may be; raises :class:`InputError` for repeated names."""
    names = meant_columns(table.columns, path)
    columns = _ids(table, names)
    left_out = {column: f"a time to an event; --label {name}" for name, pair in pairs_of(names) for column in pair}
    for name in names:
        for called, words in (LABEL, LABELS), (T0, (T0,)):
            if name.lower() in words and called not in columns:
                columns[called] = name
    for name in names:
        if name in columns.values() or name in left_out:
            continue
        if counts_rows(table[name]):
            left_out[name] = "row numbers"
            continue
        kind = _kind(as_text(table[name]))
        key = f"{kind}:{name.strip() if kind in (NUMBERS, CATEGORIES) else suggestion(name)}"
        if kind not in KINDS or key in columns:
            left_out[name] = f"{key} is taken" if kind in KINDS else kind
        else:
            columns[key] = name
    return Guess(columns, left_out)


def draft_yaml(described: Description, left_out: Mapping[str, str]) -> str:
    """Return a description as the lines of a file for ``--columns``, those of columns left out as comments."""
    lines = [_line(name, column) for name, column in (described.columns or {}).items()]
    lines += [_line(f"{LEVELS}{name}", list(levels)) for name, levels in described.levels.items()]
    lines += [_line(f"{EVENTS}{name}", list(variables)) for name, variables in described.variables.items()]
    return "".join([*lines, *(f"# {column!r}: {reason}\n" for column, reason in left_out.items())])


def _line(key: str, value: str | list[str]) -> str:
    flow = None if isinstance(value, list) else False  # a list beside its key
    return yaml.safe_dump({key: value}, allow_unicode=True, default_flow_style=flow, width=10**6)


def _ids(table: pl.DataFrame, names: list[str]) -> dict[str, str]:
    """Return the columns of the sample and the patient, those that can be meant."""
    found = {name: name for name in (SAMPLE_ID, SUBJECT_ID) if name in names}
    called = [name for name in names if ID.search(name) and name not in found]
    if SAMPLE_ID not in found:
        for name in [*called, *names]:
            ids = as_ids(table[name])
            if SAMPLE_ID not in found and name not in found and not ids.null_count() and ids.is_unique().all():
                found[SAMPLE_ID] = name
    for name in called:
        if SUBJECT_ID not in found and PATIENT.search(name) and name not in found.values():
            found[SUBJECT_ID] = name
    return found


KINDS = ("text", "image", NUMBERS, CATEGORIES)


def _kind(texts: pl.Series) -> str:
    """Return the kind of content of a column, or why it is none that is known."""
    known = texts.drop_nulls()
    if known.is_empty():
        return "nothing in it"
    shares = {
        "image": known.str.contains(IMAGE).mean(),
        NUMBERS: known.str.contains(NUMBER).mean(),
        "dates": known.str.contains(DATE).mean(),
    }
    for kind, share in reversed(shares.items()):  # 01.02.2020 looks like a number too
        if isinstance(share, float) and share >= MOST:
            return kind if kind in KINDS else f"dates and times; one called {T0} is the time from which events count"
    longest = int(known.str.len_chars().max() or 0)  # type: ignore[arg-type]
    if known.n_unique() <= min(MOST_LEVELS, max(2, len(known) // 2)) and longest <= LONGEST_LEVEL:
        return CATEGORIES
    blanks = known.str.contains(r"\s|[^\x00-\x7F]").mean()
    return "text" if isinstance(blanks, float) and blanks >= MOST else "many short values, such as ids or codes"
