"""The building blocks of the page. Sections are made of them; the template decides how each looks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from markupsafe import Markup

from ..runs.metrics import Row
from ..words import MISSING, interval, number


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


def measured(row: Row, name: str, digits: int = 3, *, signed: bool = False) -> Cell:
    """Return the cell of a number of metrics.json with its interval beside it; a dash without a value."""
    found = row.measured(name)
    if found.value is None:
        return MISSING
    bounds = interval(found.ci, digits) if found.ci else ""
    return Measure(number(found.value, digits, signed=signed), found.value, bounds)


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
    name: str = ""
    """Name of its files beside the page; by default made of the caption."""
    kind: ClassVar[str] = "table"

    @property
    def file(self) -> str:
        """Name of its CSV and LaTeX files, without the ending."""
        return self.name or re.sub(r"\W+", "-", self.caption.lower()).strip("-")


@dataclass(frozen=True)
class Figure:
    """An inline SVG with a title and a caption that says how to read it."""

    title: str
    caption: str
    svg: Markup
    wide: bool
    """Whether it takes the whole width of the page."""
    written: Callable[[str], bytes] = field(repr=False, compare=False)
    """Returns it as a file of its own, of the format ``svg`` or ``pdf``."""


@dataclass(frozen=True)
class Figures:
    """Figures that stand beside each other where the page is wide enough."""

    figures: tuple[Figure, ...]
    kind: ClassVar[str] = "figures"


@dataclass(frozen=True)
class Code:
    """A line to copy, or the lines of a file."""

    text: str
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Beside:
    """Small tables that stand beside each other where the page is wide enough."""

    tables: tuple[Table, ...]
    kind: ClassVar[str] = "beside"


@dataclass(frozen=True)
class Folded:
    """Blocks behind a line that says what they are; on paper they are open."""

    title: str
    blocks: tuple[Block, ...]
    kind: ClassVar[str] = "folded"


Block = Text | Table | Figures | Beside | Folded | Code


def tables(blocks: Iterable[Block]) -> Iterator[Table]:
    """Yield every table of some blocks, those that are folded and beside each other too."""
    for block in blocks:
        if isinstance(block, Table):
            yield block
        elif isinstance(block, Beside):
            yield from block.tables
        elif isinstance(block, Folded):
            yield from tables(block.blocks)


@dataclass(frozen=True)
class Section:
    """A chapter of the page: an anchor, a title and its blocks in reading order."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]
    gist: str = ""
    """What the chapter says, in a sentence."""
    folded: bool = False
    """Whether title and gist alone are shown until a reader opens the chapter."""
