"""One function per figure of the page; each takes arrays and returns an inline SVG."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..runs.metrics import Bin
from ..scores.curves import Floats, known
from ..scores.decisions import net_benefit
from ..words import number
from .blocks import Figure
from .drawing import PALETTE, THIN, draw

Curve = tuple[Floats, Floats]
"""x and y of one line, [points] each."""

ROW_HEIGHT = 26.0
"""Points per row in figures with one row per modality or combination."""


def roc_figure(folds: Sequence[Curve], pooled: Curve) -> Figure:
    """Draw ROC curves: each fold thin, all folds pooled thick."""

    def _paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=PALETTE["muted"], linewidth=1, linestyle=(0, (4, 4)), label="guessing")
        for curve in folds:
            axes.plot(*curve, color=PALETTE["blue"], **THIN)
        axes.plot(*pooled, color=PALETTE["blue"], label="all folds pooled")
        _unit_square(axes, "false positive rate", "true positive rate")
        axes.legend(loc="lower right")

    return draw(_paint, "ROC curve", "Thick: all folds pooled. Thin: each fold. Dashed: guessing.", height=300)


def precision_recall_figure(folds: Sequence[Curve], pooled: Curve, prevalence: float) -> Figure:
    """Draw precision over recall: each fold thin, all folds pooled thick, prevalence dashed."""

    def _paint(axes: Axes) -> None:
        axes.axhline(prevalence, color=PALETTE["muted"], linewidth=1, linestyle=(0, (4, 4)), label="guessing")
        for curve in folds:
            axes.step(*curve, where="post", color=PALETTE["blue"], **THIN)
        axes.step(*pooled, where="post", color=PALETTE["blue"], label="all folds pooled")
        _unit_square(axes, "recall (sensitivity)", "precision")
        axes.legend(loc="upper right")

    caption = f"Dashed: guessing, which reaches the share of positives, {number(prevalence)}."
    return draw(_paint, "Precision and recall", caption, height=300)


def reliability_figure(curve: Sequence[Bin], title: str = "Reliability") -> Figure:
    """Draw observed rates over predicted probabilities with 95 % intervals, as metrics.json has them."""
    predicted, observed, low, high = (
        np.array([getattr(point, name) for point in curve]) for name in ("predicted", "observed", "low", "high")
    )
    top = float(min(1.0, 1.05 * max(high.max(), predicted.max())))

    def _paint(axes: Axes) -> None:
        axes.plot([0, top], [0, top], color=PALETTE["muted"], linewidth=1, linestyle=(0, (4, 4)))
        axes.vlines(predicted, low, high, color=PALETTE["blue"], alpha=0.5)
        axes.plot(predicted, observed, color=PALETTE["blue"], marker="o", markersize=5, linewidth=1)
        axes.set(xlabel="predicted probability", ylabel="observed rate", xlim=(0, top), ylim=(0, top), aspect="equal")

    caption = (
        "Samples in groups of equal size by predicted probability, with 95 % intervals. Dashed: perfect calibration."
    )
    return draw(_paint, title, caption, height=300)


def net_benefit_figure(y: Floats, p: Floats) -> Figure:
    """Draw the net benefit of y, p: [N] up to a probability that a hundredth of the samples reaches."""
    rows = known(y, p)
    highest = np.clip(np.quantile(p[rows], 0.99), 0.01, 0.99)
    thresholds = np.linspace(0, highest, 100)
    return _decision_figure(thresholds, *net_benefit(y[rows], p[rows], thresholds))


def _decision_figure(thresholds: Floats, model: Floats, everyone: Floats) -> Figure:
    """Draw the net benefit, [thresholds] each, of treating by the model and of treating everyone."""
    top = float(max(model.max(), everyone.max()))

    def _paint(axes: Axes) -> None:
        axes.axhline(0, color=PALETTE["muted"], linewidth=1, linestyle=(0, (4, 4)), label="nobody")
        axes.plot(thresholds, everyone, color=PALETTE["orange"], linestyle=(0, (5, 2)), label="everyone")
        axes.plot(thresholds, model, color=PALETTE["blue"], label="by the model")
        axes.set(xlabel="probability from which to treat", ylabel="net benefit")
        axes.set(xlim=(0, thresholds[-1]), ylim=(-0.25 * top, 1.1 * top))
        axes.legend(loc="upper right")

    caption = (
        "True positives per sample, less the false ones at the odds of the threshold. The model is worth using where "
        "its line is the highest."
    )
    return draw(_paint, "Decision curve", caption, height=300)


def epochs_figure(
    term: str, unit: str, caption: str, means: Mapping[str, Curve], folds: Mapping[str, Sequence[Curve]]
) -> Figure:
    """Draw one term over epochs; ``means`` and ``folds`` are keyed by part (train, validation)."""
    colours = {"train": PALETTE["blue"], "validation": PALETTE["orange"]}

    def _paint(axes: Axes) -> None:
        for part, curves in folds.items():
            for curve in curves:
                axes.plot(*curve, color=colours.get(part, PALETTE["green"]), **THIN)
        for part, mean in means.items():
            dash = "-" if part == "train" else (0, (5, 2))
            axes.plot(*mean, color=colours.get(part, PALETTE["green"]), linestyle=dash, label=part)
        axes.set(xlabel="epoch", ylabel=unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="best")

    return draw(_paint, term, caption, height=220)


def weights_figure(weights: Mapping[str, tuple[Floats, Floats]]) -> Figure:
    """Draw the distribution of each modality's weight; values are (negative samples [n], positive samples [n])."""

    def _paint(axes: Axes) -> None:
        for side, (outcome, colour) in enumerate((("negative", PALETTE["blue"]), ("positive", PALETTE["orange"]))):
            at = np.arange(len(weights)) + (-0.16, 0.16)[side]
            low, first, median, third, high = np.array([_five_numbers(pair[side]) for pair in weights.values()]).T
            axes.hlines(at, low, high, color=colour, linewidth=1.2)
            axes.hlines(at, first, third, color=colour, linewidth=7, alpha=0.45)
            axes.plot(median, at, "o", color=colour, markersize=6, label=outcome)
        _rows(axes, list(weights))
        axes.set_xlabel("weight")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)

    caption = "Dot: median; thick line: middle half; thin line: 5 % to 95 %; over samples that have the modality."
    return draw(_paint, "Weight by outcome", caption, height=100 + 1.4 * ROW_HEIGHT * len(weights))


