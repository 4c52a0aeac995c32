"""Tasks and splits from columns of a user's table of samples."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import InputError, Task, TaskKind
from .feature_files import as_text, cell_lines, require_columns
from .splits import PARTS

TRUTH = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0}
MOST_CLASSES = 100
MOST_NUMBERS = 10
"""Of more different numbers than these it is asked whether they are a quantity."""
NUMBER = r"^-?(0|[1-9]\d*)(\.\d+)?$"
"""Not 007, which is a code."""
ROWS_LISTED = 10
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
    """Return the task of a label: ``COLUMN``, or ``NAME=COLUMN,COLUMN`` for one with several labels.

    0 and 1 (or false and true) make a binary task, in which any other word is refused; three or more other values make
    one with classes. 1 and 1.0 are one value; what is missing is unknown.
    ``lines`` are those on which the rows of ``table`` begin in its file, as a text editor counts.

    Raises
    ------
    InputError
        For an unknown column, or values that are neither.
    """
    name, several, columns = label.partition("=")
    if several:
        labels = tuple(column.strip() for column in columns.split(","))
        require_columns(table, labels, path)
        y = np.stack([_binary(table, column, path, lines) for column in labels], axis=1)
        return _task(name, "multilabel", labels, y)
    require_columns(table, [name], path)
    texts = as_classes(table[name])
    values = texts.drop_nulls().unique().to_list()
    if _are_binary(values):
        return _task(name, "binary", (name,), _binary(table, name, path, lines)[:, None])
    classes = _classes(values, name, path)
    places = texts.replace_strict(classes, list(range(len(classes))), default=None, return_dtype=pl.Float32)
    return _task(name, "multiclass", classes, places.fill_null(np.nan).to_numpy()[:, None])


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


def rows_text(lines: pl.Series) -> str:
    """Return where rows lie in their file, at most some of them."""
    more = f" and {len(lines) - ROWS_LISTED:,} more" if len(lines) > ROWS_LISTED else ""
    numbers = [str(line) for line in lines.head(ROWS_LISTED)]
    return f"row{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}{more}"


def _unexpected(
    path: Path, texts: pl.Series, wrong: pl.Series, name: str, expected: str, lines: pl.Series
) -> InputError:
    """Return the refusal of all values that are ``wrong``, with their rows; ``lines`` are those of the cells."""
    at = wrong.arg_true()
    values = texts[at].unique(maintain_order=True)
    listed = ", ".join(repr(value[:20]) for value in values.head(3)) + (", …" if len(values) > 3 else "")
    return InputError(f"{path}, {rows_text(lines[at])}: {name} is {listed}; expected {expected} or nothing.")


def _task(name: str, kind: TaskKind, labels: tuple[str, ...], y: npt.NDArray[np.float32]) -> Task:
    known = int((~np.isnan(y)).any(axis=1).sum())
    counts = (("samples of the table", len(y)), ("with a known label", known))
    return Task(check_name(name, "The label"), kind, labels, y, None, counts=counts)


def _binary(table: pl.DataFrame, name: str, path: Path, lines: pl.Series) -> npt.NDArray[np.float32]:
    """Return 0, 1 or NaN, [N]."""
    texts = as_classes(table[name])
    y = texts.str.to_lowercase().replace_strict(TRUTH, default=None, return_dtype=pl.Float32)
    wrong = y.is_null() & texts.is_not_null()
    if wrong.any():
        raise _unexpected(path, texts, wrong, name, "0, 1", cell_lines(table, lines, name))
    return y.fill_null(np.nan).to_numpy()


def _classes(values: Sequence[str], name: str, path: Path) -> tuple[str, ...]:
    """Return the classes in order; raises :class:`InputError` for values that are no classes."""
    if len(values) < 3:
        raise InputError(
            f"{path}: {name} has the values {', '.join(sorted(values))}. Write 0 and 1, so that it is clear which of "
            "the two is to be predicted; three or more values make classes."
        )
    if len(values) > MOST_NUMBERS and all(re.fullmatch(NUMBER, value) for value in values):
        raise InputError(
            f"{path}: {name} has {len(values):,} different numbers. Is it a quantity? None can be predicted: make "
            "classes of it, such as low and high. If they are classes, write them as words, such as c1, c2, c3."
        )
    if len(values) > MOST_CLASSES:
        raise InputError(
            f"{path}: {name} has {len(values):,} different values; classes can be {MOST_CLASSES} at most. A quantity "
            "cannot be predicted: make classes of it."
        )
    return in_order(values)


def read_parts(table: pl.DataFrame, column: str, path: Path, lines: pl.Series) -> pl.Series:
    """Return the part of each sample (train, validation, test), null where empty; rows as in :func:`read_task`."""
    require_columns(table, [column], path)
    texts = as_text(table[column])
    unknown = texts.is_not_null() & ~texts.is_in(list(PARTS))
    if unknown.any():
        raise _unexpected(path, texts, unknown, column, ", ".join(PARTS), cell_lines(table, lines, column))
    return texts.replace(PARTS)
