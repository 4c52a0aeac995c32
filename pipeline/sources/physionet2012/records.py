"""The text files of PhysioNet/CinC Challenge 2012: where they are, and their rows as tables."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ....cache_schema import InputError, MissingInputError
from ...source import Quarantine

SETS = "set-?"
DEPTH = 2
RECORDS_AT_ONCE = 1000
"""About 8 MB of text and 450,000 rows."""

HEADER = b"Time,Parameter,Value"
SCHEMA = {"record": pl.Int64, "time": pl.String, "parameter": pl.String, "value": pl.String}

DESCRIPTORS = ("RecordID", "Age", "Gender", "Height", "ICUType", "Weight")
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
    for path in sorted(path for folder in _find(raw, SETS) for path in folder.glob("*.txt") if path.stem.isdigit()):
        if other := files.get(int(path.stem)):
            raise InputError(f"Record {path.stem} is there twice: {other} and {path}. Remove one of the folders.")
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


def read_outcomes(paths: Sequence[Path]) -> dict[int, int]:
    """Return for each record number whether the patient died in hospital (1) or not (0).

    Raises
    ------
    InputError
        If a table lacks a column, or a death is neither 0 nor 1.
    """
    died: dict[int, int] = {}
    for path in paths:
        table = pl.read_csv(path, infer_schema=False)
        absent = {"RecordID", "In-hospital_death"} - set(table.columns)
        if absent:
            raise InputError(f"{path} has no column {min(absent)!r}; it has {', '.join(table.columns)}.")
        for record, death in table.select("RecordID", "In-hospital_death").iter_rows():
            if death not in ("0", "1"):
                raise InputError(f"{path}, record {record}: In-hospital_death is {death!r}, expected 0 or 1.")
            died[int(record)] = int(death)
    return died


def read_rows(files: dict[int, Path], quarantine: Quarantine) -> Iterator[tuple[list[int], pl.DataFrame]]:
    """Yield some records and their rows: record, minute (int), parameter, value (float), in order of record and time.

    Rows that say nothing (no parameter name, no time within 48 hours, no number, -1 for "not measured") are dropped;
    all but the last kind are counted in the quarantine.
    """
    everything = list(files.items())
    for start in range(0, len(everything), RECORDS_AT_ONCE):
        some = everything[start : start + RECORDS_AT_ONCE]
        texts = [_with_number(record, path) for record, path in some]
        rows = pl.read_csv(
            b"\n".join(texts), has_header=False, schema=SCHEMA, encoding="utf8-lossy",
            truncate_ragged_lines=True, quote_char=None,
        )  # fmt: skip
        yield [record for record, _ in some], _usable(rows, quarantine)


def set_name(path: Path) -> str:
    """Return the name of the set of a record's file, such as ``set-a``."""
    return path.parent.name


def _find(raw: Path, pattern: str) -> list[Path]:
    levels = ("*/" * level + pattern for level in range(DEPTH))
    return sorted(path for level in levels for path in raw.glob(level))


def _with_number(record: int, path: Path) -> bytes:
    """Return the lines of a file without its header, each beginning with the number of the record."""
    header, _, body = path.read_bytes().replace(b"\r", b"").strip().partition(b"\n")
    if header != HEADER:
        raise InputError(f"{path}, line 1: expected {HEADER.decode()}, got {header[:40].decode(errors='replace')!r}.")
    number = b"%d," % record
    return number + body.replace(b"\n", b"\n" + number)


def _usable(rows: pl.DataFrame, quarantine: Quarantine) -> pl.DataFrame:
    """Drop the rows that say nothing and count them by reason."""
    clock = pl.col("time").str.extract_groups(r"^(\d+):([0-5]\d)$")
    hours, minutes = (clock.struct.field(name).cast(pl.Int64) for name in ("1", "2"))
    rows = rows.with_columns(
        minute=hours * 60 + minutes,
        number=pl.col("value").cast(pl.Float64, strict=False),
        name=pl.col("parameter").fill_null("").str.strip_chars(),
    )
    checks: dict[str, Any] = {
        "no parameter name": pl.col("name") == "",
        "time is not HH:MM within 48 hours": ~pl.col("minute").is_between(0, 48 * 60).fill_null(False),
        "value is not a number": ~pl.col("number").is_finite().fill_null(False),
    }
    for reason, wrong in checks.items():
        _count(rows.filter(wrong), reason, quarantine)
        rows = rows.filter(~wrong)
    rows = rows.filter(pl.col("number") != -1).sort("record", "minute", maintain_order=True)
    return rows.select("record", "minute", parameter="name", value="number")


def _count(rows: pl.DataFrame, reason: str, quarantine: Quarantine) -> None:
    if len(rows):
        record, time, parameter, value = rows.select("record", "time", "parameter", "value").row(0)
        quarantine.add("read", "records", f"{record} {time} {parameter or ''}", value or "", reason, len(rows))
