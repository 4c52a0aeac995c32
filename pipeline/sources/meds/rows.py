"""The rows of MEDS files that samples may see, as lazy tables: timed ones in a window, and static ones.

``windows`` has one row a sample: subject_id, running numbers ``subject`` and ``sample``, start and end. Both ends
belong to the window, and nothing after its end, the prediction time, is seen by any of these queries.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import polars as pl

from ...source import Quarantine
from ..feature_files import LINE_OF_FIRST_ROW, reading, row_of
from .folder import NUMBER, STAGE

BIRTH = "MEDS_BIRTH"
"""The code of a birth, also with something behind it: ``MEDS_BIRTH//HOSPITAL``."""
MICROSECONDS_PER_HOUR = 3.6e9
HOURS_PER_YEAR = 365.25 * 24
COLUMNS = ("subject", "sample", "row", "hours", "code", "value")

PROBLEMS = {
    "no subject_id": pl.col("subject_id").is_null(),
    "no code": pl.col("code").is_null(),
    "numeric_value is infinite": pl.col("value").is_infinite().fill_null(False),
}
"""What makes a row unusable. A value that is not a number (NaN) is none."""


def sample_windows(samples: pl.DataFrame, hours: float) -> pl.DataFrame:
    """Return the windows of samples (subject_id, prediction_time) that look back so many hours."""
    end = pl.col("prediction_time")
    return samples.select(
        "subject_id", start=end - timedelta(hours=hours), end=end,
        subject=pl.col("subject_id").rank("dense").cast(pl.Int32) - 1, sample=pl.int_range(pl.len()),
    )  # fmt: skip


def numeric_rows(path: Path, windows: pl.DataFrame) -> pl.LazyFrame:
    """Return rows in a window that have a number: subject, sample, row, hours since the start, code and value."""
    return _in_window(path, windows).filter(pl.col("value").is_not_null()).select(COLUMNS)


def coded_rows(path: Path, windows: pl.DataFrame) -> pl.LazyFrame:
    """Return rows in a window that have no number; their value is 1."""
    return _in_window(path, windows).filter(pl.col("value").is_null()).with_columns(value=pl.lit(1.0)).select(COLUMNS)


def static_rows(path: Path, windows: pl.DataFrame) -> pl.LazyFrame:
    """Return rows without a time, whose value is 1, and births, whose value is the age in years at the window's end.

    The code of every birth is :data:`BIRTH`; the hours of all these rows are null.
    """
    is_birth = (pl.col("code") == BIRTH) | pl.col("code").str.starts_with(f"{BIRTH}//")
    known = (pl.col("time").is_null() & ~is_birth) | (is_birth & (pl.col("time") <= pl.col("end")))
    age = _hours(pl.col("time"), pl.col("end")) / HOURS_PER_YEAR
    rows = _of_samples(path, windows).filter(known)
    return rows.with_columns(
        hours=pl.lit(None, pl.Float64),
        code=pl.when(is_birth).then(pl.lit(BIRTH)).otherwise("code"),
        value=pl.when(is_birth).then(age).otherwise(1.0),
    ).select(COLUMNS)


def survey(files: Sequence[Path], raw: Path, subjects: pl.Series, quarantine: Quarantine) -> pl.Series:
    """Return which of ``subjects`` have rows, and quarantine every row of the files that cannot be used."""
    found = pl.Series([], dtype=pl.Int64)
    for path in files:
        with reading(path):
            counts = _rows(path).select(_count(reason) for reason in PROBLEMS).collect(engine="streaming")
            there = _rows(path).select("subject_id").unique().collect(engine="streaming")["subject_id"]
        found = found.append(there.filter(there.is_in(subjects.implode()))).unique()
        for reason, counted in counts.row(0, named=True).items():
            if counted["rows"]:
                name = path.relative_to(raw).as_posix()
                quarantine.add(STAGE, name, row_of(counted["first"]), "", reason, counted["rows"])
    return found


def _count(reason: str) -> pl.Expr:
    wrong = PROBLEMS[reason]
    return pl.struct(rows=wrong.sum(), first=pl.col("row").filter(wrong).min()).alias(reason)


def _in_window(path: Path, windows: pl.DataFrame) -> pl.LazyFrame:
    timed = _of_samples(path, windows).filter(pl.col("time").is_between("start", "end"))
    return timed.with_columns(hours=_hours(pl.col("start"), pl.col("time")))


def _of_samples(path: Path, windows: pl.DataFrame) -> pl.LazyFrame:
    """Return the usable rows of the samples' subjects, once for each sample."""
    usable = _rows(path).filter(~pl.any_horizontal(*PROBLEMS.values()))
    return usable.join(windows.lazy(), on="subject_id")


def _rows(path: Path) -> pl.LazyFrame:
    """Return the rows of a file: row (from 2, as if a header were the first), subject_id, time, code, value."""
    has_numbers = NUMBER in pl.read_parquet_schema(path)
    number = pl.col(NUMBER).cast(pl.Float64).fill_nan(None) if has_numbers else pl.lit(None, pl.Float64)
    return pl.scan_parquet(path, row_index_name="row", row_index_offset=LINE_OF_FIRST_ROW, glob=False).select(
        "row", pl.col("subject_id").cast(pl.Int64), pl.col("time").cast(pl.Datetime("us")),
        pl.col("code").cast(pl.String), value=number,
    )  # fmt: skip


def _hours(begin: pl.Expr, end: pl.Expr) -> pl.Expr:
    return (end - begin).dt.total_microseconds() / MICROSECONDS_PER_HOUR