def own_figure(scores: Mapping[str, tuple[float, float]]) -> Figure:
    """Draw per modality the AUROC of its own and of the fused probability on the samples that have it."""
    own, fused = np.array(list(scores.values())).T  # [M], [M]

    def _paint(axes: Axes) -> None:
        at = np.arange(len(scores))
        axes.hlines(at, np.minimum(own, fused), np.maximum(own, fused), color=PALETTE["muted"], linewidth=1)
        axes.plot(own, at, "o", color=PALETTE["orange"], label="on its own", markersize=8)
        axes.plot(fused, at, "s", color=PALETTE["blue"], label="all modalities fused", markersize=7)
        axes.axvline(0.5, color=PALETTE["muted"], linewidth=1, linestyle=(0, (4, 4)))
        _rows(axes, list(scores))
        axes.set_xlabel("AUROC")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)

    caption = "Both on the same samples: those that have the modality. Dashed: guessing."
    return draw(_paint, "Alone and fused", caption, height=100 + ROW_HEIGHT * len(scores))


def heat_figure(
    title: str, caption: str, rows: Sequence[str], epochs: Sequence[int], values: Floats, chosen: Floats, signed: bool
) -> Figure:
    """Draw combinations x epochs.

    values: [rows, epochs], NaN where unknown; chosen: [rows, epochs] share of folds that chose the combination, drawn
    as circles. A signed map is centred on zero.
    """
    reach = float(np.nanmax(np.abs(values)))
    low, high = (-reach, reach) if signed else (float(np.nanmin(values)), float(np.nanmax(values)))

    def _paint(axes: Axes) -> None:
        edges = np.arange(len(epochs) + 1) - 0.5
        colours = colormaps["PuOr_r" if signed else "Blues"].resampled(11)
        mesh = axes.pcolormesh(
            edges,
            np.arange(len(rows) + 1) - 0.5,
            values,
            cmap=colours,
            edgecolors="white",
            linewidth=0.5,
            vmin=low,
            vmax=high,
        )
        row, column = np.nonzero(chosen)
        axes.scatter(
            column, row, s=80 * chosen[row, column], facecolor="white", edgecolor=PALETTE["ink"], linewidth=1.2
        )
        _rows(axes, rows)
        axes.grid(visible=False)
        every = -(-len(epochs) // 8)
        axes.set_xticks(range(0, len(epochs), every), [str(epoch) for epoch in epochs[::every]])
        axes.set_xlabel("after epoch")
        axes.figure.colorbar(mesh, ax=axes, location="top", aspect=30, pad=0.03, shrink=0.8)

    return draw(_paint, title, caption, height=120 + ROW_HEIGHT * len(rows))


def _five_numbers(values: Floats) -> Floats:
    return np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95)) if len(values) else np.full(5, np.nan)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """Label rows from top to bottom without grid lines between them."""
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(left=False)


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
