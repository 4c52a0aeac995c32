"""How good the predictions are: per fold, per label, per availability pattern, with curves."""

from collections.abc import Iterator

import numpy as np

from ..runs.metrics import LabelScores
from ..runs.run import Run
from ..scores import curves as scores
from ..scores.curves import Bools, Floats
from ..words import MISSING, count, number, percent
from .blocks import Block, Cell, Figures, Folded, Section, Table, Text, measured
from .figures import net_benefit_figure, precision_recall_figure, reliability_figure, roc_figure


def performance_section(run: Run) -> Section:
    """Return the chapter on the quality of the predictions."""
    more = Folded("Each fold, precision and recall, and losses", (*_precision(run), *_folds(run), *_losses(run)))
    blocks = (*_curves(run), *_labels(run), *_patterns(run), more)
    return Section("performance", "How good the predictions are", blocks)


def _curves(run: Run) -> Iterator[Block]:
    if run.metrics.kind != "binary":
        return
    y, p, fold = run.tested.y[:, 0], run.tested.p[:, 0], run.tested.fold
    lost = int((~scores.known(y, p)).sum())
    if lost:
        yield Text(f"{count(lost)} samples without a label or a probability are left out of everything below.")
    if scores.auroc(y, p) is None:
        yield Text("No curves: they need both outcomes, and the predictions have only one.")
        return
    parts = _parts(fold)
    yield Figures((
        roc_figure([scores.roc_points(y[rows], p[rows]) for rows in parts], scores.roc_points(y, p)),
        *map(reliability_figure, filter(None, [run.metrics.reliability])),
        net_benefit_figure(y, p),
    ))  # fmt: skip
    if len(parts) > 1:
        yield Text(
            "The pooled curves mix the probabilities of different models, one per fold, so no area is given for them: "
            "every AUROC and AUPRC of this page is the mean over folds of that of each fold's own samples.",
            tone="aside",
        )


def _parts(fold: Floats) -> list[Bools]:
    """Return the rows [N] of each fold."""
    return [fold == value for value in np.unique(fold[np.isfinite(fold)])]


def _precision(run: Run) -> Iterator[Block]:
    y, p = run.tested.y[:, 0], run.tested.p[:, 0]
    if run.metrics.kind != "binary" or scores.auprc(y, p) is None:
        return
    folds = [scores.precision_recall_points(y[rows], p[rows]) for rows in _parts(run.tested.fold)]
    pooled = scores.precision_recall_points(y, p)
    yield Figures((precision_recall_figure(folds, pooled, float(np.nanmean(y))),))


def _folds(run: Run) -> Iterator[Block]:
    binary = run.metrics.kind == "binary"
    rows = []
    for fold in run.metrics.folds:
        positives = (count(fold.positives),) if binary else ()
        area = (number(fold.measures["auroc"]), number(fold.measures["auprc"]))
        rows.append((str(fold.fold), count(fold.rows), *positives, *area, count(fold.epochs),
                     number(fold.seconds, 1)))  # fmt: skip
    positive = ("positive",) if binary else ()
    columns = ("fold", "samples", *positive, "AUROC", "AUPRC", "epochs", "seconds")
    yield Table("Test part of each fold", columns, tuple(rows))
    undefined = [str(fold.fold) for fold in run.metrics.folds if fold.measures["auroc"] is None]
    if undefined:
        yield Text(
            f"{MISSING} means not defined: the test part of fold {', '.join(undefined)} has one outcome only. Means "
            "are over the other folds."
        )


def _losses(run: Run) -> Iterator[Block]:
    if run.metrics.kind == "multiclass":
        return
    y, p = run.tested.y, run.tested.p
    known = scores.known(y, p)
    shares = y.sum(axis=0, where=known) / np.maximum(known.sum(axis=0), 1)  # [C]
    constant = np.where(known, shares, np.nan)  # [N, C]
    rows = []
    for name, score in (("log loss", scores.log_loss), ("Brier score", scores.brier)):
        model, reference = (_mean_over_labels(score, y, values) for values in (p, constant))
        rows.append((name, number(model), number(reference)))
    columns = ("lower is better", "this model", "constant guess")
    yield Table("Are the probabilities right in size?", columns, tuple(rows))
    yield Text("Constant guess: the share of positives, for every sample.", tone="aside")


def _mean_over_labels(score: scores.Score, y: Floats, p: Floats) -> float | None:
    values = [value for value in map(score, y.T, p.T) if value is not None]
    return float(np.mean(values)) if values else None


def _labels(run: Run) -> Iterator[Block]:
    labels = run.metrics.per_label
    if run.metrics.kind == "binary" or not labels:
        return
    rows = tuple(_label(label, run.metrics.samples) for label in labels)
    columns = ("label", "positive", "share", "AUROC", "AUPRC", "observed / expected", "slope")
    yield Table("Each label", columns, rows, sortable=True)
    yield Text(
        "Means over folds, with 95 % intervals. Guessing reaches an AUROC of 0.5 and an AUPRC equal to the share of "
        "positives. Observed over expected: positives by the sum of the predicted probabilities, ideally 1; slope: "
        "below 1 where the probabilities are too extreme.",
        tone="aside",
    )


def _label(label: LabelScores, samples: int) -> tuple[Cell, ...]:
    areas = (measured(label, name) for name in ("auroc", "auprc"))
    ratio, slope = measured(label.calibration, "observed_expected", 2), number(label.calibration.slope, 2)
    return label.label, count(label.positives), percent(label.positives, samples), *areas, ratio, slope


def _patterns(run: Run) -> Iterator[Block]:
    if not run.tested.modalities:
        return
    combinations = run.tested.combinations
    names, counts = np.unique(combinations, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rows = tuple(_pattern(run, str(name), combinations == name) for name in names[order])
    binary = run.metrics.kind == "binary"
    columns = (
        "available",
        "samples",
        *(("positive", "expected") if binary else ()),
        "AUROC" if binary else "mean AUROC",
    )
    total = ("all", *_pattern(run, "", np.ones(len(combinations), dtype=bool))[1:])
    yield Table("By what was available", columns, rows, sortable=True, total=total)
    if binary:
        yield Text(
            "Expected is the sum of the predicted probabilities: where it is far from the number of positives, the "
            "model is off in size for that group. A group with few positives tells little.",
            tone="aside",
        )


def _pattern(run: Run, name: str, rows: Bools) -> tuple[Cell, ...]:
    y, p = run.tested.y[rows], run.tested.p[rows]
    outcome = (count(np.nansum(y)), number(float(np.nansum(p)), 1)) if run.metrics.kind == "binary" else ()
    return (
        name.replace("+", " + "),
        count(int(rows.sum())),
        *outcome,
        number(scores.macro_auroc(y, p, run.tested.fold[rows])),
    )
