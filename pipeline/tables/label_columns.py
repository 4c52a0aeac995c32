"""Columns of a table of labels -> tasks, of the kind that their values are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import polars as pl

from ...cache_schema import InputError, Task
from ...cache_schema.elements import SURVIVAL_LABELS
from .feature_files import as_text
from .label_spec import EVENT, TIME
from .labels import check_name, read_task
from .outcomes import read_quantity, read_survival

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
    survival = [column.removesuffix(TIME) for column in labels.columns if _is_survival(labels, column)]
    for one in survival:
        y = read_survival(labels, (one + TIME, one + EVENT), path, lines)
        yield Task(check_name(one, "The label"), "survival", SURVIVAL_LABELS, y, unit="d")
    labels = labels.drop(f"{one}{end}" for one in survival for end in (TIME, EVENT))
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
            y = read_quantity(labels, column, path, lines)[:, None]
            yield Task(check_name(column, "The label"), "regression", (column,), y)
        else:
            yield read_task(labels, column, path, lines)


def _is_survival(labels: pl.DataFrame, column: str) -> bool:
    return column.endswith(TIME) and column.removesuffix(TIME) + EVENT in labels.columns


def _are_binary(column: pl.Series) -> bool:
    values = as_text(column).drop_nulls().str.to_lowercase().unique()
    return bool(values.is_in(BINARY).all()) and len(values) > 0
