"""Labels of a MEDS task: a subject, the time up to which everything may be seen, and what is to be predicted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from ....cache_schema import InputError, MissingInputError, Task
from ....cache_schema.errors import shown
from ...series.times import moments
from ...source import Quarantine
from ...tables.feature_files import as_text, read_numbered_table, require_columns, row_of
from ...tables.ids import as_ids
from ...tables.labels import MOST_NUMBERS, check_name, read_task
from . import COLUMNS, VALUES

STAGE = "labels"
QUANTITY, WHOLE = "float_value", "integer_value"
ZONE = r":\d\d(\.\d+)? *(Z|UTC|GMT|[+-]\d\d:?(\d\d)?)$"
EXAMPLE = "2020-01-31 23:59:00"


@dataclass(frozen=True)
class Labels:
    """The samples, sorted by ``sample_id``: sample_id, subject_id, prediction_time; and their task."""

    samples: pl.DataFrame
    task: Task


def label_files(path: Path) -> list[Path]:
    """Return the files of a task: the one named, or every Parquet file below a folder.

    Raises :class:`MissingInputError` if there are none.
    """
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise MissingInputError(f"There are no labels at {path}; --samples names a table with {COLUMNS}.")
    return files


def read_rows(files: Sequence[Path], quarantine: Quarantine) -> pl.DataFrame:
    """Return the usable rows of tables of labels: subject_id, prediction_time, file, position, and the values as text.

    Rows without a readable subject and time, or with those of a row before, are quarantined.

    Raises
    ------
    InputError
        If a table lacks a column, a time has a time zone (those of MEDS have none), or none is written as a time.
    """
    rows = pl.concat([_read_file(path) for path in files], how="diagonal")
    repeated = ~pl.struct("subject_id", "prediction_time").is_first_distinct()
    for reason, wrong in (
        ("subject_id is no whole number", pl.col("subject_id").is_null()),
        ("prediction_time is no date and time", pl.col("prediction_time").is_null()),
        ("this subject has a label at this time already", repeated),
    ):
        rows = leave_out(rows, wrong, reason, quarantine)
    return rows


def leave_out(rows: pl.DataFrame, wrong: pl.Expr, reason: str, quarantine: Quarantine) -> pl.DataFrame:
    """Quarantine the rows of :func:`read_rows` for which a condition holds, and return the others."""
    first = rows.filter(wrong).group_by("file", maintain_order=True).agg(pl.col("line").first(), pl.len())
    for file, line, count in first.iter_rows():
        quarantine.add(STAGE, file, row_of(line), "", reason, count)
    return rows.filter(~wrong)


def make_labels(path: Path, rows: pl.DataFrame, window_hours: float, limit: int | None) -> Labels:
    """Return samples and task of the rows; the task is named like its file or folder.

    A sample's id is that of its subject and its prediction time. ``limit``: only the first by id.

    Raises
    ------
    InputError
        If the values are not of one kind.
    """
    time = pl.col("prediction_time").dt.strftime("%Y-%m-%dT%H:%M:%S%.f")
    rows = rows.with_columns(sample_id=pl.format("{}@{}", "subject_id", time)).sort("sample_id")
    name = check_name(path.name.partition(".")[0], "The task")
    column = _value_column(rows, path)
    label = f"{name}:regression" if _is_quantity(column, rows[column]) else name
    task = read_task(rows.rename({column: name}), label, path, rows["line"])
    counts = (("labels of subjects with data", len(rows)), *task.counts[1:])
    if limit is not None:
        rows, counts = rows.head(limit), (*counts, (f"the first {limit}", min(limit, len(rows))))
    samples = rows.select("sample_id", "subject_id", "prediction_time")
    return Labels(samples, replace(task, y=task.y[: len(samples)], window_hours=window_hours, counts=counts))


def _is_quantity(column: str, values: pl.Series) -> bool:
    """Return whether labels are a quantity: real numbers, or more whole ones than classes have."""
    return column == QUANTITY or (column == WHOLE and values.n_unique() > MOST_NUMBERS)


def _read_file(path: Path) -> pl.DataFrame:
    table, lines = read_numbered_table(path)
    require_columns(table, ["subject_id", "prediction_time"], path)
    kind = table["prediction_time"].dtype
    if not (kind == pl.String or (isinstance(kind, pl.Datetime) and kind.time_zone is None)):
        raise InputError(f"{path}: prediction_time is {kind}; in MEDS it holds timestamps without a time zone.")
    ids, times = table["subject_id"], moments(table["prediction_time"])
    _refuse_times(table["prediction_time"], times, lines, path)
    return table.select(
        as_ids(ids).cast(pl.Int64, strict=False).alias("subject_id"),
        times.alias("prediction_time"),
        pl.lit(path.name).alias("file"),
        lines.alias("line"),
        *(as_text(table[name]).alias(name) for name in VALUES if name in table.columns),
    )


def _refuse_times(written: pl.Series, times: pl.Series, lines: pl.Series, path: Path) -> None:
    """Raise :class:`InputError` for a time with a zone, and where no time at all can be read."""
    unread = times.is_null() & written.is_not_null()
    if not unread.any():
        return
    zoned = unread & written.str.contains(ZONE)
    if not zoned.any() and times.count():
        return
    at = int((zoned if zoned.any() else unread).arg_true()[0])
    reason = "has a time zone, and in MEDS times have none" if zoned.any() else f"is not written like {EXAMPLE}"
    raise InputError(
        f"{path}: prediction_time of {row_of(lines[at])}, {shown(written[at])}, {reason}. Write local times."
    )


def _value_column(rows: pl.DataFrame, path: Path) -> str:
    """Return the column that holds the labels."""
    given = [name for name in VALUES if name in rows.columns and rows[name].count()]
    if not given:
        raise InputError(f"{path} holds no label; a table of MEDS labels has {COLUMNS}.")
    if len(given) > 1:
        raise InputError(f"{path} holds labels in {' and '.join(given)}; keep one of the columns.")
    return given[0]
