"""Figures of predicted quantities and times to an event; none shows a single sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm

from ..runs.metrics import Bin
from ..words import count
from .blocks import Figure
from .drawing import PALETTE, THIN, draw

Floats = npt.NDArray[np.float64]

CELLS = 20
"""Cells along each axis of predicted against measured values."""

FEWEST = 5
"""Cells with fewer samples are not drawn: they could show a single one."""

STEPS = tuple(step * 10**power for power in range(9) for step in (1, 2, 5) if step * 10**power >= FEWEST)
"""Numbers of samples at which the colour of a cell changes."""

INNER = (0.01, 0.98)
"""Quantiles of the values that are drawn; the others lie outside."""

DASHED: dict[str, Any] = {"color": PALETTE["muted"], "linewidth": 1, "linestyle": (0, (4, 4))}
COLOURS = (PALETTE["green"], PALETTE["amber"], PALETTE["orange"])
"""Of the lowest, the middle and the highest third of the risk; of a first, second and third time."""

MARKERS = ("o", "s", "^")


def predicted_figure(y: Floats, predicted: Floats, unit: str) -> Figure:
    """Draw how many samples have each predicted and measured value; y, predicted [n], nothing unknown."""
    low, high = np.quantile(np.concatenate([y, predicted]), INNER)
    margin = 0.02 * (high - low) or 1.0
    edges = np.linspace(low - margin, high + margin, CELLS + 1)
    counts, _, _ = np.histogram2d(predicted, y, bins=(edges, edges))
    shown = np.where(counts >= FEWEST, counts, np.nan).T  # rows go along y
    drawn = int(np.nansum(shown))

    def _paint(axes: Axes) -> None:
        if drawn:
            steps = [step for step in STEPS if step <= np.nanmax(shown)]
            steps.append(next(step for step in STEPS if step > np.nanmax(shown)))
            colours = colormaps["Blues"].resampled(len(steps) + 1)
            norm = BoundaryNorm(steps, len(steps) + 1, extend="min")  # so that the lightest is no white
            mesh = axes.pcolormesh(edges, edges, shown, cmap=colours, norm=norm)
            bar = axes.figure.colorbar(mesh, ax=axes, location="top", aspect=30, pad=0.03, shrink=0.8, extend="neither")
            bar.set_label("samples in a cell")
        axes.plot(edges[[0, -1]], edges[[0, -1]], **DASHED)
        axes.set(xlabel=_labelled("predicted", unit), ylabel=_labelled("measured", unit))

    caption = (
        f"Samples in each cell; cells with fewer than {FEWEST} are not drawn, so that {count(drawn)} of "
        f"{count(len(y))} samples are. Dashed: perfect predictions."
    )
    return draw(_paint, "Predicted and measured", caption, height=300)


def tenths_figure(curve: Sequence[Bin], unit: str, title: str = "Calibration") -> Figure:
    """Draw mean measured over mean predicted values in groups by predicted value, with 95 % intervals."""
    predicted, observed, low, high = _columns(curve)
    ends = min(low.min(), predicted.min()), max(high.max(), predicted.max())

    def _paint(axes: Axes) -> None:
        axes.plot(ends, ends, **DASHED)
        axes.vlines(predicted, low, high, color=PALETTE["blue"], alpha=0.5)
        axes.plot(predicted, observed, color=PALETTE["blue"], marker="o", markersize=5, linewidth=1)
        axes.set(xlabel=_labelled("mean predicted", unit), ylabel=_labelled("mean measured", unit))

    caption = (
        "Samples in groups of equal size by predicted value, with 95 % intervals of the mean. Dashed: perfect "
        "calibration."
    )
    return draw(_paint, title, caption, height=300)


def residuals_figure(y: Floats, predicted: Floats, unit: str, groups: int = 10) -> Figure:
    """Draw what measured values are above predicted ones, by predicted value; y, predicted [n], nothing unknown."""
    parts = [rows for rows in np.array_split(np.argsort(predicted, kind="stable"), groups) if len(rows) >= FEWEST]
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    spread = np.array([np.quantile(y[rows] - predicted[rows], levels) for rows in parts]).reshape(-1, len(levels))
    at = np.array([predicted[rows].mean() for rows in parts])

    def _paint(axes: Axes) -> None:
        low, first, median, third, high = spread.T
        axes.axhline(0, **DASHED)
        axes.vlines(at, low, high, color=PALETTE["blue"], linewidth=1.2)
        axes.vlines(at, first, third, color=PALETTE["blue"], linewidth=6, alpha=0.45)
        axes.plot(at, median, "o", color=PALETTE["blue"], markersize=5)
        axes.set(xlabel=_labelled("mean predicted", unit), ylabel=_labelled("measured − predicted", unit))

    caption = "By tenths of the predicted value. Dot: median; thick line: middle half; thin line: 5 % to 95 %."
    return draw(_paint, "Residuals", caption, height=300)


@dataclass(frozen=True)
class RiskGroup:
    """A group by predicted risk: ``observed`` (Kaplan-Meier) and mean ``predicted`` survival at the same times [T].

    ``at_risk`` [A] are how many are still observed at the times of the figure's ticks.
    """

    name: str
    observed: Floats
    predicted: Floats
    at_risk: Sequence[int]


def survival_figure(groups: Sequence[RiskGroup], times: Floats, ticks: Floats, unit: str) -> Figure:
    """Draw the survival of groups by predicted risk at times [T], and below it who is still at risk at ticks [A]."""

    def _paint(axes: Axes) -> None:
        for group, colour in zip(groups, COLOURS, strict=False):
            axes.step(times, group.observed, where="post", color=colour, label=group.name)
            axes.plot(times, group.predicted, color=colour, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.set(ylabel="without event", ylim=(0, 1.02), xlim=(0, times[-1]))
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xlabel("\n" * (len(groups) + 1) + _labelled("time", unit))
        step = 0.062
        for row, (group, colour) in enumerate(zip(groups, COLOURS, strict=False)):
            for tick, number in zip(ticks, group.at_risk, strict=True):
                place = (tick, -0.115 - step * row)
                axes.text(*place, count(number), transform=axes.get_xaxis_transform(), color=colour, ha="center",
                          va="top", fontsize=10.5)  # fmt: skip
        axes.legend(loc="lower left" if groups[-1].observed[-1] > 0.35 else "upper right")

    caption = (
        "Patients in thirds by predicted risk, within each fold. Solid: what happened (Kaplan and Meier); dashed: what "
        "was predicted. Numbers below: still observed and without event."
    )
    return draw(_paint, "Survival by predicted risk", caption, height=360)


def horizons_figure(curves: Mapping[str, Sequence[Bin]]) -> Figure:
    """Draw observed over predicted chances of the event by some times, in groups by predicted chance."""
    points = {name: _columns(curve) for name, curve in curves.items()}
    top = min(1.0, 1.05 * max(float(max(predicted.max(), high.max())) for predicted, _, _, high in points.values()))

    def _paint(axes: Axes) -> None:
        axes.plot([0, top], [0, top], **DASHED)
        for (name, (predicted, observed, low, high)), colour, marker in zip(
            points.items(), COLOURS, MARKERS, strict=False
        ):
            axes.vlines(predicted, low, high, color=colour, alpha=0.4)
            axes.plot(predicted, observed, color=colour, marker=marker, markersize=5, linewidth=1, label=name)
        axes.set(xlabel="predicted chance", ylabel="observed chance", xlim=(0, top), ylim=(0, top), aspect="equal")
        axes.legend(loc="upper left")

    caption = (
        "Chance of the event by each time, in groups of equal size by the predicted one; observed as Kaplan and Meier "
        "estimate it, with 95 % intervals. Dashed: perfect calibration."
    )
    return draw(_paint, "Calibration at three times", caption, height=330)


def over_time_figure(
    title: str, label: str, unit: str, mean: tuple[Floats, Floats], folds: Sequence[tuple[Floats, Floats]], *,
    guessing: tuple[Floats, Floats], guess: str, at: Sequence[tuple[float, float, float, float]] = (),
) -> Figure:  # fmt: skip
    """Draw a measure over time: the mean over folds, each fold, and who guesses; ``at`` time, value and bounds."""

    def _paint(axes: Axes) -> None:
        axes.plot(*guessing, **DASHED)
        for fold in folds:
            axes.plot(*fold, color=PALETTE["blue"], **THIN)
        axes.plot(*mean, color=PALETTE["blue"])
        for when, value, low, high in at:
            axes.vlines(when, low, high, color=PALETTE["blue"], linewidth=1.6)
            axes.plot([when], [value], "o", color=PALETTE["blue"], markersize=6)
        axes.set(xlabel=_labelled("time", unit), ylabel=label, xlim=(0, None))

    bounds = " Dots: three times with 95 % intervals." if at else ""
    return draw(_paint, title, f"Thick: mean over folds. Thin: each fold. Dashed: {guess}.{bounds}", height=300)


def _columns(curve: Sequence[Bin]) -> tuple[Floats, Floats, Floats, Floats]:
    predicted, observed, low, high = (
        np.array([getattr(point, name) for point in curve]) for name in ("predicted", "observed", "low", "high")
    )
    return predicted, observed, low, high


def _labelled(what: str, unit: str) -> str:
    return f"{what} ({unit})" if unit else what
