"""Figures of trust: differences between groups, how often sets hold the truth, and errors of who may stay silent."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..runs.metrics import Abstention, Covered
from ..scores.conformal import verdict
from ..scores.intervals import LEVEL
from ..words import percent
from .blocks import Figure
from .drawing import PALETTE, draw

ROW_HEIGHT = 26.0
"""Points from one row to the next."""

LINE_HEIGHT = 15.0
"""Points that a further line of a long name takes."""

NAME = 24
"""Letters after which a name goes on in the next line."""

GUIDE: dict[str, Any] = {"color": PALETTE["muted"], "linewidth": 1, "linestyle": (0, (4, 4))}


@dataclass(frozen=True)
class Gap:
    """A difference of a group to the largest one, with its interval and its corrected p-value if it has one."""

    name: str
    value: float
    low: float
    high: float
    p: float | None = None

    @property
    def is_beyond_chance(self) -> bool:
        """Whether it is after the correction for all differences."""
        return self.p is not None and self.p < LEVEL


def gaps_figure(title: str, gaps: Sequence[Gap]) -> Figure:
    """Draw the differences of groups in one measure; those beyond chance after the correction stand out."""
    beyond = [gap.is_beyond_chance for gap in gaps]

    def _paint(axes: Axes) -> None:
        axes.axvline(0, **GUIDE)
        _intervals(axes, [(gap.name, gap.value, gap.low, gap.high) for gap in gaps], beyond)
        axes.set_xlabel(f"difference of {title}")

    caption = (
        "Each group less the largest one of the same kind, with 95 % intervals. Orange squares: beyond chance after "
        "the correction for all differences."
    )
    return draw(_paint, f"Differences: {title}", caption, _height([gap.name for gap in gaps]))


def coverage_figure(level: float, parts: Sequence[tuple[str, Covered]]) -> Figure:
    """Draw how often sets held the truth, in each part of the samples by its name."""
    off = [verdict(level, row.covered_ci) == "does not hold" for _, row in parts]

    def _paint(axes: Axes) -> None:
        axes.axvline(level, **GUIDE)
        _intervals(axes, [(name, row.covered, *row.covered_ci) for name, row in parts], off)
        axes.set_xlabel("coverage")

    asked = percent(level, 1, 0)
    caption = f"With 95 % intervals. Dashed: the {asked} asked for. Orange squares: coverage does not hold."
    return draw(_paint, "Coverage", caption, _height([name for name, _ in parts]))


def abstention_figure(found: Abstention) -> Figure:
    """Draw the error among the answered over their share."""
    share, error, low, high = np.array([(point.share, point.error, *point.error_ci) for point in found.points]).T
    ideal = np.linspace(share.min(), 1, 100)

    def _paint(axes: Axes) -> None:
        axes.axhline(found.random, **GUIDE, label="silent by chance")
        axes.plot(ideal, np.maximum(0, 1 - (1 - found.random) / ideal), color=PALETTE["green"], linewidth=1.2,
                  linestyle=(0, (1, 2)), label="silent where it errs")  # fmt: skip
        axes.fill_between(share, low, high, color=PALETTE["blue"], alpha=0.15, linewidth=0)
        axes.plot(share, error, color=PALETTE["blue"], marker="o", markersize=5, label="the model")
        axes.set(xlabel="share of samples answered", ylabel="share of these in error", xlim=(1.02, 0), ylim=(0, None))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)

    caption = (
        "From left to right the model answers fewer, those that it is most certain of, with 95 % intervals. The lower "
        "the line falls, the better the model knows where it errs."
    )
    return draw(_paint, "Error of who may stay silent", caption, height=320)


def _intervals(axes: Axes, rows: Sequence[tuple[str, float, float, float]], marked: Sequence[bool]) -> None:
    """Draw a value with its interval in each row, from top to bottom."""
    for at, ((_, value, low, high), stands_out) in enumerate(zip(rows, marked, strict=True)):
        colour = PALETTE["orange" if stands_out else "blue"]
        axes.hlines(at, low, high, color=colour, linewidth=1.6)
        axes.plot(value, at, "s" if stands_out else "o", color=colour, markersize=7)
    axes.set_yticks(np.arange(len(rows)), [textwrap.fill(name, NAME) for name, *_ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(left=False)


def _height(names: Sequence[str]) -> float:
    return 60 + sum(ROW_HEIGHT + LINE_HEIGHT * textwrap.fill(name, NAME).count("\n") for name in names)
