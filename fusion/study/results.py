"""What a study found, as plain values: chapters of texts, tables and figures that the report lays out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty: a 95 % interval, or a standard deviation, or neither."""

    value: float | None
    low: float | None = None
    high: float | None = None
    sd: float | None = None


Value = str | int | float | Estimate | None
"""A cell of a table: words, a count, a number, a number with its uncertainty, or nothing that is defined."""


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, and with how many decimals its numbers are shown."""

    name: str
    decimals: int = 3
    signed: bool = False
    """Show the sign of positive numbers, as of differences."""


@dataclass(frozen=True)
class ResultTable:
    """A table of raw values; the first column names the row. ``name`` is that of its CSV and LaTeX files."""

    name: str
    title: str
    reading: str
    """How to read it, in a sentence or two."""
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    folded: bool = False
    """Shown when a reader asks for it: what a figure has shown, or what few look for."""


@dataclass(frozen=True)
class Series:
    """Points of a figure, [n] each, with their 95 % interval if known; ``group`` shares a colour."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    group: str = ""
    dashed: bool = False


@dataclass(frozen=True)
class ResultFigure:
    """A figure: lines over x, points in a plane, or one horizontal bar with interval for each series of one point.

    For ``intervals`` every series has one point, ``y`` is its value, ``low`` and ``high`` its interval,
    and ``x_label`` names the value, as it runs from left to right.
    """

    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    kind: Literal["lines", "points", "intervals"] = "lines"
    reference: float | None = None
    """Where to draw a dashed line: of equal y, or of equal value in ``intervals``."""
    diagonal: str = ""
    """What a dashed line of equal x and y stands for, such as perfect calibration; without words there is none."""


@dataclass(frozen=True)
class Note:
    """A paragraph; ``warning`` if it must not be overlooked."""

    text: str
    warning: bool = False


Item = Note | ResultTable | ResultFigure


@dataclass(frozen=True)
class Chapter:
    """A chapter of the report in reading order."""

    anchor: str
    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class KeyFigure:
    """One large number at the top: what it is, its value, and what stands behind it."""

    name: str
    value: Estimate
    detail: str
    decimals: int = 3
    signed: bool = False


@dataclass(frozen=True)
class StudyResults:
    """Everything that the report of a study shows.

    ``made`` says when and of what it was made, ``caveats`` what decides whether any number means anything, ``answer``
    what is best supported, ``ranking`` every method by its score; ``notes`` are the other warnings. ``repeat`` is the
    command that makes the study again, ``grid`` its content as YAML, ``facts`` name and value of everything else that
    is needed to repeat it (versions, cache digest, seeds, settings), ``names`` the methods and what they are.
    """

    name: str
    title: str
    lead: str
    notes: tuple[str, ...]
    numbers: tuple[KeyFigure, ...]
    chapters: tuple[Chapter, ...]
    repeat: str
    facts: tuple[tuple[str, str], ...]
    made: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    answer: str = ""
    ranking: ResultTable | None = None
    grid: str = ""
    names: tuple[tuple[str, str], ...] = ()
