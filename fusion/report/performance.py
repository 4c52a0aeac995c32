"""How good the predictions are: per fold, per label, per availability pattern, with curves."""

from collections.abc import Iterable, Iterator

import numpy as np

from ..runs.metrics import LabelScores
from ..runs.run import Run
from ..scores import curves as scores
from ..scores.curves import Bools, Floats
from ..scores.measures import KINDS, MEASURES, PRIMARY, Value, decimals, in_brief, of_kind
from ..scores.metrics import fold_masks, mean_defined
from ..words import MISSING, combination_words, count, number, percent
from .blocks import Block, Cell, Figures, Folded, Section, Table, Text, measured
from .figures import net_benefit_figure, precision_recall_figure, reliability_figure, roc_figure
from .outcomes import quantity_blocks, survival_blocks

ALONE = {
    **dict.fromkeys(KINDS, "one outcome only"),
    "regression": "no known value",
    "survival": "no two samples to compare, for want of events",
}
"""What the test part of a fold has where the primary measure is not defined."""


def performance_section(run: Run) -> Section:
    """Return the chapter on the quality of the predictions."""
    if run.metrics.kind in KINDS:
        more = Folded("Each fold, precision and recall, and losses", (*_precision(run), *_folds(run), *_losses(run)))
        blocks = (*_curves(run), *_labels(run), *_patterns(run), more)
    else:
        drawn = quantity_blocks(run) if run.metrics.kind == "regression" else survival_blocks(run)
        blocks = (*drawn, *_patterns(run), Folded("Each fold", tuple(_folds(run))))
    return Section("performance", "How good the predictions are", blocks)


def _curves(run: Run) -> Iterator[Block]:
    if run.metrics.kind != "binary":
        return
    y, p, fold = run.tested.y[:, 0], run.tested.p[:, 0], run.tested.fold
    lost = int((~scores.known(y, p)).sum())
    if lost:
        yield Text(f"{count(lost)} samples without a label or a probability are left out of everything below.")
    if not scores.has_both_outcomes(y, p):
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
    if run.metrics.kind != "binary" or not scores.has_both_outcomes(y, p):
        return
    folds = [scores.precision_recall_points(y[rows], p[rows]) for rows in _parts(run.tested.fold)]
    pooled = scores.precision_recall_points(y, p)
    yield Figures((precision_recall_figure(folds, pooled, float(np.nanmean(y))),))


def _folds(run: Run) -> Iterator[Block]:
    metrics, measures = run.metrics, in_brief(run.metrics.kind, run.metrics.measures)
    places = {name: decimals(measure, metrics.measures[name].mean) for name, measure in measures.items()}
    counted = {"binary": "positives", "survival": "events"}.get(metrics.kind)
    rows = []
    for fold in metrics.folds:
        positives = (count(getattr(fold, counted)),) if counted else ()
        scored = (number(fold.measures[name], digits) for name, digits in places.items())
        rows.append((str(fold.fold), count(fold.rows), *positives, *scored, count(fold.epochs),
                     number(fold.seconds, 1)))  # fmt: skip
    positive = {"positives": ("positive",), "events": ("events",)}.get(counted or "", ())
    columns = ("fold", "samples", *positive, *(one.title for one in measures.values()), "epochs", "seconds")
    yield Table("Test part of each fold", columns, tuple(rows))
    if words := " ".join(f"{one.title}: {one.words}" for one in measures.values() if one.words):
        yield Text(words, tone="aside")
    primary = PRIMARY[run.metrics.kind]
    undefined = [str(fold.fold) for fold in run.metrics.folds if fold.measures[primary] is None]
    if undefined:
        yield Text(
            f"{MISSING} means not defined: the test part of fold {', '.join(undefined)} has "
            f"{ALONE[run.metrics.kind]}. Means are over the other folds."
        )


