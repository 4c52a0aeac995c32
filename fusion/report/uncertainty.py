"""How sure a model is: sets that hold the truth as often as asked for, and what staying silent would gain."""

from __future__ import annotations

from collections.abc import Sequence

from ..runs.metrics import Abstention, Answered, Conformal, Covered, Interval
from ..runs.run import Run
from ..scores.conformal import verdict
from ..words import MISSING, count, digits, listing, number, percent
from .blocks import Block, Cell, Figure, Figures, Folded, Measure, Section, Table, Text, measured
from .trust_figures import abstention_figure, coverage_figure

MOST_DRAWN = 16
"""Of more parts than this coverage is not drawn."""

SHARES = (1.0, 0.9, 0.8, 0.7, 0.5)
"""Shares answered that the table shows; the figure has more."""

QUIETER = 0.8
"""The share answered that the page speaks of."""

OF_CLASSES = (
    "Besides a probability each sample gets the set of answers{of_label} that are not too unlikely for it. The set is "
    "to hold the true answer for {level} of the samples of each class, of the rare one as of the common one; what is "
    "too unlikely was decided by {deciding}. A set of one answer is a clear case, one of several "
    "says that the model cannot tell, an empty one that the sample looks like none of them."
)
OF_QUANTITIES = (
    "An interval around each prediction is to hold the measured value for {level} of the samples. It reaches as far to "
    "both sides as the errors did for {level} of {deciding} whose prediction was in the same third."
)
READING = (
    "Coverage: share of samples whose set holds the truth, with its 95 % interval; it does not hold where that lies "
    "below what was asked for. What decides a set comes from other samples than those that judge it."
)
CLASSES, QUANTITIES = (
    "The largest that one minus the probability of an answer may be, from all folds, for samples of other patients "
    "(omnifuse predict). An answer without one is in every set: there are too few patients for it.",
    "Half the width of the intervals, by third of the prediction, from all folds, for samples of other patients "
    "(omnifuse predict). Without one there are too few patients, and the interval has no end.",
)
OF_AUROC = (
    "AUROC: mean over folds, among the answered. Where the outcome is rare those left out are mostly the patients at "
    "the highest risk, and the AUROC of the others may well be lower."
)


def uncertainty_section(run: Run, deciding: str = "the samples of the other folds") -> Section | None:
    """Return the chapter on sets and on staying silent; None without either, as for times to an event.

    ``deciding``: whose outcomes chose the thresholds of the sets.
    """
    metrics = run.metrics
    sets, silence = metrics.conformal, metrics.abstention
    said: list[Block] = []
    figures: list[Figure] = []
    tables: list[Block] = []
    if sets is not None and sets.coverage:
        said += [Text(_what(sets, metrics.kind, deciding)), coverage_words(sets.level, sets.coverage)]
        if len(sets.coverage) <= MOST_DRAWN:
            figures.append(coverage_figure(sets.level, [(row.part, row) for row in sets.coverage]))
        inside = coverage_table(sets.level, sets.coverage, metrics.unit), _thresholds(sets, metrics.kind, metrics.unit)
        tables.append(Folded("Sets of each part: coverage and size; thresholds", inside))
    if silence is not None and silence.points:
        said.append(_silence(silence))
        figures.append(abstention_figure(silence))
        tables.append(_answered_table(silence))
    blocks = (*said, *([Figures(tuple(figures))] if figures else []), *tables)
    return Section("uncertainty", "How sure it is, and when to stay silent", blocks) if blocks else None


def _what(found: Conformal, kind: str, deciding: str) -> str:
    said, of_label = OF_QUANTITIES if kind == "regression" else OF_CLASSES, " to each label"
    return said.format(
        level=percent(found.level, 1, 0), of_label=of_label if kind == "multilabel" else "", deciding=deciding
    )


