"""Draws the figures of a study: lines with bands, points in a plane, intervals below each other."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ..study.results import ResultFigure, Series
from ..words import number
from .blocks import Figure
from .drawing import PALETTE, WIDE, WIDTH, draw

COLOURS = tuple(PALETTE[name] for name in ("blue", "orange", "green", "purple", "amber", "sky", "ink", "muted"))
MARKERS = "osD^vPX<>*p"
"""Every series has its own marker, so that more series than colours, and grey prints, stay readable."""

MARKED = 10
"""Roughly how many points of a long line have a marker."""

DASH = (0, (4, 2))
GUIDE: dict[str, Any] = {"color": PALETTE["muted"], "linewidth": 1, "linestyle": (0, (4, 4))}
"""Line style of a reference."""

NAME = 22
"""Letters after which a name in a legend goes on in the next line: two columns then fit a phone."""

ROW = 40.0
"""Points from one interval to the next."""

ROW_NAME = 42
"""Letters after which the name above an interval goes on in the next line."""

LINE = 17.0
"""Points that one line of small text takes."""

LETTER = 6.4
"""Points that one letter of small text takes, on average."""

FEW_BANDS = 4
"""With more bands than this, they are drawn as thin bars: overlapping bands hide each other."""

MANY_LABELS = 8
"""With more labelled points than this, a plane takes the whole width."""


def shared_limits(figure: ResultFigure, others: Iterable[ResultFigure]) -> tuple[float, float] | None:
    """Return from where to where the y axis of a figure of lines goes, and that of others with the same y label.

    None if there is no other. Figures that show the same quantity can then be compared by eye.
    """
    alike = [one for one in others if (one.kind, one.y_label) == (figure.kind, figure.y_label)]
    if figure.kind != "lines" or len(alike) < 2:
        return None
    return _range(value for one in alike for line in one.series for value in (*line.y, *line.low, *line.high))


def _range(values: Iterable[float]) -> tuple[float, float]:
    known = [value for value in values if np.isfinite(value)]
    margin = 0.05 * (max(known) - min(known)) or 0.05
    return min(known) - margin, max(known) + margin


def study_figure(figure: ResultFigure, limits: tuple[float, float] | None = None) -> Figure:
    """Draw a figure of a study as an inline SVG; lines can be given the limits of their y axis."""
    if figure.kind == "lines":
        return _lines(figure, limits)
    return {"points": _points, "intervals": _intervals}[figure.kind](figure)


def _lines(figure: ResultFigure, limits: tuple[float, float] | None) -> Figure:
    styles = _styles(figure.series)
    banded = sum(bool(series.low) for series in figure.series) <= FEW_BANDS

    def _paint(axes: Axes) -> None:
        for series, (colour, marker) in zip(figure.series, styles, strict=True):
            axes.plot(
                series.x,
                series.y,
                color=colour,
                marker=marker,
                markersize=5.5,
                markevery=max(1, len(series.x) // MARKED),
                linewidth=1.8,
                linestyle=DASH if series.dashed else "-",
            )
            if series.low and banded:
                axes.fill_between(series.x, series.low, series.high, color=colour, alpha=0.15, linewidth=0)
            elif series.low:
                axes.vlines(series.x, series.low, series.high, color=colour, alpha=0.45, linewidth=1.2)
        if figure.reference is not None:
            axes.axhline(figure.reference, **GUIDE)
        handles = [
            Line2D([], [], color=colour, marker=marker, linestyle=DASH if series.dashed else "-")
            for series, (colour, marker) in zip(figure.series, styles, strict=True)
        ]
        if figure.diagonal:
            handles += axes.plot(*_diagonal(figure), **GUIDE)
        axes.set(xlabel=figure.x_label, ylabel=figure.y_label)
        if limits:
            axes.set(ylim=limits)
        _legend(axes, handles, names)

    names = [series.name for series in figure.series] + ([figure.diagonal] if figure.diagonal else [])
    height = 250 + _legend_height(names)
    return draw(_paint, figure.title, figure.caption, height)


def _diagonal(figure: ResultFigure) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return x and y of the line of equal x and y, as far as the figure has x."""
    ends = min(min(line.x) for line in figure.series), max(max(line.x) for line in figure.series)
    return ends, ends


def _points(figure: ResultFigure) -> Figure:
    """Points of each series; a series of one point has its name beside it, the others are named in the legend."""
    styles = _styles(figure.series, apart=False)
    labelled = [series for series in figure.series if len(series.x) == 1 and series.group]
    legend = {series.group or series.name: style for series, style in zip(figure.series, styles, strict=True)}
    wide = len(labelled) > MANY_LABELS

    def _paint(axes: Axes) -> None:
        for series, (colour, marker) in zip(figure.series, styles, strict=True):
            axes.plot(series.x, series.y, marker, color=colour, markersize=7, alpha=0.85, markeredgecolor="white",
                      markerfacecolor="none" if series.dashed else colour)  # fmt: skip
        if figure.reference is not None:
            axes.axhline(figure.reference, **GUIDE)
        axes.set(xlabel=figure.x_label, ylabel=figure.y_label)
        axes.margins(0.12)
        axes.tick_params(labelbottom=bool(figure.x_label), labelleft=bool(figure.y_label))
        handles = [Line2D([], [], color=colour, marker=marker, linestyle="") for colour, marker in legend.values()]
        _legend(axes, handles, list(legend), WIDE if wide else WIDTH)
        _label_points(axes, labelled)

    height = (420 if wide else 300) + _legend_height(legend, WIDE if wide else WIDTH)
    return draw(_paint, figure.title, figure.caption, height, wide=wide)


