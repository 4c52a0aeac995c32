"""The rows of MEDS files that samples may see, as lazy tables: timed ones in a window, and static ones.

``windows`` has one row a sample: subject_id, running numbers ``subject`` and ``sample``, start and end. Both ends
belong to the window, and nothing after its end, the prediction time, is seen by any of these queries.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from ...source import Quarantine
from ...tables.feature_files import LINE_OF_FIRST_ROW, reading, row_of
from .folder import NUMBER, STAGE

BIRTH = "MEDS_BIRTH"
"""The code of a birth, also with something behind it: ``MEDS_BIRTH//HOSPITAL``."""


def is_birth(code: pl.Expr) -> pl.Expr:
    """Return whether a code is that of a birth."""
    return (code == BIRTH) | code.str.starts_with(f"{BIRTH}//")


IS_BIRTH = is_birth(pl.col("code"))
MICROSECONDS_PER_HOUR = 3.6e9
HOURS_PER_YEAR = 365.25 * 24
LARGEST = float(np.finfo(np.float32).max)
COLUMNS = ("subject", "sample", "row", "hours", "code", "value")

PROBLEMS = {
    "no subject_id": pl.col("subject_id").is_null(),
    "no code": pl.col("code").is_null(),
    "numeric_value is infinite or too large": (pl.col("value").abs() > LARGEST).fill_null(False),
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


def static_rows(path: Path, windows: pl.DataFrame, static: pl.DataFrame) -> pl.LazyFrame:
    """Return rows without a time, and births, whose value is the age in years at the window's end.

    ``static`` (code, number) are the codes that never have a time. The value of those that are numbers is their number,
    of the others 1. The code of every birth is :data:`BIRTH`; the hours of all these rows are null.
    """
    is_number, is_category = (
        pl.col("code").is_in(codes.implode()) for codes in (_numbers(static), _categories(static))
    )
    undated = pl.col("time").is_null() & (is_category | (is_number & pl.col("value").is_not_null()))
    age = _hours(pl.col("time"), pl.col("end")) / HOURS_PER_YEAR
    rows = _of_samples(path, windows).filter(undated | (IS_BIRTH & (pl.col("time") <= pl.col("end"))))
    return rows.with_columns(
        hours=pl.lit(None, pl.Float64),
        code=pl.when(IS_BIRTH).then(pl.lit(BIRTH)).otherwise("code"),
        value=pl.when(IS_BIRTH).then(age).when(is_number).then("value").otherwise(1.0),
    ).select(COLUMNS)


Readers = Mapping[str, Callable[[Path, pl.DataFrame], pl.LazyFrame]]
"""What reads the rows of each modality that lie in windows."""


def readers(static: pl.DataFrame) -> Readers:
    """Return what reads each modality; ``static`` as in :func:`static_rows`."""
    return {"ehr": numeric_rows, "codes": coded_rows, "static": partial(static_rows, static=static)}


@dataclass(frozen=True)
class Survey:
    """What the files hold: which ``subjects`` of those asked for, one of all (None if there are none), static codes.

    ``static`` (code, number) are the codes that never have a time, and whether they have numbers.
    """

    subjects: pl.Series
    example: int | None
    static: pl.DataFrame


def survey(files: Sequence[Path], raw: Path, subjects: pl.Series, quarantine: Quarantine) -> Survey:
    """Read the files once, and quarantine every row that cannot be used."""
    found = pl.Series([], dtype=pl.Int64)
    example: int | None = None
    undated = pl.DataFrame(schema={"code": pl.String, "number": pl.Boolean, "mixed": pl.Boolean})
    value = pl.col("value")
    for path in files:
        _quarantine(path, raw, PROBLEMS, quarantine)
        with reading(path):
            there = (
                _rows(path).select("subject_id").unique().collect(engine="streaming")["subject_id"].drop_nulls().sort()
            )
            codes = _usable(path).filter(pl.col("time").is_null()).group_by("code")
            agg = codes.agg(number=value.is_not_null().any(), mixed=value.null_count().is_between(1, pl.len() - 1))
            undated.extend(agg.collect(engine="streaming"))
        found = found.append(there.filter(there.is_in(subjects.implode()))).unique()
        example = there[0] if example is None and len(there) else example
    several = pl.col("number").n_unique() > 1
    undated = undated.group_by("code").agg(pl.col("number").any(), mixed=pl.col("mixed").any() | several)
    measured = _measured(files, undated["code"])
    static = undated.filter(~pl.col("code").is_in(measured.implode())).sort("code")
    for path in files if len(measured) or static["mixed"].any() else ():
        _quarantine(path, raw, _undated_problems(measured, static), quarantine)
    return Survey(found, example, static.drop("mixed"))


def _measured(files: Sequence[Path], codes: pl.Series) -> pl.Series:
    """Return which of some codes, found without a time, elsewhere have one: births and measurements."""
    measured = codes.filter(pl.select(is_birth(pl.lit(codes))).to_series())
    for path in files if len(codes) else ():
        timed = _usable(path).filter(pl.col("time").is_not_null() & pl.col("code").is_in(codes.implode()))
        with reading(path):
            measured = measured.append(timed.select("code").unique().collect(engine="streaming")["code"])
    return measured.unique()


def _undated_problems(measured: pl.Series, static: pl.DataFrame) -> dict[str, pl.Expr]:
    usable = pl.col("time").is_null() & ~pl.any_horizontal(*PROBLEMS.values())
    numbers = pl.col("code").is_in(_numbers(static).implode())
    return {
        "no time, and the code is that of a measurement": usable & pl.col("code").is_in(measured.implode()),
        "no number, unlike other rows of the code": usable & numbers & pl.col("value").is_null(),
    }


def _quarantine(path: Path, raw: Path, problems: Mapping[str, pl.Expr], quarantine: Quarantine) -> None:
    with reading(path):
        counts = _rows(path).select(_count(reason, wrong) for reason, wrong in problems.items())
        counted = counts.collect(engine="streaming").row(0, named=True)
    for reason, found in counted.items():
        if found["rows"]:
            name = path.relative_to(raw).as_posix()
            quarantine.add(STAGE, name, row_of(found["first"]), "", reason, found["rows"])


def _count(reason: str, wrong: pl.Expr) -> pl.Expr:
    return pl.struct(rows=wrong.sum(), first=pl.col("row").filter(wrong).min()).alias(reason)


def _numbers(static: pl.DataFrame) -> pl.Series:
    return static.filter("number")["code"]


def _categories(static: pl.DataFrame) -> pl.Series:
    return static.filter(~pl.col("number"))["code"]


def _in_window(path: Path, windows: pl.DataFrame) -> pl.LazyFrame:
    timed = _of_samples(path, windows).filter(pl.col("time").is_between("start", "end"))
    return timed.with_columns(hours=_hours(pl.col("start"), pl.col("time")))


def _of_samples(path: Path, windows: pl.DataFrame) -> pl.LazyFrame:
    """Return the usable rows of the samples' subjects, once for each sample."""
    return _usable(path).join(windows.lazy(), on="subject_id")


def _usable(path: Path) -> pl.LazyFrame:
    return _rows(path).filter(~pl.any_horizontal(*PROBLEMS.values()))


def _rows(path: Path) -> pl.LazyFrame:
    """Return the rows of a file: row (from 2, as if a header were the first), subject_id, time, code, value."""
    has_numbers = NUMBER in pl.scan_parquet(path, glob=False).collect_schema()
    number = pl.col(NUMBER).cast(pl.Float64).fill_nan(None) if has_numbers else pl.lit(None, pl.Float64)
    return pl.scan_parquet(path, row_index_name="row", row_index_offset=LINE_OF_FIRST_ROW, glob=False).select(
        "row", pl.col("subject_id").cast(pl.Int64), pl.col("time").cast(pl.Datetime("us")),
        pl.col("code").cast(pl.String), value=number,
    )  # fmt: skip


def _hours(begin: pl.Expr, end: pl.Expr) -> pl.Expr:
    return (end - begin).dt.total_microseconds() / MICROSECONDS_PER_HOUR
