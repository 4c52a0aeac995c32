"""A measure from elsewhere is one entry: then summary, text, report and study have it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.fusion.report import write_report
from omnifuse.fusion.runs.describe import run_text
from omnifuse.fusion.runs.metrics import RunMetrics
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.scores.measures import MEASURES, TAKEN, Measure, of_kind, over_labels
from omnifuse.fusion.scores.metrics import both_classes
from omnifuse.fusion.study.cell import Cell, Scope
from omnifuse.fusion.study.finished import FinishedStudy
from omnifuse.fusion.study.kinds.fusion_methods import FusionMethods
from omnifuse.fusion.training.config import make_config
from sklearn.metrics import matthews_corrcoef

from tests.fusion.study.runs import write_run


def matthews(y: np.ndarray, p: np.ndarray) -> float | None:
    known = ~np.isnan(y)
    return float(matthews_corrcoef(y[known], p[known] >= 0.5)) if both_classes(y[known]) else None


WORDS = "correlation of the outcome with a probability of at least one half."


@pytest.fixture(scope="module")
def _matthews() -> Iterator[None]:
    measure = Measure("MCC", over_labels(matthews), higher_is_better=True, guessing=lambda _: 0.0, words=WORDS)
    MEASURES.register("mcc", measure)
    yield
    MEASURES.forget("mcc")


@pytest.fixture(scope="module")
def run(_matthews: None, toy_cache: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    config = make_config("concat", overrides=["folds=2", "fit.epochs=2"])
    train(toy_cache(folder / "cache"), config, folder / "run")
    return folder / "run"


def test_its_mean_and_sd_over_folds_stand_in_metrics_json(run: Path) -> None:
    found = json.loads((run / "metrics.json").read_text())
    table = pl.read_parquet(run / "predictions.parquet")
    folds = [table.filter(fold=fold).select("y", "p").to_numpy().T for fold in (0, 1)]
    each = [matthews(y.astype(float), p) for y, p in folds]
    assert [fold["mcc"] for fold in found["folds"]] == pytest.approx(each)
    assert found["mcc"] == {"mean": pytest.approx(np.mean(each)), "sd": pytest.approx(np.std(each, ddof=1))}
    assert all("mcc" in row for row in found["per_pattern"])


def test_the_text_of_a_training_has_a_column_and_a_line_of_it(run: Path) -> None:
    found = json.loads((run / "metrics.json").read_text())
    lines = run_text(RunMetrics.from_json(found)).splitlines()
    assert lines[1].split() == ["fold", "rows", "AUROC", "AUPRC", "MCC"]
    assert lines[2].split()[-1] == f"{found['folds'][0]['mcc']:.3f}"
    assert f"MCC {found['mcc']['mean']:.3f}, mean over folds, whose sd is {found['mcc']['sd']:.3f}" in lines


def test_the_report_shows_it_at_the_top_and_by_fold_with_its_words(run: Path) -> None:
    page = write_report(run).read_text(encoding="utf-8")
    (by_fold,) = run.glob("**/test-part-of-each-fold.csv")
    assert pl.read_csv(by_fold).columns == ["fold", "samples", "positive", "AUROC", "AUPRC", "MCC", "epochs", "seconds"]
    assert f"MCC: {WORDS}" in page
    assert "guessing 0.000" in page


def test_a_study_has_a_column_of_it_with_its_sd_over_seeds(_matthews: None, tmp_path: Path) -> None:
    scope = Scope("outcome", ("ehr", "rep"), folds=2, seeds=(0, 1))
    y = np.tile([0, 1, 1, 0], 10)
    for seed in scope.seeds:  # the second has all wrong
        p = 0.6 * (y if seed == 0 else 1 - y) + 0.2
        write_run(tmp_path / "cells" / Cell("sum", scope.modalities, "outcome", 2, seed).id, y, p)
    study = FinishedStudy(tmp_path, scope, pl.DataFrame({"sample_id": np.arange(40), "subject": np.arange(40)}))
    items = FusionMethods(methods=("sum",), modalities="all", reference="sum").items(study)
    scores = next(item for item in items if getattr(item, "name", "") == "methods-scores")
    names = [column.name for column in scores.columns]
    assert names[:7] == ["method", "AUROC", "sd over seeds", "AUPRC", "log loss", "Brier score", "MCC"]
    cell = scores.rows[0][names.index("MCC")]
    assert (cell.value, cell.sd) == (pytest.approx(0), pytest.approx(np.std([1, -1], ddof=1)))


def test_every_other_name_in_metrics_json_is_taken(run: Path) -> None:
    found = json.loads((run / "metrics.json").read_text())
    names = {*found, *found["folds"][0], *found["per_pattern"][0]}
    assert names - of_kind("binary").keys() <= TAKEN
