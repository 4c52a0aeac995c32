"""Numbers as people write them: with a decimal comma, marks between thousands, or something that is no number."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from ...cache_schema import InputError

COMMA = r"^[-+]?\d*,\d+$"
GROUP = r"^[-+]?[1-9]\d{0,2},\d{3}$"
"""Can be a number with a decimal comma, or a thousand with a mark."""
POINT = r"^[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?$"
THOUSANDS = r"^[-+]?[1-9]\d{0,2}(\.\d{3})*(\.\d{3}\.\d{3}|\.\d{3},\d+)$"
"""Points stand between thousands: 1.234.567 or 1.234,5."""
POINT_GROUP = r"^[-+]?[1-9]\d{0,2}\.\d{3}$"
"""Can be a number, or a thousand with a mark."""
FEWEST_GROUPS = 3
"""Of fewer numbers nothing tells three decimals from thousands."""

LONGEST_SHOWN = 12
NAMES_SHOWN = 5


class Commas(NamedTuple):
    """How many numbers of a column have a comma, how many of them can be thousands, and how many have a point."""

    commas: int
    groups: int
    points: int

    @staticmethod
    def counts(texts: pl.Expr) -> list[pl.Expr]:
        """Return the three counts of a column of texts."""
        return [
            texts.str.contains(pattern).sum().alias(name)
            for name, pattern in zip(Commas._fields, (COMMA, GROUP, POINT), strict=True)
        ]

    def are_decimal(self, path: Path, column: str, example: str) -> bool:
        """Return whether all commas are decimal ones; of a few among points, False: they are no numbers.

        Raises
        ------
        InputError
            If a comma can be a decimal one or a mark between thousands; ``example`` shows one, and where.
        """
        if self.commas and self.points and self.commas >= self.points:
            raise InputError(
                f"{path}: the column {column!r} has numbers with a comma ({example}) and others with a point. Write "
                "all with a point."
            )
        if self.commas and not self.points and self.commas == self.groups:
            raise InputError(
                f"{path}: in the column {column!r} a comma can be a decimal one or stand between thousands "
                f"({example}). Write the numbers with a point, or without marks."
            )
        return bool(self.commas and not self.points)


def has_decimal_commas(texts: pl.Series, place_of: Callable[[str, int], str], path: Path) -> bool:
    """Return whether the numbers of a column have decimal commas; ``place_of`` says where a cell lies.

    Raises :class:`InputError` as :meth:`Commas.are_decimal`.
    """
    if not texts.str.contains(",", literal=True).any():
        return False
    counts = Commas(*pl.select(Commas.counts(pl.lit(texts))).row(0))
    at = texts.str.contains(COMMA).arg_max() or 0
    return counts.are_decimal(path, texts.name, f"{place_of(texts.name, at)}: {texts[at]!r}")


def may_be_thousands(texts: pl.Expr) -> pl.Expr:
    """Return whether points may stand between thousands, as in 250.000, 1.250 and 980.

    Decimals are written otherwise: with as many places in every number, or with fewer where the last ones are zeros.
    """
    pointed, grouped = texts.str.contains(POINT), texts.str.contains(POINT_GROUP)
    small, large = texts.str.contains(r"^[-+]?\d{1,3}$"), texts.str.contains(r"^[-+]?\d{4,}")
    return (grouped.sum() >= FEWEST_GROUPS) & ~(pointed & ~grouped).any() & small.any() & ~large.any()


def marked_thousands(path: Path, column: str, example: str) -> InputError:
    """Return the refusal of a column in which points may stand between thousands; ``example`` shows one, and where."""
    return InputError(
        f"{path}: in the column {column!r} points may stand between thousands ({example}). Write the numbers without "
        "marks; if these are decimals, write 980.0 for 980."
    )


def with_points(texts: pl.Series) -> pl.Series:
    """Return texts with points for the decimal commas of numbers."""
    return pl.select(points_of(pl.lit(texts))).to_series().alias(texts.name)


def points_of(texts: pl.Expr) -> pl.Expr:
    """Return an expression with points for the decimal commas of numbers."""
    return pl.when(texts.str.contains(COMMA)).then(texts.str.replace(",", ".", literal=True)).otherwise(texts)


def shown(value: object) -> str:
    """Return what the quarantine may store of a cell that should be a number: something like one, no words."""
    text = str(value)
    return text if len(text) <= LONGEST_SHOWN and any(character.isdigit() for character in text) else ""


def names_text(names: Sequence[str]) -> str:
    """Return names in words, at most some of them."""
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
