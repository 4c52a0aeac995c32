"""What is said of finished cells follows from their predictions."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.fusion.study.cell import Cell, Scope
from omnifuse.fusion.study.finished import FinishedCell, FinishedStudy, compare, estimate, pooled, sd_over_seeds
from sklearn.metrics import roc_auc_score

from tests.fusion.study.runs import reseal, write_run

SCOPE = Scope("outcome", ("ehr", "rep"), folds=2, seeds=(0, 1))
Y = np.tile([0, 1, 0, 1, 1, 0, 0, 1], 10)
RNG = np.random.default_rng(0)
GOOD, FAIR = (np.clip(0.5 + (Y - 0.5) * s + RNG.normal(0, 0.3, len(Y)), 0.01, 0.99) for s in (0.8, 0.3))


def cell(method: str, seed: int = 0) -> Cell:
    return Cell(method, ("ehr", "rep"), "outcome", 2, seed)


@pytest.fixture
def study(tmp_path: Path) -> FinishedStudy:
    """Return a study of two methods and two seeds, the second of which says the same with the signs of noise turned."""
    for method, p in (("concat", FAIR), ("omnifuse", GOOD)):
        for seed, values in ((0, p), (1, p[::-1] if method == "none" else np.sqrt(p))):
            write_run(tmp_path / "cells" / cell(method, seed).id, Y, values, folds=2)
    subject = pl.DataFrame({"sample_id": np.arange(len(Y)), "subject": np.arange(len(Y)) // 2})
    return FinishedStudy(tmp_path, SCOPE, subject)


def runs(study: FinishedStudy, method: str) -> list[FinishedCell]:
    return study.find_all([cell(method, seed) for seed in (0, 1)])


def fold_areas(p: np.ndarray) -> list[float]:
    fold = np.arange(len(Y)) % 2
    return [roc_auc_score(Y[fold == k], p[fold == k]) for k in (0, 1)]


def test_an_estimate_is_the_mean_over_seeds_and_folds_with_the_spread_over_seeds(study: FinishedStudy) -> None:
    found = estimate(runs(study, "concat"))
    assert found.value == pytest.approx(np.mean(fold_areas(FAIR)))  # a monotone change leaves the AUROC as it is
    assert found.sd == sd_over_seeds(runs(study, "concat")) == pytest.approx(0, abs=1e-12)
    one = estimate(runs(study, "concat")[:1])
    assert (one.value, one.sd) == (pytest.approx(found.value), None)
    assert sd_over_seeds(runs(study, "concat")[:1]) is None


def test_an_interval_is_about_the_mean_over_seeds_and_folds(study: FinishedStudy) -> None:
    other = cell("concat", 2)
    write_run(study.folder / "cells" / other.id, Y, GOOD, folds=2)
    several = [*runs(study, "concat"), *study.find_all([other])]
    for measure in ("auroc", "auprc"):
        one, mean = pooled(several[:1], study, measure), pooled(several, study, measure)
        assert one.value == pytest.approx(several[0].metrics.measures[measure].mean)
        assert mean.value == pytest.approx(estimate(several, measure).value)
        for found in (one, mean):
            assert found.low is not None and found.high is not None and found.value is not None
            assert found.low < found.value < found.high
        assert mean.high - mean.low > one.high - one.low  # type: ignore[operator]


def test_nothing_finished_gives_nothing_defined(study: FinishedStudy) -> None:
    assert estimate([]).value is None and pooled([], study).value is None
    assert compare([], runs(study, "concat"), study) is None


def test_a_comparison_is_the_mean_difference_over_folds(study: FinishedStudy) -> None:
    found = compare(runs(study, "omnifuse"), runs(study, "concat"), study)
    assert found is not None and found.difference.value is not None
    expected = np.mean(np.subtract(fold_areas(GOOD), fold_areas(FAIR)))
    assert found.difference.value == pytest.approx(expected)
    assert found.p < 0.05 and found.paired_t is not None and found.trainings == 2
    turned = compare(runs(study, "concat"), runs(study, "omnifuse"), study)
    assert turned is not None and turned.difference.value == pytest.approx(-expected)


def test_what_seeds_differ_by_widens_the_interval(study: FinishedStudy) -> None:
    """Two seeds say the same of one method and not of the other."""
    alike = compare(runs(study, "omnifuse"), runs(study, "concat"), study)
    write_run(study.folder / "cells" / cell("late").id, Y, GOOD, folds=2)
    write_run(study.folder / "cells" / cell("late", 1).id, Y, FAIR, folds=2)
    apart = compare(runs(study, "late"), runs(study, "concat"), study)
    assert alike is not None and apart is not None
    expected = np.mean(fold_areas(GOOD)) - np.mean(fold_areas(FAIR))
    assert apart.difference.sd == pytest.approx(expected / np.sqrt(2))
    assert alike.difference.sd == pytest.approx(0, abs=1e-12)
    assert apart.difference.low < 0 < alike.difference.low  # type: ignore[operator]


def test_the_interval_of_one_seed_is_that_of_the_patients(study: FinishedStudy) -> None:
    found = compare(runs(study, "omnifuse")[:1], runs(study, "concat")[:1], study)
    assert found is not None and found.trainings == 1 and found.difference.sd is None
    assert found.difference.low is not None and found.difference.low > 0


def test_runs_that_share_no_samples_are_not_compared(study: FinishedStudy, tmp_path: Path) -> None:
    path = tmp_path / "cells" / cell("late").id
    write_run(path, Y, GOOD, folds=2)
    table = pl.read_parquet(path / "predictions.parquet")
    table.with_columns(pl.col("sample_id") + 1000).write_parquet(path / "predictions.parquet")
    reseal(path)
    assert compare(study.find_all([cell("late")]), study.find_all([cell("concat")]), study) is None


def test_only_samples_that_both_have_tested_are_compared(study: FinishedStudy, tmp_path: Path) -> None:
    some = slice(0, 48)
    write_run(tmp_path / "cells" / cell("late").id, Y[some], GOOD[some], folds=2)
    found = compare(study.find_all([cell("late")]), study.find_all([cell("omnifuse")]), study)
    assert found is not None and found.difference.value == 0 and found.p == 1
