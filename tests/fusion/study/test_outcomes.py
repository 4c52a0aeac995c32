"""Studies of quantities and of times to an event: by their own primary measure, whichever way it goes."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import Task
from omnifuse.fusion.scores.measures import CONCORDANCE, MAE, R2
from omnifuse.fusion.scores.survival import SurvivalCurves
from omnifuse.fusion.study.cell import Cell, Scope
from omnifuse.fusion.study.finished import FinishedCell, FinishedStudy, best, compare, pooled
from omnifuse.fusion.study.kinds.trust import Trust
from omnifuse.fusion.study.ranking import rank
from omnifuse.fusion.study.results import ResultFigure, ResultTable
from omnifuse.fusion.training.outcome import evaluation_times

from tests.fusion.study.runs import write_run_of

COUNT = 160
RNG = np.random.default_rng(0)
HINT = RNG.normal(size=COUNT)
FOLD = np.arange(COUNT) % 2
NOISE = {"concat": 0.5, "omnifuse": 0.1}
"""How far predictions of a method are off, in standard deviations."""


def study_of(folder: Path, task: Task, predicted: dict[str, np.ndarray]) -> FinishedStudy:
    for method, p in predicted.items():
        write_run_of(folder / "cells" / cell(method).id, task, p, folds=2)
    subject = pl.DataFrame({"sample_id": np.arange(COUNT), "subject": np.arange(COUNT)})
    return FinishedStudy(folder, Scope("outcome", ("ehr", "rep"), folds=2), subject)


def cell(method: str) -> Cell:
    return Cell(method, ("ehr", "rep"), "outcome", 2)


def runs(study: FinishedStudy) -> dict[str, list[FinishedCell]]:
    return {method: study.find_all([cell(method)]) for method in NOISE}


@pytest.fixture(scope="module")
def quantities(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    y = (100 + 20 * HINT).astype(np.float32)[:, None]
    said = {method: y + 20 * noise * RNG.normal(size=(COUNT, 1)) for method, noise in NOISE.items()}
    return study_of(tmp_path_factory.mktemp("quantities"), Task("outcome", "regression", ("los",), y, unit="h"), said)


@pytest.fixture(scope="module")
def times(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    lost = RNG.exponential(3, COUNT)
    time = RNG.exponential(1 / np.exp(HINT))
    y = np.stack([np.minimum(time, lost), time <= lost], axis=1).astype(np.float32)
    task = Task("outcome", "survival", ("time", "event"), y, unit="d")
    at = np.array(evaluation_times(task, y))
    rates = {method: np.exp(HINT + 2 * noise * RNG.normal(size=COUNT))[:, None] for method, noise in NOISE.items()}
    return study_of(tmp_path_factory.mktemp("times"), task, {name: np.exp(-rate * at) for name, rate in rates.items()})


def test_quantities_are_compared_by_their_error_and_lower_is_better(quantities: FinishedStudy) -> None:
    assert quantities.measure is MAE
    found = compare(runs(quantities)["omnifuse"], runs(quantities)["concat"], quantities)
    assert found is not None and found.difference.high is not None
    assert found.difference.high < 0 and not found.is_worse and found.paired_t is not None
    assert best(runs(quantities)) == "omnifuse"


def test_the_margin_of_an_error_is_a_share_of_that_of_guessing(quantities: FinishedStudy, times: FinishedStudy) -> None:
    y = quantities.find_all([cell("concat")])[0].tested.y
    assert quantities.margin == pytest.approx(0.005 * np.abs(y - y.mean()).mean(), rel=0.05)
    assert times.margin == 0.005


def test_the_lowest_error_is_ranked_first_and_called_better(quantities: FinishedStudy) -> None:
    ranking = rank(quantities, runs(quantities), ("ehr", "rep"))
    assert [row[0] for row in ranking.table.rows] == ["omnifuse", "concat"]
    assert ranking.table.title == "Every method on ehr + rep, the lowest MAE first"
    assert "Lower is better: a difference below 0 is in favour" in ranking.table.reading
    assert "DeLong" not in ranking.table.reading
    assert ranking.answer.startswith("The model of omnifuse is better than that of concat (MAE ")
    assert "The lowest MAE is that of omnifuse" in ranking.answer


def test_an_interval_of_a_measure_stays_within_its_bounds(quantities: FinishedStudy) -> None:
    one = runs(quantities)["omnifuse"]
    error, explained = pooled(one, quantities), pooled(one, quantities, "r2")
    assert error.value == pytest.approx(one[0].metrics.measures["mae"].mean)
    assert error.low is not None and error.high is not None and 1 < error.low < error.value < error.high
    assert explained.high is not None and explained.high <= R2.bounds[1]


def test_times_are_compared_by_concordance(times: FinishedStudy) -> None:
    assert times.measure is CONCORDANCE
    (run,) = runs(times)["omnifuse"]
    curves = run.tested.predicted
    assert isinstance(curves, SurvivalCurves)
    each = [CONCORDANCE.value(run.tested.y[fold == FOLD], curves[fold == FOLD]) for fold in (0, 1)]
    assert pooled([run], times).value == pytest.approx(np.mean(each))
    ranking = rank(times, runs(times), ("ehr", "rep"))
    assert ranking.table.title == "Every method on ehr + rep, the highest concordance first"
    assert [row[0] for row in ranking.table.rows] == ["omnifuse", "concat"]


def test_what_is_of_probabilities_is_left_out_in_words(quantities: FinishedStudy, times: FinishedStudy) -> None:
    trust = Trust(methods=("concat", "omnifuse"))
    for study, figures in ((quantities, 1), (times, 3)):
        chapter = trust.chapter(study)
        assert chapter.title == "How trustworthy the predictions are"
        assert any("there are none of a task like this" in getattr(item, "text", "") for item in chapter.items)
        assert sum(isinstance(item, ResultFigure) for item in chapter.items) == figures
        names = [item.name for item in chapter.items if isinstance(item, ResultTable)]
        assert "trust-patterns-concat" in names and "trust-alerts" not in names
        assert ("trust-horizons" in names) == (study is times)
