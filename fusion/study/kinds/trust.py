"""How far the probabilities can be trusted: by what is missing, by subgroup, at an alert rate, and for a decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...parts.calibration import platt
from ...runs.metrics import Calibration, Row
from ...scores.decisions import expected_calibration_error, net_benefit
from ...scores.measures import KINDS, PRIMARY, of_kind
from ...scores.metrics import calibration
from ...words import combination_words
from ..cell import Cell, Measurement, Scope
from ..finished import FinishedCell, FinishedStudy
from ..results import Chapter, Column, Estimate, Item, Note, ResultFigure, ResultTable, Series, Value
from .base import FIRST_SEED, Experiment
from .trust_of_outcomes import outcome_items
from .trust_of_sets import set_items

AREA = PRIMARY["binary"]

COMPARED = {
    AREA: "AUROC",
    f"{AREA}_gap": "gap",
    "sensitivity": "sensitivity",
    "sensitivity_gap": "gap of it",
    "observed_expected": "observed/expected",
    "observed_expected_gap": "gap of that",
}
"""What a table of subgroups has of each, and what it is called there."""

OF_PREDICTIONS = "How trustworthy the predictions are"

THRESHOLDS = np.linspace(0.02, 0.5, 25)


@dataclass(frozen=True)
class Trust(Experiment):
    """Calibration and discrimination of a few methods where it may fail."""

    kind: ClassVar[str] = "trust"
    heading: ClassVar[str] = "How trustworthy the probabilities are"

    methods: tuple[str, ...] = ("omnifuse", "concat:modality-dropout")
    """Methods, on all modalities."""

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield each method on all modalities."""
        for method in self.methods:
            yield self.cells(scope, method, scope.modalities)[0], ()

    def chapter(self, study: FinishedStudy, number: int = 1) -> Chapter:
        """Return its chapter, which speaks of predictions where there are no probabilities."""
        found = super().chapter(study, number)
        return found if self.title or study.kind in KINDS else replace(found, title=OF_PREDICTIONS)

    def items(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield tables by pattern, subgroup and alert, and the decision curve; of other tasks what there is."""
        found = {
            method: study.find(self.cells(study.scope, method, study.scope.modalities)[0]) for method in self.methods
        }
        runs = {method: run for method, run in found.items() if run is not None}
        if len(self.seeds_of(study.scope)) > 1:
            yield Note(FIRST_SEED)
        binary = {method: run for method, run in runs.items() if run.metrics.kind == "binary"}
        if study.kind in ("multilabel", "multiclass"):
            yield from (_labels(method, run) for method, run in runs.items())
        if study.kind not in KINDS:
            yield from outcome_items(runs)
        if binary:
            if drawn := {method: run for method, run in binary.items() if run.metrics.reliability}:
                yield _reliability(drawn)
            yield _decisions(binary)
            yield _alerts(binary)
            yield _platt(binary)
            yield Note(
                "A model is worth using at a threshold only if its net benefit is above that of treating everyone and "
                "of treating nobody; the probabilities are those of a retrospective cohort."
            )
        yield from set_items(runs)
        for method, run in runs.items():
            if method in binary:
                yield _patterns(method, run)
            if study.kind in KINDS and run.metrics.per_subgroup:
                yield _subgroups(method, run)


def _patterns(method: str, run: FinishedCell) -> ResultTable:
    metrics = run.metrics
    everyone = (metrics.samples, metrics.positives, metrics.measures[AREA].mean, *_calibrated(metrics.calibration))
    return ResultTable(
        f"trust-patterns-{method.replace(':', '-')}",
        f"By what a patient has: {method}",
        "AUROC: mean over folds. Observed/expected: positives for each one predicted, with its 95 % "
        "interval; the model is off for a group where that interval leaves 1 out.",
        (*map(Column, ("available", "samples", "positive", "AUROC", "observed/expected", "slope", "intercept")),),
        (
            ("everyone", *everyone),
            *(
                (
                    combination_words(row.modalities),
                    row.rows,
                    row.positives,
                    row.measured(AREA).value,
                    *_calibrated(row.calibration),
                )
                for row in metrics.per_pattern
            ),
        ),
        folded=True,
    )


def _calibrated(found: Calibration | None) -> tuple[Value, ...]:
    """Return observed over expected, slope and intercept."""
    if found is None:
        return None, None, None
    return _interval(found, "observed_expected"), found.slope, found.intercept


def _interval(row: Row, name: str) -> Estimate:
    """Return a number of metrics.json with the interval that stands beside it."""
    found = row.measured(name)
    return Estimate(found.value, *(found.ci or (None, None)))


def _subgroups(method: str, run: FinishedCell) -> ResultTable:
    return ResultTable(
        f"trust-subgroups-{method.replace(':', '-')}",
        f"By subgroup: {method}",
        "AUROC: mean over folds. Gaps: of what stands before them, to the largest group of the same kind; alerts are "
        "by one probability for all. 95 % intervals; of many, one in twenty leaves the truth out by chance. No column "
        "was an input unless it is also a modality.",
        tuple(map(Column, ("subgroup", "samples", "positive", *COMPARED.values()))),
        tuple(
            (
                f"{row.group}: {row.value}",
                row.samples,
                row.positives,
                *(_interval(row, name) for name in COMPARED),
            )
            for row in run.metrics.per_subgroup
        ),
        folded=True,
    )


def _labels(method: str, run: FinishedCell) -> ResultTable:
    areas = {name: measure.title for name, measure in of_kind("binary").items() if measure.area}
    return ResultTable(
        f"trust-labels-{method.replace(':', '-')}",
        f"Each label: {method}",
        "Means over folds, and how many positives there are for each predicted one, with 95 % intervals.",
        tuple(map(Column, ("label", "positive", *areas.values(), "observed/expected"))),
        tuple(
            (
                row.label,
                row.positives,
                *(_interval(row, area) for area in areas),
                _interval(row.calibration, "observed_expected") if row.calibration else None,
            )
            for row in run.metrics.per_label
        ),
    )


def _reliability(runs: dict[str, FinishedCell]) -> ResultFigure:
    series = []
    for method, run in runs.items():
        curve = run.metrics.reliability or ()
        x, y, low, high = (
            tuple(getattr(point, part) for point in curve) for part in ("predicted", "observed", "low", "high")
        )
        series.append(Series(method, x, y, low, high))
    return ResultFigure(
        "trust-reliability",
        "Reliability",
        "Patients in ten groups of equal size by predicted probability, with the 95 % interval of the observed share.",
        "predicted probability",
        "observed share",
        tuple(series),
        diagonal="perfect calibration",
    )


def _platt(runs: dict[str, FinishedCell]) -> ResultTable:
    """Return how far the probabilities are off, and how far after a scale that other folds have chosen."""
    losses = [measure for measure in of_kind("binary").values() if not measure.higher_is_better]
    rows = []
    for method, run in runs.items():
        y, p, fold = run.tested.y[:, 0], run.tested.p[:, 0], run.tested.fold
        for label, chance in ((method, p), (f"{method}, scaled", platt(y, p, fold))):
            found = calibration(y, chance)
            lost = (loss.value(y[:, None], chance[:, None]) for loss in losses)
            ece = expected_calibration_error(y, chance)
            rows.append((label, *lost, ece, found["slope"], found["intercept"]))
    return ResultTable(
        "trust-platt",
        "Before and after Platt scaling",
        "The scale of each fold is fitted to the predictions of the other folds. Where it helps much, a method's "
        "probabilities are off in size, whatever its AUROC.",
        tuple(map(Column, ("method", *(loss.title for loss in losses), "ECE", "slope", "intercept"))),
        tuple(rows),
    )


def _alerts(runs: dict[str, FinishedCell]) -> ResultTable:
    found = {method: run.metrics.alert for method, run in runs.items() if run.metrics.alert}
    return ResultTable(
        "trust-alerts",
        "If the tenth with the highest probabilities raised an alert",
        "Sensitivity: share of the positives who are among them. Positive predictive value: share of the alerts that "
        "are right. With 95 % intervals.",
        tuple(map(Column, ("method", "alerts", "sensitivity", "positive predictive value"))),
        tuple(
            (
                method,
                alert.alerts,
                _interval(alert, "sensitivity"),
                _interval(alert, "positive_predictive_value"),
            )
            for method, alert in found.items()
        ),
    )


def _decisions(runs: dict[str, FinishedCell]) -> ResultFigure:
    series = []
    for method, run in runs.items():
        y, p = run.tested.y[:, 0], run.tested.p[:, 0]
        model, everyone = net_benefit(y, p, THRESHOLDS)
        series.append(Series(method, tuple(THRESHOLDS), tuple(model)))
    top = max(max(line.y) for line in series)
    shown = everyone > -0.2 * top
    series.append(Series("treat everyone", tuple(THRESHOLDS[shown]), tuple(everyone[shown]), dashed=True))
    return ResultFigure(
        "trust-decision-curve",
        "Decision curve",
        "Net benefit: true positives minus false positives weighed by the odds of the threshold, per patient (Vickers "
        "and Elkin 2006). Line at 0: treat nobody.",
        "threshold probability",
        "net benefit",
        tuple(series),
        reference=0.0,
    )