def _losses(run: Run) -> Iterator[Block]:
    if run.metrics.kind == "multiclass":
        return
    y, p = run.tested.y, run.tested.p
    known = scores.known(y, p)
    shares = y.sum(axis=0, where=known) / np.maximum(known.sum(axis=0), 1)  # [C]
    constant = np.where(known, shares, np.nan)  # [N, C]
    rows = []
    for loss in of_kind(run.metrics.kind).values():
        if not loss.higher_is_better:
            model, reference = (_mean_over_labels(loss.value, y, values) for values in (p, constant))
            rows.append((loss.title, number(model), number(reference)))
    columns = ("lower is better", "this model", "constant guess")
    yield Table("Are the probabilities right in size?", columns, tuple(rows))
    yield Text("Constant guess: the share of positives, for every sample.", tone="aside")


def _mean_over_labels(value: Value, y: Floats, p: Floats) -> float | None:
    """Return the mean of a measure of each column of y, p: [N, C]."""
    columns = zip(y.T, p.T, scores.known(y, p).T, strict=True)
    return mean_defined([value(y[rows, None], p[rows, None]) for y, p, rows in columns])


def _labels(run: Run) -> Iterator[Block]:
    labels = run.metrics.per_label
    if run.metrics.kind == "binary" or not labels:
        return
    areas = {name: one.title for name, one in of_kind("binary").items() if one.area}
    rows = tuple(_label(label, run.metrics.samples, areas) for label in labels)
    columns = ("label", "positive", "share", *areas.values(), "observed / expected", "slope")
    yield Table("Each label", columns, rows, sortable=True)
    yield Text(
        "Means over folds, with 95 % intervals. Guessing reaches an AUROC of 0.5 and an AUPRC equal to the share of "
        "positives. Observed over expected: positives by the sum of the predicted probabilities, ideally 1; slope: "
        "below 1 where the probabilities are too extreme.",
        tone="aside",
    )


def _label(label: LabelScores, samples: int, areas: Iterable[str]) -> tuple[Cell, ...]:
    assert label.calibration is not None and label.positives is not None  # of labels
    ratio, slope = measured(label.calibration, "observed_expected", 2), number(label.calibration.slope, 2)
    found = (measured(label, area) for area in areas)
    return label.label, count(label.positives), percent(label.positives, samples), *found, ratio, slope


def _patterns(run: Run) -> Iterator[Block]:
    if not run.tested.modalities:
        return
    combinations = run.tested.combinations
    names, counts = np.unique(combinations, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rows = tuple(_pattern(run, str(name), combinations == name) for name in names[order])
    kind, binary = run.metrics.kind, run.metrics.kind == "binary"
    counted = {"binary": ("positive", "expected"), "survival": ("events",)}.get(kind, ())
    mean = "mean " if kind in ("multilabel", "multiclass") else ""
    columns = ("available", "samples", *counted, f"{mean}{MEASURES.get(PRIMARY[kind]).title}")
    total = ("all", *_pattern(run, "", np.ones(len(combinations), dtype=bool))[1:])
    yield Table("By what was available", columns, rows, sortable=True, total=total)
    if binary:
        yield Text(
            "Expected is the sum of the predicted probabilities: where it is far from the number of positives, the "
            "model is off in size for that group. A group with few positives tells little.",
            tone="aside",
        )


def _pattern(run: Run, name: str, rows: Bools) -> tuple[Cell, ...]:
    kind, y, p, predicted = run.metrics.kind, run.tested.y[rows], run.tested.p[rows], run.tested.predicted[rows]
    measure = MEASURES.get(PRIMARY[kind])
    places = decimals(measure, run.metrics.measures[PRIMARY[kind]].mean)
    outcome: tuple[str, ...] = ()
    if kind == "binary":
        outcome = count(np.nansum(y)), number(float(np.nansum(p)), 1)
    elif kind == "survival":
        outcome = (count(np.nansum(y[:, 1])),)
    known = scores.known_labels(y, p) if kind in KINDS else y
    each = [measure.value(known[part], predicted[part]) for part in fold_masks(run.tested.fold[rows])]
    return combination_words(name), count(int(rows.sum())), *outcome, number(mean_defined(each), places)
