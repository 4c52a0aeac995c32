"""The page of a run among other patients: both sites side by side, and what is different there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from ..external.drift import NOTABLE, in_words, notable
from ..external.evaluation import Evaluation
from ..files import write_json, write_table, write_whole
from ..runs.metrics import Measured, RunMetrics
from ..scores.measures import MEASURES, PRIMARY, decimals, in_brief
from ..words import count, digits, interval, listing, number, percent, plural
from .blocks import Block, Cell, Figure, Figures, Folded, Measure, Section, Table, Text
from .decisions import decisions_section
from .drawing import PALETTE, draw
from .export import write_tables
from .figures import reliability_figure
from .groups import groups_section
from .headline import Headline, KeyNumber
from .html import render
from .performance import performance_section
from .uncertainty import uncertainty_section

PAGE, FACTS, PREDICTIONS, DRIFT = "external.html", "evaluation.json", "predictions.parquet", "drift.parquet"

SHOWN = 20
"""Columns in the figure of drift; all notable ones are in the table."""

FURTHEST = 3.0
"""Standard deviations at which the figure of drift ends."""

READING = (
    "In training: cross-validation, each patient predicted by one model that had not seen them. Here: the mean of all "
    "models of the run, none of which has seen these patients, which by itself is a little better than one model. "
    "Difference: here minus in training, with a 95 % interval for other patients at both sites and these models; an "
    "interval without 0 is a difference beyond chance."
)
LIMITS = (
    "What this can tell: whether these models, as they are, rank and size risks as well for these patients. What it "
    "cannot: why. Other patients, other ways to measure and to write down, another time, and another mix of illness "
    "all change the numbers; the chapter on what is different names what can be seen in the data."
)


def write_external(found: Evaluation, folder: Path) -> Path:
    """Write the page, its tables, the predictions and all numbers as JSON into a new folder; return the page's path.

    The page needs no network and holds no identifier of a patient; the predictions do.
    """
    sections = tuple(_sections(found))
    folder.mkdir(parents=True)
    write_tables(sections, folder / "tables")
    write_json(folder / FACTS, found.to_json())
    found.answer.write(folder / PREDICTIONS)
    if found.drift is not None:
        write_table(folder / DRIFT, found.drift)
    path = folder / PAGE
    page = render("template.html", "page.js", kind="run", name=found.run.name, top=_headline(found), sections=sections)
    write_whole(path, page)
    return path


def _headline(found: Evaluation) -> Headline:
    here, there = found.site.metrics, found.run.metrics
    lead = (
        f"The run {found.run.name} ({there.method}), trained on {plural(there.samples, 'sample')} of "
        f"{there.cache.dataset}, was asked about {plural(here.samples, 'sample')} of another cache "
        f"({here.cache.dataset}). {LIMITS}"
    )
    own = here.notes
    return Headline(
        title=f"Predicting {there.task_title} elsewhere",
        lead=lead,
        facts=tuple(here.cache.words()),
        answer=_answer(found),
        numbers=tuple(_numbers(found)),
        notes=tuple(dict.fromkeys(own)),
    )


def _answer(found: Evaluation) -> str:
    """Say how the primary measure differs, and whether beyond chance."""
    primary = PRIMARY[found.run.metrics.kind]
    measure, here, difference = MEASURES.get(primary), found.measures[primary], found.differences()[primary]
    if here.value is None:
        return f"The {measure.title} is not defined for these patients: they have one outcome only."
    there = found.run.metrics.measures[primary]
    places = decimals(measure, here.value)
    said = f"{measure.title} {number(here.value, places)} here, {number(there.mean, places)} in training"
    if difference is None or difference.ci is None or difference.value is None:
        return f"{said}. There is no interval of the difference."
    low, high = difference.ci
    beyond = low > 0 or high < 0
    better = (difference.value > 0) == measure.higher_is_better
    word = f"{'better' if better else 'worse'} here, beyond chance" if beyond else "no difference beyond chance"
    return (
        f"{said}: {word} (difference {number(difference.value, places, signed=True)}, {interval((low, high), places)})."
    )


def _numbers(found: Evaluation) -> Iterator[KeyNumber]:
    here, there = found.site.metrics, found.run.metrics
    for name, measure in in_brief(here.kind, here.measures).items():
        score, own = found.measures[name], there.measures[name]
        places = decimals(measure, score.value)
        bounds = f"95 % interval {interval(score.ci, places)}; " if score.ci else ""
        yield KeyNumber(measure.title, number(score.value, places), f"{bounds}in training {number(own.mean, places)}")
    if here.positives is not None and there.positives is not None:
        yield KeyNumber(
            "Positive", percent(here.positives, here.samples),
            f"{count(here.positives)} of {count(here.samples)}; in training {percent(there.positives, there.samples)}",
        )  # fmt: skip


def _sections(found: Evaluation) -> Iterator[Section]:
    yield Section("sites", "Both sites side by side", tuple(_side_by_side(found)))
    if found.recalibrated is not None:
        yield Section("recalibration", "Recalibration", tuple(_recalibration(found)))
    yield Section("drift", "What is different here", tuple(_differences(found)))
    yield performance_section(found.site)
    yield from filter(
        None, (groups_section(found.site), uncertainty_section(found.site, "the patients of the training"))
    )
    decisions = decisions_section(found.site)
    if decisions is not None:
        yield decisions


def _side_by_side(found: Evaluation) -> Iterator[Block]:
    here, there, differences = found.site.metrics, found.run.metrics, found.differences()
    rows = []
    for name, measure in in_brief(here.kind, here.measures).items():
        score, places = there.measures[name], decimals(measure, found.measures[name].value)
        pair = Measured(score.mean, score.ci), found.measures[name]
        cells = (*(_cell(one, places) for one in pair), _cell(differences[name], places, signed=True))
        rows.append((measure.title, *cells))
    yield Table("Measures", ("measure", "in training", "here", "difference"), tuple(rows), reading=READING)
    if here.calibration is not None and there.calibration is not None:
        yield Table("Calibration", ("calibration", "in training", "here", "ideal"), tuple(_calibration(here, there)))
    if here.reliability and there.reliability:
        yield Figures((
            reliability_figure(there.reliability, "Reliability in training"),
            reliability_figure(here.reliability, "Reliability here"),
        ))  # fmt: skip
    if found.alert is not None:
        yield _alert(found)


def _cell(found: Measured | None, places: int, *, signed: bool = False) -> Cell:
    if found is None or found.value is None:
        return number(None)
    text = number(found.value, places, signed=signed)
    return Measure(text, found.value, interval(found.ci, places) if found.ci else "")


def _calibration(here: RunMetrics, there: RunMetrics) -> Iterator[tuple[Cell, ...]]:
    assert here.calibration is not None and there.calibration is not None
    for words, name, ideal in (
        ("slope (below 1: too extreme)", "slope", "1"),
        ("intercept (below 0: too high on average)", "intercept", "0"),
        ("observed over expected positives", "observed_expected", "1"),
        ("expected calibration error", "ece", "0"),
    ):
        yield words, *(_cell(one.measured(name), 3) for one in (there.calibration, here.calibration)), ideal


def _alert(found: Evaluation) -> Table:
    assert found.alert is not None and found.run.metrics.alert is not None
    own, here = found.run.metrics.alert, found.alert
    shares = (
        ("positives that alert (sensitivity)", "sensitivity"),
        ("negatives that do not (specificity)", "specificity"),
        ("alerts that are positive (positive predictive value)", "positive_predictive_value"),
    )
    rows: list[tuple[Cell, ...]] = [
        (words, _cell(own.measured(name), 3), _cell(Measured(here[name], here[f"{name}_ci"]), 3))
        for words, name in shares
    ]
    rows.append(("samples that alert", percent(own.alerts, own.samples), percent(here["alerts"], here["samples"])))
    return Table(
        "Alerting by the threshold of the run", ("share of", "in training", "here"), tuple(rows),
        reading=f"The probability from which the highest {percent(own.rate, 1)} alerted in training, "
        f"{number(own.threshold)}, kept as it is.",
    )  # fmt: skip


def _recalibration(found: Evaluation) -> Iterator[Block]:
    made = found.recalibrated
    assert made is not None
    brief = in_brief(found.run.metrics.kind, found.site.metrics.measures)
    shown = {name: measure.title for name, measure in brief.items()}
    calibrated = {"slope": "slope", "intercept": "intercept", "observed_expected": "observed / expected", "ece": "ECE"}
    rows = [
        (
            name,
            *(number(values.get(one)) for one in shown),
            *(number(made.calibration[name].get(one)) for one in calibrated if made.calibration),
        )
        for name, values in made.measures.items()
    ]
    columns = ("probabilities", *shown.values(), *(calibrated.values() if made.calibration else ()))
    yield Table(
        "Before and after", columns, tuple(rows),
        reading=f"Fitted on {plural(made.fitted_on, 'patient')} ({made.how}), judged by the "
        f"{count(made.judged_by)} others. In the large: one shift of the logit. Of the slope: shifted and stretched.",
    )  # fmt: skip
    yield Text(
        " ".join(
            f"{one.name[:1].upper()}{one.name[1:]}: logit of the probability times {number(one.weight)}, plus "
            f"{listing([number(bias) for bias in one.bias.tolist()])}."
            for one in made.corrections
        ),
        tone="aside",
    )


def _differences(found: Evaluation) -> Iterator[Block]:
    yield Table("Who has what", ("modality", "in training", "here"), tuple(_shares(found)))
    if found.drift is None:
        yield Text(
            "The columns cannot be compared: the run was made before it stored what its training rows were like."
        )
        return
    worth = notable(found.drift)
    if worth.is_empty():
        yield Text(f"No column differs by {NOTABLE:g} standard deviations or in a quarter of the samples.")
        return
    names = [in_words(row) for row in worth.head(3).to_dicts()]
    more = f", and {plural(len(worth) - 3, 'other')}" if len(worth) > 3 else ""
    yield Text(f"{plural(len(worth), 'column')} of {count(len(found.drift))} differ: {', '.join(names)}{more}.")
    yield Figures((_drift_figure(worth.head(SHOWN)),))
    table = Table(
        "Columns that differ",
        ("column", "unit", "difference in sd", "mean in training", "mean here", "known in training", "known here"),
        tuple(_drift_row(row) for row in worth.to_dicts()), sortable=True,
        reading=f"Means over samples of what was measured of each. Listed from {NOTABLE:g} standard deviations, or "
        f"{NOTABLE:.0%} of the samples that know it, on: a convention, no test. A large difference in all of a column "
        "is most often another unit or another way to measure.",
    )  # fmt: skip
    yield Folded(f"All {plural(len(worth), 'column')} that differ", (table,))


def _shares(found: Evaluation) -> Iterator[tuple[Cell, ...]]:
    for name in found.run.metrics.modalities:
        yield name, *(_share(metrics.presence, name) for metrics in (found.run.metrics, found.site.metrics))


def _share(presence: Mapping[str, int], modality: str) -> str:
    having = sum(n for combination, n in presence.items() if modality in combination.split("+"))
    return percent(having, sum(presence.values()))


def _drift_row(row: dict[str, Any]) -> tuple[Cell, ...]:
    means = (Measure(number(one, digits(one)), one) if one is not None else number(None)
             for one in (row["mean_there"], row["mean_here"]))  # fmt: skip
    apart = row["difference"]
    cell: Cell = number(None) if apart is None else Measure(_apart(apart), apart)
    return (
        f"{row['modality']}, {row['column']}",
        row["unit"],
        cell,
        *means,
        *(percent(row[name], 1) for name in ("share_there", "share_here")),
    )


def _apart(value: float) -> str:
    return number(value, 2, signed=True) if np.isfinite(value) else ("+∞" if value > 0 else "−∞")


def _drift_figure(worth: pl.DataFrame) -> Figure:
    """Draw the difference of means and that of shares of each column."""
    rows = worth.reverse().to_dicts()
    names = [in_words(row) for row in rows]
    apart = np.clip([np.nan if row["difference"] is None else row["difference"] for row in rows], -FURTHEST, FURTHEST)
    shares = np.array([row["share_difference"] for row in rows], dtype=float)

    def _paint(axes: Axes) -> None:
        places = np.arange(len(rows))
        axes.axvline(0, color=PALETTE["muted"], linewidth=1)
        axes.hlines(places, 0, np.nan_to_num(apart), color=PALETTE["blue"], alpha=0.4)
        axes.plot(apart, places, "o", color=PALETTE["blue"])
        axes.plot(shares, places, "D", color=PALETTE["orange"], markersize=5)
        axes.set_yticks(places, names)
        axes.set(xlabel="here minus in training", xlim=(-1.05 * FURTHEST, 1.05 * FURTHEST))

    return draw(
        _paint, "The largest differences",
        f"Dots: of the means over samples, in standard deviations, beyond {FURTHEST:g} at the edge. Diamonds: of the "
        "share of samples that know the column.",
        height=70 + 24 * len(rows), wide=True,
    )  # fmt: skip
