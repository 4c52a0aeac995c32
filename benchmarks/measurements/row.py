"""A row of the page: what is compared with what, which figures decide, and what limits them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Form = Literal["times", "share", "number"]


@dataclass(frozen=True)
class Figure:
    """One number of a row: its words, how it is written, and the bound that it should keep, if any."""

    title: str
    form: Form = "times"
    at_least: float | None = None
    at_most: float | None = None

    def met(self, value: float) -> bool | None:
        """Return whether the bound is kept, None where there is none."""
        if self.at_least is not None:
            return value >= self.at_least
        return None if self.at_most is None else value <= self.at_most


@dataclass(frozen=True)
class Row:
    """What one row measures. ``plain`` is the plainly written version in words."""

    title: str
    plain: str
    figures: Mapping[str, Figure]
    limited_by: str
    """What limits it now and what was tried; shown where a figure falls short."""


@dataclass(frozen=True)
class Found:
    """What was found of a row; all of it JSON.

    ``figures`` has the values of each figure, one for each turn. ``ours`` and ``plain`` are what
    `measure.summary` gives of both versions. A row that could not be measured says why in ``missing``.
    """

    figures: Mapping[str, Sequence[float]] = field(default_factory=dict)
    ours: Mapping[str, Any] = field(default_factory=dict)
    plain: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    """What was on both sides in this run: numbers of items, their mean size, the machine's own limit."""
    missing: str = ""


@dataclass(frozen=True)
class Setting:
    """How much is measured. ``earlier`` is what families before found; the folder keeps the inputs."""

    folder: Path
    quick: bool
    earlier: Mapping[str, Found]

    @property
    def turns(self) -> int:
        """How often both versions take turns."""
        return 3 if self.quick else 5


@dataclass(frozen=True)
class Family:
    """Rows that are measured together, by key."""

    name: str
    rows: Mapping[str, Row]
    measure: Callable[[Setting], Mapping[str, Found]]
