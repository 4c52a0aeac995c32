"""Quantities and times to an event from columns of a user's table; what is none is refused, with its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import InputError
from .feature_files import as_text, cell_lines, row_of
from .numerals import has_decimal_commas, with_points

TRUTH = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0}
LARGEST = float(np.finfo(np.float32).max)
ROWS_LISTED = 10


def rows_text(lines: pl.Series) -> str:
    """Return where rows lie in their file, at most some of them."""
    more = f" and {len(lines) - ROWS_LISTED:,} more" if len(lines) > ROWS_LISTED else ""
    numbers = [str(line) for line in lines.head(ROWS_LISTED)]
    return f"row{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}{more}"


def unexpected(
    path: Path, texts: pl.Series, wrong: pl.Series, name: str, expected: str, lines: pl.Series
) -> InputError:
    """Return the refusal of all values that are ``wrong``, with their rows; ``lines`` are those of the cells."""
    at = wrong.arg_true()
    values = texts[at].unique(maintain_order=True)
    listed = ", ".join(repr(value[:20]) for value in values.head(3)) + (", …" if len(values) > 3 else "")
    return InputError(f"{path}, {rows_text(lines[at])}: {name} is {listed}; expected {expected} or nothing.")


def read_quantity(table: pl.DataFrame, name: str, path: Path, lines: pl.Series) -> npt.NDArray[np.float32]:
    """Return the numbers of a column, [N], NaN where it has none; decimal commas are read as points.

    Raises :class:`InputError` for anything else, also for a number beyond what 32 bits hold.
    """
    numbers, texts = _numbers(table, name, path, lines)
    wrong = texts.is_not_null() & ~(numbers.is_finite() & (numbers.abs() <= LARGEST)).fill_null(False)
    if wrong.any():
        expected = f"a number of at most {LARGEST:.1e}"
        raise unexpected(path, texts, wrong, name, expected, cell_lines(table, lines, name))
    return numbers.fill_null(np.nan).to_numpy().astype(np.float32)


def read_survival(
    table: pl.DataFrame, columns: tuple[str, ...], path: Path, lines: pl.Series
) -> npt.NDArray[np.float32]:
    """Return times and events [N, 2] of two columns, NaN where both are empty.

    Raises :class:`InputError` for a time below 0, an event that is neither 0 nor 1, and one without the other.
    """
    time, event = columns
    numbers, texts = _numbers(table, time, path, lines)
    wrong = texts.is_not_null() & ~numbers.is_between(0, LARGEST).fill_null(False)
    if wrong.any():
        raise unexpected(path, texts, wrong, time, f"a time from 0 to {LARGEST:.1e}", cell_lines(table, lines, time))
    events = read_truth(table, event, path, lines)
    alone = numbers.is_null().to_numpy() != np.isnan(events)
    if alone.any():
        at = int(np.flatnonzero(alone)[0])
        empty, given = (event, time) if numbers[at] is not None else (time, event)
        raise InputError(
            f"{path}, {row_of(lines[at])}: {given} is {as_text(table[given])[at]} and {empty} is empty"
            f"{f' ({int(alone.sum()):,} rows are so)' if alone.sum() > 1 else ''}. Give both, or neither where nothing "
            f"is known; of who was lost before the event the time, and 0 as {event}."
        )
    return np.stack([numbers.fill_null(np.nan).to_numpy().astype(np.float32), events], axis=1)


def read_truth(table: pl.DataFrame, name: str, path: Path, lines: pl.Series) -> npt.NDArray[np.float32]:
    """Return 0, 1 or NaN, [N]; raises :class:`InputError` for any other value."""
    texts = as_text(table[name])
    y = texts.str.to_lowercase().replace_strict(TRUTH, default=None, return_dtype=pl.Float32)
    wrong = y.is_null() & texts.is_not_null()
    if wrong.any():
        raise unexpected(path, texts, wrong, name, "0, 1", cell_lines(table, lines, name))
    return y.fill_null(np.nan).to_numpy()


def _numbers(table: pl.DataFrame, name: str, path: Path, lines: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return a column as numbers, null where it holds none, and as the texts that they are."""
    texts = as_text(table[name])

    def place_of(column: str, at: int) -> str:
        return row_of(cell_lines(table, lines, column)[at])

    written = with_points(texts) if has_decimal_commas(texts, place_of, path) else texts
    return written.cast(pl.Float64, strict=False), texts
