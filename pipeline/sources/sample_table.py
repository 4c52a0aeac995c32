"""A user's table of samples: ids, patients, labels, a split and columns to keep."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ...cache_schema import InputError, Task
from ..source import Quarantine
from .feature_files import SAMPLE_ID, STAGE, as_text, read_table, require_columns, row_of
from .labels import check_name, read_parts, read_task

SUBJECT_ID = "subject_id"
WHOLE_NUMBER = r"^(0|-?[1-9]\d{0,17})$"


@dataclass(frozen=True)
class SampleColumns:
    """Which columns of a table of samples say what.

    Parameters
    ----------
    labels
        Columns to predict: ``COLUMN``, or ``NAME=COLUMN,COLUMN`` for a task with several labels.
    split
        Column with the part of each sample: train, validation or test.
    keep
        Further columns to store, such as age and sex; no model sees them.
    sample_id, subject_id
        The sample and its patient; without the latter column every sample is a patient of its own.
    """

    labels: tuple[str, ...] = ()
    split: str | None = None
    keep: tuple[str, ...] = ()
    sample_id: str = SAMPLE_ID
    subject_id: str = SUBJECT_ID


@dataclass(frozen=True)
class SampleTable:
    """The samples of a table, sorted by their id.

    ``frame`` has sample_id, subject_id and the kept columns; ``table`` every column as it was read, ``texts`` the ids
    as text, and ``positions`` where each sample lies in the file, 0 being its first row.
    """

    frame: pl.DataFrame
    table: pl.DataFrame
    texts: pl.Series
    positions: pl.Series
    tasks: tuple[Task, ...]
    splits: dict[str, pl.DataFrame]


def read_samples(path: Path, columns: SampleColumns, quarantine: Quarantine, limit: int | None = None) -> SampleTable:
    """Read the samples, or the first ``limit`` by id; rows whose id is empty or was there already are quarantined.

    Raises
    ------
    InputError
        If the file is no table, lacks a column, or holds a label, part or subject that cannot be meant.
    """
    table = read_table(path)
    require_columns(table, [columns.sample_id, *columns.keep], path)
    ids = as_text(table[columns.sample_id])
    positions = first_rows(ids, path, quarantine)
    table, ids = table[positions], ids[positions]
    typed = _typed_ids(ids)
    kept = {name: _typed(table[name]) for name in columns.keep}
    frame = pl.DataFrame({SAMPLE_ID: typed, SUBJECT_ID: _subjects(table, ids, positions, columns, path), **kept})
    order = typed.arg_sort()[:limit]
    frame, table, ids, positions = frame[order], table[order], ids[order], positions[order]
    tasks = tuple(read_task(table, label, path, positions) for label in columns.labels)
    splits = {}
    if columns.split is not None:
        parts = frame.select(SAMPLE_ID).with_columns(part=read_parts(table, columns.split, path, positions))
        splits[check_name(columns.split, "The split")] = parts.drop_nulls("part")
    return SampleTable(frame, table, ids, positions, tasks, splits)


def first_rows(ids: pl.Series, path: Path, quarantine: Quarantine) -> pl.Series:
    """Return the position of the first row of every id; the other rows are quarantined."""
    for reason, wrong in (
        (f"{ids.name} is empty", ids.is_null()),
        (f"{ids.name} is repeated", ids.is_not_null() & ~ids.is_first_distinct()),
    ):
        for at in wrong.arg_true():
            quarantine.add(STAGE, path.name, row_of(at), str(ids[at] or ""), reason)
    return (ids.is_not_null() & ids.is_first_distinct()).arg_true()


def _subjects(
    table: pl.DataFrame, ids: pl.Series, positions: pl.Series, columns: SampleColumns, path: Path
) -> pl.Series:
    subjects = as_text(table[columns.subject_id]) if columns.subject_id in table.columns else ids
    if subjects.null_count():
        at = int(subjects.is_null().arg_true()[0])
        raise InputError(
            f"{path}, {row_of(positions[at])}: sample {ids[at]} has no {columns.subject_id}; splits are by patient."
        )
    return _typed_ids(subjects)


def _typed_ids(texts: pl.Series) -> pl.Series:
    """Return ids as whole numbers if all of them are written as such, else as text."""
    return texts.cast(pl.Int64) if texts.str.contains(WHOLE_NUMBER).all() else texts


def _typed(column: pl.Series) -> pl.Series:
    """Return numbers if everything that is known is one, else text."""
    text = as_text(column)
    numbers = text.cast(pl.Float64, strict=False)
    return numbers if numbers.null_count() == text.null_count() else text
