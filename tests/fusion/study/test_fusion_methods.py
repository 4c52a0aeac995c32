"""The chapter of methods side by side speaks of all seeds."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.fusion.runs.metrics import Calibration
from omnifuse.fusion.study.cell import Cell, Scope
from omnifuse.fusion.study.finished import FinishedStudy
from omnifuse.fusion.study.kinds.fusion_methods import FusionMethods
from omnifuse.fusion.study.results import Estimate, ResultTable

from tests.fusion.study.runs import write_run

SEEDS = (0, 1, 2)
SCOPE = Scope("outcome", ("ehr", "rep"), folds=2, seeds=SEEDS)
Y = np.tile([0, 1, 0, 1, 1, 0, 0, 1], 20)


def study_of(folder: Path, seeds: tuple[int, ...]) -> FinishedStudy:
    """Two methods whose trainings differ in nothing but chance."""
    rng = np.random.default_rng(0)
    for method in ("concat", "sum"):
        for seed in seeds:
            p = np.clip(0.5 + 0.2 * (Y - 0.5) + rng.normal(0, 0.2, len(Y)), 0.01, 0.99)
            path = folder / "cells" / Cell(method, SCOPE.modalities, "outcome", 2, seed).id
            write_run(path, Y, p, calibration=Calibration(float(seed), 0.0, None, None, 0.1))
    subject = pl.DataFrame({"sample_id": np.arange(len(Y)), "subject": np.arange(len(Y)) // 2})
    return FinishedStudy(folder, SCOPE, subject)


def chapter(study: FinishedStudy, reference: str = "sum") -> dict[str, ResultTable]:
    items = FusionMethods(methods=("concat", "sum"), modalities="all", reference=reference).items(study)
    return {item.name: item for item in items if isinstance(item, ResultTable)}


def named(table: ResultTable, row: int) -> dict[str, object]:
    return dict(zip((column.name for column in table.columns), table.rows[row], strict=True))


def test_scores_are_means_over_seeds_beside_what_seeds_differ_by(tmp_path: Path) -> None:
    study = study_of(tmp_path, SEEDS)
    scores = chapter(study)["methods-scores"]
    for number, method in enumerate(("concat", "sum")):
        row = named(scores, number)
        cells = [Cell(method, SCOPE.modalities, "outcome", 2, seed) for seed in SEEDS]
        means = [run.metrics.auroc.mean for run in study.find_all(cells)]
        assert isinstance(row["AUROC"], Estimate) and row["AUROC"].value == pytest.approx(np.mean(means))
        assert row["sd over seeds"] == pytest.approx(np.std(means, ddof=1))
        assert row["slope"] == 1  # of 0, 1 and 2


def test_differences_have_an_interval_a_p_value_and_a_verdict_of_several_trainings(tmp_path: Path) -> None:
    differences = chapter(study_of(tmp_path, SEEDS))["methods-differences"]
    (row,) = [named(differences, number) for number in range(len(differences.rows))]
    assert isinstance(row["difference"], Estimate) and row["difference"].low is not None
    assert row["sd over seeds"] is not None and row["p, Holm"] == row["p"]
    assert row["verdict"] == "not shown"
    assert "other trainings" in differences.reading and "± 0.005" in differences.reading


def test_with_one_seed_the_tables_say_that_training_is_not_in_them(tmp_path: Path) -> None:
    found = chapter(study_of(tmp_path, SEEDS[:1]))
    assert named(found["methods-scores"], 0)["sd over seeds"] is None
    assert "what another training would change is unknown" in found["methods-differences"].reading


def test_differences_of_the_first_table_of_the_report_are_not_told_twice(tmp_path: Path) -> None:
    assert "methods-differences" not in chapter(study_of(tmp_path, SEEDS[:1]), reference="concat")
