"""How good predicted quantities and times to an event are: figures, and tables of times and risk groups."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..runs.metrics import LabelScores
from ..runs.run import Run
from ..scores.horizons import auroc_at, brier_at, mean_over_time
from ..scores.measures import decimals, of_kind
from ..scores.metrics import fold_masks
from ..scores.observed import restricted_mean, risk_groups
from ..scores.survival import SurvivalCurves, kaplan_meier, known_outcomes
from ..words import count, digits, number
from .blocks import Block, Cell, Figure, Figures, Table, Text, measured
from .outcome_figures import (
    RiskGroup,
    horizons_figure,
    over_time_figure,
    predicted_figure,
    residuals_figure,
    survival_figure,
    tenths_figure,
)

Floats = npt.NDArray[np.float64]

GROUPS = ("lowest third", "middle third", "highest third")
"""Of the predicted risk."""

WITHOUT_INTERVALS = (
    "There are no intervals that promise to hold the time of an event, as there are of other predictions: of who is "
    "censored it is not known whether they did."
)

STEPS = 120
"""Times at which survival is drawn, evenly spaced: no step is that of one patient."""

TICKS = 5
MOST_OUTCOMES = 6
"""Of more quantities than this no figures are drawn."""


def quantity_blocks(run: Run) -> Iterator[Block]:
    """Yield the figures of one quantity, or a table and figures of several."""
    unit, y, predicted = run.metrics.unit, run.tested.y, run.tested.p
    if y.shape[1] > 1:
        yield from _outcomes(run)
        return
    known = ~np.isnan(y[:, 0])
    y, predicted = y[known, 0], predicted[known, 0]
    if lost := int((~known).sum()):
        yield Text(f"{count(lost)} samples without a known value are left out of everything below.")
    if not len(y):
        return
    tenths = [tenths_figure(run.metrics.reliability, unit)] if run.metrics.reliability else []
    yield Figures((predicted_figure(y, predicted, unit), *tenths, residuals_figure(y, predicted, unit)))


def _outcomes(run: Run) -> Iterator[Block]:
    labels = run.metrics.per_label
    measures = {name: measure for name, measure in of_kind("regression").items() if measure.resampled}
    columns = ("outcome", *(measure.title for measure in measures.values()))
    yield Table("Each outcome", columns, tuple(_outcome(label, run) for label in labels), sortable=True)
    yield Text("Means over folds, with 95 % intervals; errors are in the unit of the outcome.", tone="aside")
    if len(labels) <= MOST_OUTCOMES:
        yield Figures(
            tuple(
                tenths_figure(label.reliability, "", f"Calibration: {label.label}")
                for label in labels
                if label.reliability
            )
        )


def _outcome(label: LabelScores, run: Run) -> tuple[Cell, ...]:
    measures = {name: measure for name, measure in of_kind(run.metrics.kind).items() if measure.resampled}
    places = {name: decimals(measure, label.measured(name).value) for name, measure in measures.items()}
    return label.label, *(measured(label, name, digits) for name, digits in places.items())


def survival_blocks(run: Run) -> Iterator[Block]:
    """Yield the figures of times to an event, and the tables behind them."""
    curves = run.tested.predicted
    assert isinstance(curves, SurvivalCurves)
    known, time, event = known_outcomes(run.tested.y)
    if lost := int((~known).sum()):
        yield Text(f"{count(lost)} samples without a known time are left out of everything below.")
    if not event.any():
        yield Text("No curves: every tested sample is censored, so nobody is known to have had the event.")
        return
    y, curves, fold = run.tested.y[known], curves[known], run.tested.fold[known]
    group = risk_groups(curves.risk, np.nan_to_num(fold, nan=-1), len(GROUPS))
    brier = _brier(y, curves, fold)
    horizons = {f"by {_time(at.time, run)}": at.groups for at in run.metrics.horizons if at.groups}
    yield Figures((
        _survival(run, time, event, curves, group),
        *([horizons_figure(horizons)] if horizons else []),
        _discrimination(run, y, curves, fold),
        _brier_figure(run, *brier),
    ))  # fmt: skip
    yield _against_everybody(run, *brier)
    yield _risk_table(run, time, event, curves, group)
    yield _horizon_table(run)
    yield Text(WITHOUT_INTERVALS, tone="aside")


def _survival(
    run: Run, time: Floats, event: npt.NDArray[np.bool_], curves: SurvivalCurves, group: npt.NDArray[np.int64]
) -> Figure:
    times, ticks = np.linspace(0, curves.times[-1], STEPS), _ticks(curves.times[-1])
    drawn = []
    for number_of, name in enumerate(GROUPS):
        rows = group == number_of
        if rows.any():
            at_risk = [int((time[rows] >= tick).sum()) for tick in ticks]
            observed = kaplan_meier(time[rows], event[rows]).at(times)
            drawn.append(RiskGroup(name, observed, curves[rows].at(times).mean(axis=0), at_risk))
    return survival_figure(drawn, times, ticks, run.metrics.unit)


def _ticks(last: float) -> Floats:
    """Return round times from 0 up to the last one."""
    power = 10.0 ** np.floor(np.log10(last / TICKS))
    step = next(power * base for base in (1, 2, 2.5, 5, 10) if power * base * TICKS >= last)
    return np.arange(0, last * (1 + 1e-9), step)


def _discrimination(run: Run, y: Floats, curves: SurvivalCurves, fold: Floats) -> Figure:
    parts = [(y[rows], curves[rows]) for rows in fold_masks(fold)]
    values = np.array(
        [[auroc_at(when, *part, np.ones((1, len(part[0]))))[0] for when in curves.times] for part in parts]
    )
    dots = [(at.time, at.auroc, *at.auroc_ci) for at in run.metrics.horizons if at.auroc is not None and at.auroc_ci]
    half = np.full(len(curves.times), 0.5)
    return over_time_figure(
        "AUROC over time", "AUROC of the event by then", run.metrics.unit, _mean(curves.times, values),
        [(curves.times, each) for each in values], guessing=(curves.times, half), guess="guessing", at=dots,
    )  # fmt: skip


def _brier(y: Floats, curves: SurvivalCurves, fold: Floats) -> tuple[Floats, Floats]:
    """Return the Brier score of each fold at all times, [F, T], of the predictions and of one curve for everybody."""
    scores = []
    for rows in fold_masks(fold):
        ones, same = np.ones((1, int(rows.sum()))), _of_everybody(y[rows], curves.times)
        scores.append([brier_at(y[rows], one, ones)[0] for one in (curves[rows], same)])
    model, everybody = np.array(scores).transpose(1, 0, 2)
    return model, everybody


def _brier_figure(run: Run, model: Floats, everybody: Floats) -> Figure:
    times = np.array(run.metrics.times)
    return over_time_figure(
        "Brier score over time", "Brier score", run.metrics.unit, _mean(times, model),
        [(times, each) for each in model], guessing=_mean(times, everybody), guess="the same curve for everybody",
    )  # fmt: skip


def _against_everybody(run: Run, model: Floats, everybody: Floats) -> Text:
    times = np.array(run.metrics.times)
    own, same = (mean_over_time(np.ma.masked_invalid(each).mean(axis=0), times) for each in (model, everybody))
    return Text(
        f"Integrated Brier score (mean over time and folds, lower is better): {number(float(own))}; one curve for "
        f"everybody, that of Kaplan and Meier of the same samples, has {number(float(same))}."
    )


def _of_everybody(y: Floats, times: Floats) -> SurvivalCurves:
    """Return the Kaplan-Meier curve of all as the prediction of each."""
    _, time, event = known_outcomes(y)
    return SurvivalCurves(times, np.tile(kaplan_meier(time, event).at(times), (len(y), 1)))


def _mean(times: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Return times and the mean over folds of values [F, T] where any fold has one."""
    mean = np.ma.masked_invalid(values).mean(axis=0).filled(np.nan)
    return times, mean


