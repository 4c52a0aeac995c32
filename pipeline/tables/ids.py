"""Ids of samples and patients: how two tables that write them differently are joined, or why they cannot be."""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from ...cache_schema import InputError
from .feature_files import as_text

WHOLE = r"^-?\d+(\.0+)?$"
SHOWN = 80
"""Characters of an id in a message."""


def as_ids(column: pl.Series) -> pl.Series:
    """Return a column as ids, null where missing; 1.0 is 1 if everything in the column is a whole number."""
    texts = as_text(column)
    return pl.select(without_point(pl.lit(texts))).to_series() if are_whole(texts) else texts


def are_whole(ids: pl.Series) -> bool:
    """Return whether all ids that are known are whole numbers, however they are written."""
    return bool(ids.str.contains(WHOLE).all())


def without_point(ids: pl.Expr) -> pl.Expr:
    """Return ids with 1.0 written as 1: whole numbers as programs write them that keep them as real ones."""
    return ids.str.replace(r"^(-?\d+)\.0+$", "${1}")


def ids_to_join(column: pl.Series, samples: pl.Series) -> pl.Series:
    """Return a column as ids to be joined to those of the samples: if all of these are whole numbers, 1.0 is 1."""
    texts = as_text(column)
    return pl.select(without_point(pl.lit(texts))).to_series() if are_whole(samples) else texts


CAUSES: tuple[tuple[str, Callable[[pl.Series], pl.Series]], ...] = (
    ("one side has . where the other has -, as R changes names", lambda ids: ids.str.replace_all("[.]", "-")),
    ("upper and lower case differ", lambda ids: ids.str.to_lowercase()),
    ("there are blanks in them", lambda ids: ids.str.replace_all(r"\s", "")),
    ("one side has lost the zeros in front, as in a spreadsheet", lambda ids: ids.str.strip_chars_start("0")),
    ("one side has an X in front, as R writes names that are numbers", lambda ids: ids.str.strip_prefix("X")),
    ("one side has .0 behind whole numbers", lambda ids: ids.str.replace(r"\.0+$", "")),
)
"""Why ids that mean the same are not the same: in words, and what makes them alike."""


def refuse_unjoined(path: Path, theirs: pl.Series, samples: pl.Series) -> None:
    """Raise :class:`InputError` if a table has ids ``theirs``, none of which is one of the samples'.

    The message shows an id of each side and, if that is seen, how the two are written differently.
    """
    theirs, samples = theirs.drop_nulls(), samples.drop_nulls()
    if theirs.is_empty() or samples.is_empty() or theirs.is_in(samples.implode()).any():
        return
    raise InputError(
        f"{path}: none of its ids is one of the samples', so that nothing can be joined: {theirs[0][:SHOWN]!r} is one "
        f"here, {samples[0][:SHOWN]!r} one there. {_cause(theirs, samples)}"
    )


def _cause(theirs: pl.Series, samples: pl.Series) -> str:
    for words, alike in CAUSES:
        if alike(theirs).is_in(alike(samples).implode()).any():
            return f"The likely cause: {words}. Write them alike."
    shorter = min(map(len, [*theirs, *samples]))
    if shorter > 3 and theirs.str.head(shorter).is_in(samples.str.head(shorter).implode()).any():
        return "The likely cause: those of one side are longer. Write them alike."
    return "Are both tables of the same samples?"
