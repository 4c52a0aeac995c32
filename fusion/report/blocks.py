"""The building blocks of the page. Sections are made of them; the template decides how each looks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from markupsafe import Markup

from .words import MISSING, interval, number


@dataclass(frozen=True)
class Text:
    """One paragraph."""

    text: str
    tone: Literal["plain", "aside", "warning"] = "plain"
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Bar:
    """A table cell that draws a share (0 to 1) of the column's width beside nothing else."""

    share: float
    kind: ClassVar[str] = "bar"


@dataclass(frozen=True)
class Dot:
    """A table cell of a yes-no matrix."""

    filled: bool
    kind: ClassVar[str] = "dot"


@dataclass(frozen=True)
class Measure:
    """A table cell of a number as text, with its uncertainty in smaller print; ``value`` is what sorting goes by."""

    text: str
    value: float
    uncertainty: str = ""
    kind: ClassVar[str] = "measure"


Cell = str | Bar | Dot | Measure


def measured(row: Mapping[str, Any], name: str, digits: int = 3, *, signed: bool = False) -> Cell:
    """Return the cell of an entry of metrics.json with the interval beside it, ``name_ci``; a dash without a value."""
    value = row.get(name)
    if value is None:
        return MISSING
    bounds = row.get(f"{name}_ci")
    return Measure(number(value, digits, signed=signed), value, interval(bounds, digits) if bounds else "")


@dataclass(frozen=True)
class Table:
    """A table of formatted cells. The first column names the row; the others hold numbers unless in ``words``."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: tuple[str, ...] = ()
    sortable: bool = False
    total: tuple[Cell, ...] | None = None
    reading: str = ""
    """How to read it, shown below the caption."""
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Figure:
    """An inline SVG with a title and a caption that says how to read it."""

    title: str
    caption: str
    svg: Markup
    wide: bool = False
    """Whether it takes the whole width of the page."""


@dataclass(frozen=True)
class Figures:
    """Figures that stand beside each other where the page is wide enough."""

    figures: tuple[Figure, ...]
    kind: ClassVar[str] = "figures"


@dataclass(frozen=True)
class Folded:
    """Long preformatted text behind a summary line."""

    title: str
    text: str
    kind: ClassVar[str] = "folded"


@dataclass(frozen=True)
class Code:
    """A line to copy."""

    text: str
    kind: ClassVar[str] = "code"


Block = Text | Table | Figures | Folded | Code


@dataclass(frozen=True)
class Section:
    """A chapter of the page: an anchor, a title and its blocks in reading order."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]