def coverage_words(level: float, rows: Sequence[Covered]) -> Text:
    """Return whether sets hold the truth as often as asked for: of all samples, the first row, and where not."""
    everybody, *parts = rows
    judged = verdict(level, everybody.covered_ci)
    beginning = {
        "holds": "Coverage holds: the truth is in",
        "does not hold": "Coverage does not hold: the truth is in only",
        "more than needed": "Coverage is more than was asked for: the truth is in",
    }[judged]
    what = "sets" if everybody.single is not None else "intervals"
    said = (
        f"{beginning} {percent(everybody.covered, 1)} of the {what} (95 % interval {_percents(everybody.covered_ci)}); "
        f"asked for were {percent(level, 1, 0)}."
    )
    off = [row for row in parts if verdict(level, row.covered_ci) == "does not hold"]
    if off:
        named = listing([f"{row.part} ({percent(row.covered, 1)})" for row in off])
        said += f" It does not hold for {named}; of all parts looked at, about one in forty would be named by chance."
    return Text(said, "warning" if off or judged == "does not hold" else "plain")


def coverage_table(level: float, rows: Sequence[Covered], unit: str = "") -> Table:
    """Return how often sets hold the truth, and how large they are."""
    sized = rows[0].single is not None
    size = ("empty", "one answer", "several") if sized else (f"width ({unit})" if unit else "width",)
    cells = tuple(
        (
            row.part,
            count(row.samples),
            measured(row, "covered"),
            verdict(level, row.covered_ci),
            *(map(_percent, (row.empty, row.single, row.several)) if sized else (_width(row.width),)),
        )
        for row in rows
    )
    columns = ("part", "samples", "coverage", "verdict", *size)
    return Table("How often sets hold the truth", columns, cells, words=("verdict",), sortable=True, reading=READING)


def _percents(bounds: Interval) -> str:
    return " to ".join(percent(bound, 1) for bound in bounds)


def _percent(share: float | None) -> Cell:
    return MISSING if share is None else Measure(percent(share, 1), share)


def _width(width: float | None) -> Cell:
    return MISSING if width is None else Measure(_rounded(width), width)


def _thresholds(found: Conformal, kind: str, unit: str) -> Table:
    title = "What decides the sets of new samples"
    if kind == "regression":
        in_unit = f" ({unit})" if unit else ""
        columns = ("prediction", f"up to{in_unit}", f"half width{in_unit}", "patients")
        bounds = (
            (one.name, _rounded(one.up_to), _rounded(one.threshold), count(one.patients)) for one in found.thresholds
        )
        return Table(title, columns, tuple(bounds), reading=QUANTITIES)
    rows = tuple((one.name, number(one.threshold), count(one.patients)) for one in found.thresholds)
    return Table(title, ("answer", "threshold", "patients"), rows, reading=CLASSES)


def _rounded(value: float | None) -> str:
    return number(value, digits(value))


def _silence(found: Abstention) -> Text:
    all_of_them = found.points[0]
    quieter = min(found.points, key=lambda point: abs(point.share - QUIETER))
    return Text(
        f"If it stays silent on the {percent(1 - quieter.share, 1, 0)} of samples that it is least certain of, it errs "
        f"in {percent(quieter.error, 1)} of the others (95 % interval {_percents(quieter.error_ci)}) instead of in "
        f"{percent(all_of_them.error, 1)} of all. It errs where its most probable answer is not the true one."
    )


def _answered_table(found: Abstention) -> Table:
    shown = [point for point in found.points if any(abs(point.share - share) < 1e-9 for share in SHARES)]
    ranked = any(point.auroc is not None for point in shown)
    columns = ("answered", "samples", "in error", *(("AUROC",) if ranked else ()))
    reading = (
        f"With 95 % intervals. Mean error over all shares: {number(found.area)}; of who stays silent by chance "
        f"{number(found.random)}, of who knows where it errs {number(found.best)}."
    )
    return Table(
        "If it answers only where it is most certain", columns, tuple(_answered(point, ranked) for point in shown),
        reading=f"{reading} {OF_AUROC}" if ranked else reading,
    )  # fmt: skip


def _answered(point: Answered, ranked: bool) -> tuple[Cell, ...]:
    areas = [measured(point, "auroc")] if ranked else []
    return percent(point.share, 1, 0), count(point.samples), measured(point, "error"), *areas