def _risk_table(
    run: Run, time: Floats, event: npt.NDArray[np.bool_], curves: SurvivalCurves, group: npt.NDArray[np.int64]
) -> Table:
    last = float(curves.times[-1])
    rows = []
    for number_of, name in enumerate(GROUPS):
        inside = group == number_of
        if not inside.any():
            continue
        observed, predicted = restricted_mean(time[inside], event[inside], last), curves[inside].restricted_mean.mean()
        risk = 1 - kaplan_meier(time[inside], event[inside]).at(np.array([last]))[0]
        rows.append(
            (
                name,
                count(int(inside.sum())),
                count(int(event[inside].sum())),
                number(float(risk)),
                number(float(curves[inside].risk.mean())),
                number(observed, digits(last)),
                number(float(predicted), digits(last)),
            )
        )
    columns = ("predicted risk", "samples", "events", "observed", "predicted", "mean time", "predicted mean time")
    reading = (
        f"Chance of the event by {_time(last, run)}, observed and predicted, and the mean time without event up to "
        f"then (restricted mean survival time){f', in {run.metrics.unit}' if run.metrics.unit else ''}."
    )
    return Table("By predicted risk", columns, tuple(rows), reading=reading)


def _horizon_table(run: Run) -> Table:
    columns = ("by", "at risk", "events", "expected", "events / expected", "AUROC", "observed", "predicted")
    rows = tuple(
        (
            _time(at.time, run),
            count(at.at_risk),
            count(at.events),
            number(at.events_expected, 1),
            measured(at, "observed_expected", 2),
            measured(at, "auroc"),
            measured(at, "observed"),
            number(at.expected),
        )
        for at in run.metrics.horizons
    )
    reading = (
        "Expected: events that were predicted for as long as each was observed. AUROC: of who had the event by then "
        "against who was without it longer, mean over folds. Observed: chance of the event as Kaplan and Meier "
        "estimate it; predicted: the mean of the predictions. Where those at low risk leave first, Kaplan and Meier "
        "take the rest for everybody, and observed is above predicted even if every prediction is right. With 95 % "
        "intervals."
    )
    return Table("At three times", columns, rows, reading=reading)


def _time(time: float, run: Run) -> str:
    return f"{number(time, digits(time))} {run.metrics.unit}".rstrip()
