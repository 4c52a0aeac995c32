"""The chapter on decisions: numbers of metrics.json as a reader sees them, and runs that do not have them."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from omnifuse.fusion.report.blocks import Figures, Measure, Section, Table, tables
from omnifuse.fusion.report.decisions import decisions_section
from omnifuse.fusion.report.performance import performance_section
from omnifuse.fusion.runs.metrics import Alert, Calibration
from omnifuse.fusion.runs.run import load_run

from tests.fusion.report.conftest import alter_metrics, alter_predictions

ALERT = Alert(
    rate=0.1, samples=1200, alerts=118, threshold=0.31, sensitivity=0.42, sensitivity_ci=(0.35, 0.49), specificity=None,
    specificity_ci=None, positive_predictive_value=None, positive_predictive_value_ci=None,
)  # fmt: skip
CALIBRATION = Calibration(0.87, -0.12, 0.95, (0.9, 1.0), 0.021)


def chapter(run: Path, **metrics: object) -> Section | None:
    alter_metrics(run, **metrics)
    return decisions_section(load_run(run))


def table(section: Section, caption: str) -> Table:
    return next(found for found in tables(section.blocks) if found.caption.startswith(caption))


def test_alerts_say_how_many_and_what_they_find(run: Path) -> None:
    found = table(chapter(run, alert=ALERT), "Alerting")
    assert "118 of 1,200 do, those with a probability of at least 0.310" in found.reading
    assert [row[1:] for row in found.rows] == [("0.420", "[0.350,\N{NO-BREAK SPACE}0.490]"), ("–", "–"), ("–", "–")]


def test_calibration_stands_beside_its_ideal(run: Path) -> None:
    found = table(chapter(run, calibration=CALIBRATION), "Do the probabilities")
    ratio = Measure("0.950", 0.95, "[0.900,\N{NO-BREAK SPACE}1.000]")
    shown = [
        (Measure("0.870", 0.87), "1"),
        (Measure("−0.120", -0.12), "0"),
        (ratio, "1"),
        (Measure("0.021", 0.021), "0"),
    ]
    assert [row[1:3] for row in found.rows] == shown


def test_a_run_without_these_numbers_has_no_such_chapter_but_its_decision_curve(run: Path) -> None:
    assert chapter(run, alert=None, calibration=None) is None
    curves = performance_section(load_run(run)).blocks[0]
    assert [figure.title for figure in curves.figures] == ["ROC curve", "Reliability", "Decision curve"]


def test_a_calibration_error_that_is_not_defined_is_a_dash(run: Path) -> None:
    found = table(chapter(run, calibration=replace(CALIBRATION, ece=None)), "Do the probabilities")
    assert found.rows[-1][:2] == ("expected calibration error", "–")


def test_other_tasks_have_no_such_chapter(multilabel: Path) -> None:
    assert decisions_section(load_run(multilabel)) is None


@pytest.mark.parametrize("outcome", [0.0, None])
def test_one_outcome_decides_nothing(run: Path, outcome: float | None) -> None:
    alter_predictions(run, lambda table: table.with_columns(y=pl.lit(outcome, dtype=pl.Float64)))
    assert chapter(run, alert=ALERT) is None


def test_unknown_labels_and_probabilities_are_left_out_of_the_curve(run: Path) -> None:
    unknown = pl.int_range(pl.len()) % 7 == 0
    alter_predictions(run, lambda table: table.with_columns(p=pl.when(unknown).then(float("nan")).otherwise("p")))
    curve = next(block for block in performance_section(load_run(run)).blocks if isinstance(block, Figures)).figures[2]
    assert curve.title == "Decision curve"
    assert "nan" not in curve.svg.lower()