def _label_points(axes: Axes, labelled: Iterable[Series]) -> None:
    """Write the name of each series beside its point, on the side where it covers the fewest points and names."""
    axes.figure.canvas.figure.draw_without_rendering()  # settles the layout, so that points have places
    scale = 72 / axes.figure.dpi
    series = list(labelled)
    places = [scale * axes.transData.transform((one.x[0], one.y[0])) for one in series]
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in places]
    frame = [scale * bound for bound in axes.bbox.extents]
    for one, (x, y) in zip(series, places, strict=True):
        width = LETTER * len(one.name)
        offsets = [(7, -4), (-7 - width, -4), (-width / 2, 7), (-width / 2, -16), (6, 5), (6, -14),
                   (-6 - width, 5), (-6 - width, -14)]  # fmt: skip
        boxes = [(x + right, y + up, x + right + width, y + up + 11) for right, up in offsets]
        costs = [sum(_overlap(box, other) for other in taken) + 3 * _outside(box, frame) for box in boxes]
        best = int(np.argmin(costs))
        taken.append(boxes[best])
        axes.annotate(one.name, (one.x[0], one.y[0]), offsets[best], textcoords="offset points", fontsize=11)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Shared area of two boxes (left, bottom, right, top)."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def _outside(box: tuple[float, ...], frame: list[float]) -> float:
    """Area of the box that lies outside the frame."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    return area - _overlap(box, tuple(frame))


def _intervals(figure: ResultFigure) -> Figure:
    """One row for each series: its name and value in words, and below them the interval."""
    styles = _styles(figure.series, apart=False)
    names = ["\n".join(textwrap.wrap(series.name, ROW_NAME)) for series in figure.series]
    places = np.cumsum([ROW + LINE * name.count("\n") for name in names])  # points from the top
    groups = {series.group: style for series, style in zip(figure.series, styles, strict=True) if series.group}

    def _paint(axes: Axes) -> None:
        words: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": 11.5, "va": "bottom"}
        for series, name, place, (colour, marker) in zip(figure.series, names, places, styles, strict=True):
            axes.hlines(place, series.low, series.high, color=colour, linewidth=2.2)
            axes.plot(series.y, [place], marker, color=colour, markersize=7)
            axes.text(0, place - 8, name, **words)
            axes.text(1, place - 8, number(series.y[0], signed=figure.reference == 0), ha="right", **words)
        if figure.reference is not None:
            axes.axvline(figure.reference, zorder=0, **GUIDE)
        axes.set_ylim(places[-1] + ROW / 2, 0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(figure.x_label)
        handles = [Line2D([], [], color=colour, marker=marker) for colour, marker in groups.values()]
        _legend(axes, handles, list(groups))

    return draw(_paint, figure.title, figure.caption, height=70 + float(places[-1]) + _legend_height(groups))


def _styles(series: Iterable[Series], *, apart: bool = True) -> list[tuple[str, str]]:
    """Return colour and marker of each series.

    A group shares a colour. Where series must be told ``apart`` each has a marker of its own, and a colour if it has no
    group; elsewhere groups do.
    """
    styles = []
    groups: dict[str, int] = {}
    for index, one in enumerate(series):
        group = groups.setdefault(one.group or one.name * apart, len(groups))
        styles.append((COLOURS[group % len(COLOURS)], MARKERS[(index if apart else group) % len(MARKERS)]))
    return styles


def _legend(axes: Axes, handles: list[Line2D], names: list[str], width: float = WIDTH) -> None:
    """Name the handles below the figure in as many columns as the width holds; a single series needs no legend."""
    if len(names) > 1:
        wrapped = ["\n".join(textwrap.wrap(name, NAME)) for name in names]
        axes.figure.legend(handles, wrapped, loc="outside lower center", ncols=_legend_columns(names, width))


def _legend_columns(names: Iterable[str], width: float) -> int:
    return max(1, int(width // (LETTER * min(NAME, max(map(len, names))) + 38)))


def _legend_height(names: Iterable[str], width: float = WIDTH) -> float:
    """Points that the legend takes."""
    names = list(names)
    lines = sum(len(textwrap.wrap(name, NAME)) for name in names)
    return LINE * -(-lines // _legend_columns(names, width)) if len(names) > 1 else 0.0
