"""Tasks and splits from columns of a user's table of samples."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import InputError, Task, TaskKind
from ...cache_schema.elements import SURVIVAL_LABELS
from .feature_files import as_text, cell_lines, require_columns
from .label_spec import LabelSpec
from .outcomes import TRUTH, read_quantity, read_survival, read_truth, unexpected
from .splits import PARTS

MOST_CLASSES = 100
MOST_NUMBERS = 10
"""Of more different numbers than these it is asked whether they are a quantity."""
MOST_ARE_NUMBERS = 0.8
"""Of the values of a quantity so many are numbers; others among them are named."""
NUMBER = r"^-?(0|[1-9]\d*)(\.\d+)?$"
"""Not 007, which is a code."""
DECIMAL = r"^-?\d*[.,]\d+([eE][-+]?\d+)?$"
EXPONENT = r"^-?\d+[eE][-+]?\d+$"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def check_name(name: str, what: str) -> str:
    """Return a name that can be a folder of the cache; raises :class:`InputError` for any other."""
    if not NAME.fullmatch(name):
        raise InputError(f"{what} {name!r}: use letters, digits, - and _ only, such as {suggestion(name)!r}.")
    return name


def suggestion(name: str) -> str:
    """Return a name that can be a folder of the cache, as near to the given one as there is."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-") or "name"


def read_task(table: pl.DataFrame, label: str, path: Path, lines: pl.Series) -> Task:
    """Return the task of a label, written as `LabelSpec` says.

    0 and 1 (or false and true) make a binary task, in which any other word is refused; three or more other values make
    one with classes, decimals that are too many for that a quantity. 1 and 1.0 are one value; what is missing is
    unknown. ``NAME_time`` and ``NAME_event`` are a time to an event.
    ``lines`` are those on which the rows of ``table`` begin in its file, as a text editor counts.

    Raises
    ------
    InputError
        For an unknown column, or values that are none of this, or not what the label says.
    """
    spec = LabelSpec.parse(label, table.columns)
    require_columns(table, spec.columns, path)
    if spec.kind == "survival":
        return _task(spec.name, "survival", SURVIVAL_LABELS, read_survival(table, spec.columns, path, lines))
    if spec.kind == "regression" or (spec.kind is None and _is_quantity(table[spec.name])):
        y = np.stack([read_quantity(table, column, path, lines) for column in spec.columns], axis=1)
        return _task(spec.name, "regression", spec.columns, y)
    if spec.kind == "multilabel":
        y = np.stack([_binary(table, column, path, lines) for column in spec.columns], axis=1)
        return _task(spec.name, "multilabel", spec.columns, y)
    name, texts = spec.name, as_classes(table[spec.columns[0]])
    values = texts.drop_nulls().unique().to_list()
    if _are_binary(values):
        return _task(name, "binary", (name,), _binary(table, spec.columns[0], path, lines)[:, None])
    classes = _classes(values, name, path, asked=spec.kind is None)
    places = texts.replace_strict(classes, list(range(len(classes))), default=None, return_dtype=pl.Float32)
    return _task(name, "multiclass", classes, places.fill_null(np.nan).to_numpy()[:, None])


def _is_quantity(column: pl.Series) -> bool:
    """Return whether these are numbers with decimals, of more values than classes: than 10, or half of the rows.

    A few words among them are no classes but slips, which whoever reads the quantity names.
    """
    texts = as_text(column).drop_nulls()
    decimal = texts.str.contains(DECIMAL)
    numbers = texts.filter(decimal | texts.str.contains(NUMBER) | texts.str.contains(EXPONENT))
    if not decimal.any() or len(numbers) < MOST_ARE_NUMBERS * len(texts):
        return False
    written = as_classes(numbers)  # 1.0 is 1
    different = written.n_unique()
    whole = written.str.contains(r"^-?\d+$").all()
    return not whole and (different > MOST_NUMBERS or different > max(2, len(texts) // 2))


def _are_binary(values: Sequence[str]) -> bool:
    """Return whether these are 0 and 1, perhaps with words beside them that cannot be meant; grades go on to 2."""
    others = [value for value in values if value.lower() not in TRUTH]
    return not others or (len(values) - len(others) > 1 and not any(value[0].isdigit() for value in others))


def as_classes(column: pl.Series) -> pl.Series:
    """Return a column as names of classes, null where missing.

    Of numbers and truth values one spelling: 1.0 and 1 are one, and so are TRUE (R, Excel), True (Python) and true.
    """
    texts = as_text(column)
    if texts.str.to_lowercase().is_in(["true", "false"]).all():
        return texts.str.to_lowercase()
    if not texts.str.contains(NUMBER).all():
        return texts
    return texts.str.replace(r"\.0+$", "").str.replace(r"(\.\d*[1-9])0+$", "${1}")


def in_order(classes: Sequence[str]) -> tuple[str, ...]:
    """Return classes in order: of numbers by size, else of the alphabet."""
    numeric = all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in classes)
    return tuple(sorted(classes, key=float) if numeric else sorted(classes))


def _task(name: str, kind: TaskKind, labels: tuple[str, ...], y: npt.NDArray[np.float32]) -> Task:
    known = int((~np.isnan(y)).any(axis=1).sum())
    counts = (("samples of the table", len(y)), ("with a known label", known))
    return Task(check_name(name, "The label"), kind, labels, y, None, counts=counts)


def _binary(table: pl.DataFrame, name: str, path: Path, lines: pl.Series) -> npt.NDArray[np.float32]:
    """Return 0, 1 or NaN, [N]."""
    return read_truth(table.with_columns(as_classes(table[name])), name, path, lines)


def _classes(values: Sequence[str], name: str, path: Path, *, asked: bool) -> tuple[str, ...]:
    """Return the classes in order; raises :class:`InputError` for values that are no classes.

    With ``asked`` many numbers are taken for a quantity, and what is meant has to be said.
    """
    if len(values) == 1:
        raise InputError(f"{path}: {name} is {values[0]} wherever it is known; there is nothing to predict.")
    if len(values) < 3:
        raise InputError(
            f"{path}: {name} has the values {', '.join(sorted(values))}. Write 0 and 1, so that it is clear which of "
            "the two is to be predicted; three or more values make classes."
        )
    if asked and len(values) > MOST_NUMBERS and all(re.fullmatch(NUMBER, value) for value in values):
        raise InputError(
            f"{path}: {name} has {len(values):,} different numbers. If it is a quantity, say so: --label "
            f"{name}:regression. If they are classes: {name}:multiclass."
        )
    if len(values) > MOST_CLASSES:
        raise InputError(
            f"{path}: {name} has {len(values):,} different values; classes can be {MOST_CLASSES} at most. Numbers of a "
            f"quantity are predicted as --label {name}:regression."
        )
    return in_order(values)


def read_parts(table: pl.DataFrame, column: str, path: Path, lines: pl.Series) -> pl.Series:
    """Return the part of each sample (train, validation, test), null where empty; rows as in :func:`read_task`."""
    require_columns(table, [column], path)
    texts = as_text(table[column])
    unknown = texts.is_not_null() & ~texts.is_in(list(PARTS))
    if unknown.any():
        raise unexpected(path, texts, unknown, column, ", ".join(PARTS), cell_lines(table, lines, column))
    return texts.replace(PARTS)
