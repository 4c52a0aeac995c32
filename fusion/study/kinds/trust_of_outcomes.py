"""How far predicted quantities and times to an event can be trusted, method beside method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...runs.metrics import Bin, Row
from ...scores.measures import MEASURES, PRIMARY
from ...words import combination_words, digits, number
from ..finished import FinishedCell
from ..results import Column, Estimate, Item, Note, ResultFigure, ResultTable, Series, Value

OF_PROBABILITIES = (
    "Alerts, decision curves and calibration slopes are of probabilities: there are none of a task like this."
)


def outcome_items(runs: Mapping[str, FinishedCell]) -> Iterator[Item]:
    """Yield calibration, and tables by what was available and by subgroup, of quantities or times to an event."""
    yield Note(OF_PROBABILITIES)
    unit = next((run.metrics.unit for run in runs.values()), "")
    if curves := {method: run.metrics.reliability for method, run in runs.items() if run.metrics.reliability}:
        yield _calibration("Calibration", "mean predicted", "mean measured", unit, curves)
    times = dict.fromkeys(horizon.time for run in runs.values() for horizon in run.metrics.horizons)
    for place, time in enumerate(times):
        at = {method: run.metrics.horizons[place].groups for method, run in runs.items()}
        title = f"Calibration by {number(time, digits(time))} {unit}".rstrip()
        yield _calibration(title, "predicted chance of the event", "observed chance", "", at)
    if times:
        yield _horizons(runs, unit)
    for method, run in runs.items():
        yield _patterns(method, run)
        if run.metrics.per_subgroup:
            yield _subgroups(method, run)


def _calibration(title: str, x: str, y: str, unit: str, curves: Mapping[str, Sequence[Bin]]) -> ResultFigure:
    series = [
        Series(
            method,
            tuple(point.predicted for point in curve),
            tuple(point.observed for point in curve),
            tuple(point.low for point in curve),
            tuple(point.high for point in curve),
        )
        for method, curve in curves.items()
        if curve
    ]
    x, y = (f"{name} ({unit})" if unit else name for name in (x, y))
    return ResultFigure(
        f"trust-{title.lower().replace(' ', '-')}",
        title,
        "Patients in ten groups of equal size by what was predicted, with 95 % intervals of what was observed.",
        x,
        y,
        tuple(series),
        diagonal="perfect calibration",
    )


def _horizons(runs: Mapping[str, FinishedCell], unit: str) -> ResultTable:
    rows: list[tuple[Value, ...]] = []
    for method, run in runs.items():
        for at in run.metrics.horizons:
            time = f"{number(at.time, digits(at.time))} {unit}".rstrip()
            chances = (_interval(at, "auroc"), _interval(at, "observed"), at.expected)
            rows.append((method, time, at.events, at.events_expected, _interval(at, "observed_expected"), *chances))
    return ResultTable(
        "trust-horizons",
        "At three times",
        "Events, and those that were predicted for as long as each was observed; AUROC of the event by then, mean over "
        "folds; the chance of it as Kaplan and Meier estimate it, and the mean of those predicted (the former is too "
        "high where those at low risk leave first). With 95 % intervals.",
        tuple(map(Column, ("method", "by", "events", "expected", "events/expected", "AUROC", "observed", "predicted"))),
        tuple(rows),
    )


def _patterns(method: str, run: FinishedCell) -> ResultTable:
    primary = PRIMARY[run.metrics.kind]
    everyone = ("everyone", run.metrics.samples, _of_score(run, primary))
    rows = ((combination_words(row.modalities), row.rows, _interval(row, primary)) for row in run.metrics.per_pattern)
    title = MEASURES.get(primary).title
    return ResultTable(
        f"trust-patterns-{method.replace(':', '-')}",
        f"By what a patient has: {method}",
        f"{title}: mean over folds, with 95 % intervals.",
        tuple(map(Column, ("available", "samples", title))),
        (everyone, *rows),
        folded=True,
    )


def _of_score(run: FinishedCell, name: str) -> Estimate:
    score = run.metrics.measures[name]
    return Estimate(score.mean, *(score.ci or (None, None)))


def _subgroups(method: str, run: FinishedCell) -> ResultTable:
    primary = PRIMARY[run.metrics.kind]
    title = MEASURES.get(primary).title
    return ResultTable(
        f"trust-subgroups-{method.replace(':', '-')}",
        f"By subgroup: {method}",
        f"{title}: mean over folds. Gap: to the largest group of the same kind. Too high: mean of predicted less "
        "measured values. With 95 % intervals; of many, one in twenty leaves the truth out by chance.",
        (
            *map(Column, ("subgroup", "samples", "events", title)),
            *(Column(name, signed=True) for name in ("gap", "too high")),
            Column("observed/expected"),
        ),
        tuple(
            (
                f"{row.group}: {row.value}",
                row.samples,
                row.events,
                *(_interval(row, name) for name in (primary, f"{primary}_gap", "bias", "observed_expected")),
            )
            for row in run.metrics.per_subgroup
        ),
        folded=True,
    )


def _interval(row: Row, name: str) -> Estimate:
    """Return a number of metrics.json with the interval that stands beside it."""
    found = row.measured(name)
    return Estimate(found.value, *(found.ci or (None, None)))
