"""Columns of a table of labels -> tasks, of the kind that their values are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import InputError, Task
from .feature_files import as_text
from .labels import check_name, read_task

LabelKind = Literal["auto", "multilabel", "regression"]
MEDS_VALUES = ("boolean_value", "integer_value", "float_value", "categorical_value")
"""Columns of a table of MEDS labels; their task is called as the file."""
MOST_MISSING = 0.5
DECIMAL = r"^-?\d+\.\d*[1-9]\d*$"
BINARY = ("0", "1", "0.0", "1.0", "true", "false")


def label_tasks(
    labels: pl.DataFrame, name: str, path: Path, lines: pl.Series, kind: LabelKind, *, allow_missing: bool
) -> Iterator[Task]:
    """Yield a task for each column, with labels of each row: 0 and 1 binary, decimals regression, others classes.

    ``NAME_time`` and ``NAME_event`` are one survival task, a time in days. With ``kind`` multilabel all columns of 0
    and 1 are one task called ``name``, as the only column of MEDS is; with regression every column of numbers is a
    quantity.

    Raises
    ------
    InputError
        For a label that more than half of the rows lack, without ``allow_missing``; or values of no kind.
    """
    meds = [column for column in labels.columns if column in MEDS_VALUES and labels[column].null_count() < len(labels)]
    labels = labels.drop(column for column in MEDS_VALUES if column in labels.columns and column not in meds)
    if len(meds) == 1:
        labels = labels.rename({meds[0]: name})
    for column in labels.columns:
        missing = int((as_text(labels[column]).fill_null("") == "").sum())
        if missing > MOST_MISSING * len(labels) and not allow_missing:
            raise InputError(
                f"{path}: {column} is missing in {missing:,} of {len(labels):,} rows; --allow-missing-labels takes it."
            )
    survival = [column.removesuffix("_time") for column in labels.columns if _is_survival(labels, column)]
    for one in survival:
        yield _survival(labels, one, path)
    labels = labels.drop(f"{one}{end}" for one in survival for end in ("_time", "_event"))
    together = [column for column in labels.columns if kind == "multilabel" and _are_binary(labels[column])]
    if together:
        yield read_task(labels, f"{name}={','.join(together)}", path, lines)
    for column in labels.columns:
        if column in together:
            continue
        values = as_text(labels[column])
        numbers = values.cast(pl.Float64, strict=False)
        quantity = numbers.null_count() == values.null_count() and not _are_binary(labels[column])
        if quantity and (kind == "regression" or values.str.contains(DECIMAL).any()):
            y = numbers.fill_null(np.nan).to_numpy().astype(np.float32)[:, None]
            yield Task(check_name(column, "The label"), "regression", (column,), y)
        else:
            yield read_task(labels, column, path, lines)


def _is_survival(labels: pl.DataFrame, column: str) -> bool:
    return column.endswith("_time") and f"{column.removesuffix('_time')}_event" in labels.columns


def _survival(labels: pl.DataFrame, name: str, path: Path) -> Task:
    columns: list[npt.NDArray[np.float32]] = []
    for end in ("_time", "_event"):
        texts = as_text(labels[f"{name}{end}"])
        numbers = texts.replace({"true": "1", "false": "0"}).cast(pl.Float32, strict=False)
        if numbers.null_count() > texts.null_count():
            raise InputError(f"{path}: {name}{end} has values that are no numbers.")
        columns.append(numbers.fill_null(np.nan).to_numpy())
    y = np.stack(columns, axis=1)
    y[np.isnan(y).any(axis=1)] = np.nan
    if (y[:, 0] < 0).any() or not np.isin(y[:, 1][~np.isnan(y[:, 1])], (0, 1)).all():
        raise InputError(f"{path}: {name}_time must be 0 or more, and {name}_event 0 or 1.")
    return Task(check_name(name, "The label"), "survival", ("time", "event"), y, unit="d")


def _are_binary(column: pl.Series) -> bool:
    values = as_text(column).drop_nulls().str.to_lowercase().unique()
    return bool(values.is_in(BINARY).all()) and len(values) > 0
