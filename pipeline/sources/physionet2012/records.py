"""The text files of PhysioNet/CinC Challenge 2012: where they are, and their rows as tables."""

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from ....cache_schema import InputError, MissingInputError
from ....cache_schema.errors import shown
from ...source import Quarantine
from ...tables.delimited import LINE, Delimited
from ...tables.feature_files import as_text, require_columns, row_of
from .variables import variables

SETS = "set-?"
DEPTH = 2
RECORDS_AT_ONCE = 1000
"""About 8 MB of text and 450,000 rows."""

HEADER = b"Time,Parameter,Value"
NOT_MEASURED = -1
MINUTES = 48 * 60
CLOCK = {f"{hour}:{minute % 60:02d}": minute for minute in range(MINUTES + 1)
         for hour in (minute // 60, f"{minute // 60:02d}")}  # fmt: skip
"""The minute of every time that a row may have, 00:00 to 48:00."""
RECORD = re.compile(r"([0-9]{1,18})(\.0*)?")
"""A number of a record, also as a table of floats has it: ``132501.0``."""
DEATHS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}

DAYS = re.compile(r"(-1|[0-9]{1,6})(\.0*)?")

RECORD_ID, DIED, STAY, SURVIVAL = "RecordID", "In-hospital_death", "Length_of_stay", "Survival"
DESCRIPTORS = (RECORD_ID, "Age", "Gender", "Height", "ICUType", "Weight")
"""Rows at 00:00 that describe the patient; of them Weight is also measured later."""

HOME = "https://physionet.org/content/challenge-2012/"


def find_records(raw: Path) -> dict[int, Path]:
    """Return the file of every record below ``raw``, by record number.

    Raises
    ------
    MissingInputError
        If no folder ``set-a``, ``set-b`` or ``set-c`` with records lies in ``raw`` or one level below.
    InputError
        If a record is there twice.
    """
    files: dict[int, Path] = {}
    for path in sorted(
        path for folder in _find(raw, SETS) for path in folder.glob("*.txt") if re.fullmatch("[0-9]{1,18}", path.stem)
    ):
        if other := files.get(int(path.stem)):
            raise InputError(f"Record {path.stem} is there twice: {other} and {path}. Remove one of them.")
        files[int(path.stem)] = path
    if not files:
        found = ", ".join(sorted(path.name for path in raw.iterdir())[:12]) or "nothing"
        raise MissingInputError(
            f"{raw} has no folder set-a, set-b or set-c with records such as 132539.txt; it holds {found}. "
            f"Download the sets from {HOME} and unpack the archives there."
        )
    return dict(sorted(files.items()))


def find_outcomes(raw: Path) -> list[Path]:
    """Return the tables of outcomes, ``Outcomes-a.txt`` and so on; there need not be any."""
    return _find(raw, "Outcomes-?.txt")


class Outcome(NamedTuple):
    """What became of a patient: ``died`` in hospital (1) or not (0); days there and to a death, NaN if unknown."""

    died: int
    stay: float
    survival: float


def read_outcomes(paths: Sequence[Path]) -> dict[int, Outcome]:
    """Return the outcome of each record, by number; a table need not have the columns of days.

    Raises
    ------
    InputError
        If a table is damaged or lacks a column, a record has no number or two outcomes, a death is neither 0 nor 1, or
        days are no whole number.
    """
    found: dict[int, Outcome] = {}
    for path in paths:
        table = Delimited.open(path).read()
        require_columns(table.drop(LINE), [RECORD_ID, DIED], path)
        days = [as_text(table[name]) if name in table.columns else [None] * len(table) for name in (STAY, SURVIVAL)]
        for line, number, death, stay, survival in zip(
            table[LINE], as_text(table[RECORD_ID]), as_text(table[DIED]), *days, strict=True
        ):
            named, died = RECORD.fullmatch(number or ""), DEATHS.get(death or "")
            if named is None:
                raise InputError(f"{path}, {row_of(line)}: {RECORD_ID} is {shown(number)}, expected a number.")
            if died is None:
                raise InputError(f"{path}, record {named[1]}: {DIED} is {shown(death)}, expected 0 or 1.")
            of_record = f"{path}, record {named[1]}"
            outcome = Outcome(died, _days(stay, STAY, of_record), _days(survival, SURVIVAL, of_record))
            if found.setdefault(int(named[1]), outcome).died != died:
                raise InputError(f"{path}, {row_of(line)}: record {named[1]} died, and did not. Keep one of the rows.")
    return found


def _days(text: str | None, name: str, of_record: str) -> float:
    """Return a number of days, NaN for -1 and for none."""
    if text is None:
        return np.nan
    days = DAYS.fullmatch(text)
    if days is None:
        raise InputError(f"{of_record}: {name} is {shown(text)}, expected days, or {NOT_MEASURED} where unknown.")
    return np.nan if days[1] == str(NOT_MEASURED) else float(days[1])


def read_rows(files: Mapping[int, Path], quarantine: Quarantine) -> Iterator[tuple[list[int], pl.DataFrame]]:
    """Yield some records and their rows: record, minute (int), parameter, value (float), in order of record and time.

    Rows that say nothing (not three fields, no parameter name, no time within 48 hours, no number, -1 for "not
    measured") are dropped; all but the last kind are counted in the quarantine.

    Raises
    ------
    InputError
        If a file has another header, or says that it is another record than its name does.
    """
    everything = list(files.items())
    for start in range(0, len(everything), RECORDS_AT_ONCE):
        some = dict(everything[start : start + RECORDS_AT_ONCE])
        rows = _usable(_lines(some), some, quarantine)
        _refuse_others(rows, some)
        yield list(some), rows.select("record", "minute", "parameter", "value")


def set_name(path: Path) -> str:
    """Return the name of the set of a record's file, such as ``set-a``."""
    return path.parent.name


def _find(raw: Path, pattern: str) -> list[Path]:
    levels = ("*/" * level + pattern for level in range(DEPTH))
    return sorted(path for level in levels for path in raw.glob(level))


def _body(path: Path) -> bytes:
    """Return the lines of a file without its header, apart by line feeds."""
    text = path.read_bytes().removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    header, _, body = text.rstrip().partition(b"\n")
    if header.rstrip() != HEADER:
        raise InputError(f"{path}, line 1: expected {HEADER.decode()}, got {header[:40].decode(errors='replace')!r}.")
    return body


def _lines(files: Mapping[int, Path]) -> pl.DataFrame:
    """Return every line below the headers: record, line (2 for the first of its file), and its fields as text.

    Quotes mean nothing, so that no line can swallow another. ``rest`` is null for a line of at most three fields.
    """
    bodies = [_body(path) for path in files.values()]
    counts = [body.count(b"\n") + 1 for body in bodies]
    text = b"\n".join([b"time,parameter,value,rest", *bodies, b""])
    fields = pl.read_csv(
        BytesIO(text.replace(b",,", b", ,")),  # an empty fourth field, and more behind it, would look like none
        infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True, quote_char=None,
    )  # fmt: skip
    return fields.with_columns(
        record=np.repeat(list(files), counts), line=np.concatenate([np.arange(2, count + 2) for count in counts])
    )


def _usable(lines: pl.DataFrame, files: Mapping[int, Path], quarantine: Quarantine) -> pl.DataFrame:
    """Return the rows that say something, in order of record and time, and count the others by reason."""
    rows = lines.with_columns(
        minute=pl.col("time").str.strip_chars().replace_strict(CLOCK, default=None, return_dtype=pl.Int64),
        number=pl.col("value").str.strip_chars().cast(pl.Float64, strict=False),
        parameter=pl.col("parameter").fill_null("").str.strip_chars(),
    ).with_columns(reason=_reason())
    wrong = rows.filter(pl.col("reason").is_not_null()).group_by("reason", maintain_order=True)
    written = pl.concat_str("time", "parameter", "value", "rest", separator=",", ignore_nulls=True).str.head(40)
    for reason, count, record, line, row in (
        wrong.agg(pl.len(), pl.col("record", "line").first(), row=written.first()).iter_rows()
    ):  # fmt: skip
        place = f"{set_name(files[record])}/{files[record].name}, {row_of(line)}"
        quarantine.add("read", "records", place, row, reason, count)
    said = pl.col("reason").is_null() & (pl.col("number") != NOT_MEASURED)
    rows = rows.filter(said).sort("record", "minute", maintain_order=True)
    return rows.select("record", "line", "minute", "parameter", value="number")


def _reason() -> pl.Expr:
    """Return why a row is not used, null for one that is."""
    name, minute = pl.col("parameter"), pl.col("minute")
    describes = name.is_in(DESCRIPTORS) & (name != "Weight") & (minute != 0)
    checks = {
        "the row has more than three fields": pl.col("rest").is_not_null(),
        "no parameter name": name == "",
        "time is not HH:MM within 48 hours": minute.is_null(),
        "value is not a number": ~pl.col("number").is_finite().fill_null(False),
        "the patient is described at 00:00 alone": describes,
        "unknown parameter": ~name.is_in([RECORD_ID, *variables()["parameter"]]),
    }
    return pl.coalesce(pl.when(wrong).then(pl.lit(reason)) for reason, wrong in checks.items())


def _refuse_others(rows: pl.DataFrame, files: Mapping[int, Path]) -> None:
    """Raise :class:`InputError` for the first record that has another number in its file than in the file's name."""
    others = rows.filter((pl.col("parameter") == RECORD_ID) & (pl.col("value") != pl.col("record")))
    for record, line, value in others.select("record", "line", "value").head(1).iter_rows():
        raise InputError(
            f"{files[record]}, {row_of(line)}: the file says that it is record {value:.12g}. Whose rows are these? "
            "Give the file its right name, or mend the row."
        )
