"""Quantities and times to an event from training to prediction, on laws whose answers are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import Column, FeatureCache, InputError, ModalitySpec, StagedCache, Task
from omnifuse.fusion.external.evaluation import evaluate
from omnifuse.fusion.runs.run import Run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.scores.measures import MEASURES
from omnifuse.fusion.scores.survival import SurvivalCurves
from omnifuse.fusion.training.config import make_config
from scipy.special import expit
from scipy.stats import norm

SAMPLES = 600
HAZARD_RATIO = 2.5
"""Of one standard deviation more of what decides the hazard."""


@pytest.fixture(scope="module")
def law() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(SAMPLES, 3)).astype(np.float32)


def cache_of(path: Path, x: np.ndarray, *tasks: Task) -> Path:
    staged, ids = StagedCache(path, "law", {}), np.arange(len(x))
    staged.add_samples(pl.DataFrame({"sample_id": ids, "subject_id": ids}))
    columns = tuple(Column(name, "", name) for name in "abc")
    spec = ModalitySpec("x", "features", "row", {}, columns)
    staged.add_modality(spec, np.ones(len(x), int), 3, [x], np.full(len(x), np.nan, np.float32))
    for task in tasks:
        staged.add_task(task)
    staged.commit({})
    return path


def trained(cache: Path, task: str, run: Path, method: str = "logistic", folds: int = 3, *settings: str) -> Run:
    return train(cache, make_config(method, overrides=settings, task=task, folds=folds), run)


def test_the_share_of_variance_that_a_linear_law_explains_is_found(law: np.ndarray, tmp_path: Path) -> None:
    """Variance 5 of the law and 1.25 of the noise: R² is .8, and the error half the normal's mean deviation off."""
    noise = np.random.default_rng(1).normal(size=SAMPLES) * np.sqrt(1.25)
    y = (100 + 2 * law[:, 0] - law[:, 1] + noise).astype(np.float32)[:, None]
    cache = cache_of(tmp_path / "cache", law, Task("los", "regression", ("los",), y, unit="d"))
    metrics = trained(cache, "los", tmp_path / "run").metrics
    for name, truth in (("r2", 0.8), ("mae", np.sqrt(1.25) * np.sqrt(2 / np.pi)), ("rmse", np.sqrt(1.25))):
        low, high = metrics.measures[name].ci or (0, 0)
        assert low < truth < high
    assert (metrics.unit, metrics.positives, metrics.events, metrics.times) == ("d", None, None, ())


@pytest.fixture(scope="module")
def rate(law: np.ndarray) -> np.ndarray:
    """Return the rate of each patient: .1 times the hazard ratio to the power of the first column."""
    return 0.1 * HAZARD_RATIO ** law[:, 0]


@pytest.fixture(scope="module")
def runs(law: np.ndarray, rate: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder, rng = tmp_path_factory.mktemp("hazards"), np.random.default_rng(2)
    time, lost = rng.exponential(1 / rate), rng.uniform(2, 30, SAMPLES)
    all_seen = np.stack([time, np.ones(SAMPLES)], axis=1).astype(np.float32)
    censored = np.stack([np.minimum(time, lost), time <= lost], axis=1).astype(np.float32)
    tasks = [Task(name, "survival", ("time", "event"), y) for name, y in (("seen", all_seen), ("lost", censored))]
    cache = cache_of(folder / "cache", law, *tasks)
    little = ("options.penalties=0.001", "options.folds=2")  # a ridge draws hazard ratios towards 1
    return {task.name: trained(cache, task.name, folder / task.name, "logistic", 3, *little) for task in tasks}


class TestAHazardRatio:
    """Of exponential times, with and without censoring."""

    def test_the_concordance_of_the_true_risk_is_reached(self, runs: dict[str, Run]) -> None:
        """Of two rates the larger comes first with the odds of their ratio; here a mean over a normal difference."""
        beta = np.log(HAZARD_RATIO)
        difference = np.linspace(-8, 8, 4001)
        weight = norm.pdf(difference)
        best = (expit(np.abs(beta * np.sqrt(2) * difference)) * weight).sum() / weight.sum()
        score = runs["seen"].metrics.measures["concordance"]
        low, high = score.ci or (0, 0)
        assert low < best < high
        assert score.mean == pytest.approx(best, abs=0.02)

    def test_with_censoring_it_is_that_of_the_true_risk_of_the_same_patients(
        self, runs: dict[str, Run], rate: np.ndarray
    ) -> None:
        run = runs["lost"]
        score = run.metrics.measures["concordance"]
        table = run.predictions
        truth = SurvivalCurves(np.array([1.0]), np.exp(-rate[table["sample_id"].to_numpy()])[:, None])
        best = MEASURES.get("concordance").value(table.select("time", "event").to_numpy(), truth)
        low, high = score.ci or (0, 0)
        assert low < best < high
        assert run.metrics.events == table["event"].sum() < SAMPLES

    @pytest.mark.parametrize("task", ["seen", "lost"])
    def test_the_hazard_ratio_is_found_in_the_predicted_curves(
        self, runs: dict[str, Run], law: np.ndarray, task: str
    ) -> None:
        """Of proportional hazards log(-log S) is linear in what decides them, with the log of the ratio as slope."""
        tested = runs[task].tested
        x = law[runs[task].predictions["sample_id"].to_numpy(), 0]
        middle = len(tested.times) // 2
        slope = np.polyfit(x, np.log(-np.log(tested.p[:, middle])), 1)[0]
        assert slope == pytest.approx(np.log(HAZARD_RATIO), rel=0.15)

    def test_curves_fall_and_the_risk_is_what_they_leave(self, runs: dict[str, Run]) -> None:
        table = runs["lost"].predictions
        curves = table.select(pl.col("^survival_.*$"))
        assert [float(name.removeprefix("survival_")) for name in curves.columns] == list(runs["lost"].metrics.times)
        values = curves.to_numpy()
        assert (np.diff(values, axis=1) <= 0).all()
        np.testing.assert_allclose(table["risk"], 1 - values[:, -1], atol=1e-6)


@pytest.mark.parametrize("kind", ["regression", "survival"])
def test_a_run_repeats_its_predictions_and_keeps_what_they_take(
    kind: str, toy_cache: Callable[..., Path], tmp_path: Path
) -> None:
    cache = toy_cache(tmp_path / "cache", kind=kind, samples=80)
    run = trained(cache, "outcome", tmp_path / "run", "concat", 2, "fit.epochs=2")
    assert (run.path / "folds" / "0" / "outcome.safetensors").is_file()
    said = run.predict(cache)
    columns = [name for name in run.predictions.columns if name not in ("fold", "models")]
    assert said.sort("sample_id").select(columns).equals(run.predictions.select(columns))
    evaluation = evaluate(run, cache)
    for name, score in run.metrics.measures.items():
        assert evaluation.measures[name].value == pytest.approx(score.mean)


@pytest.mark.parametrize("kind", ["regression", "survival"])
def test_labels_of_another_cache_are_not_used_and_need_not_be_there(
    kind: str, toy_cache: Callable[..., Path], tmp_path: Path
) -> None:
    run = trained(toy_cache(tmp_path / "cache", kind=kind), "outcome", tmp_path / "run", "concat", 2, "fit.epochs=1")
    other = toy_cache(tmp_path / "other", first_id=1000)  # of classes
    said = run.predict(other)
    assert said.select(pl.col("^(label|time|event)$")).null_count().row(0) == (60,) * (1 if kind == "regression" else 2)
    assert said.select(pl.col("^(predicted|risk)$")).null_count().row(0) == (0,)
    with pytest.raises(InputError, match="has no label of the task 'outcome'"):
        evaluate(run, other)


def test_modalities_hidden_in_the_test_and_a_search_serve_both(toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    for kind in ("regression", "survival"):
        cache = toy_cache(tmp_path / kind, kind=kind, samples=80)
        settings = ("missing.rate=0.5", "missing.protocol=test", "missing.draws=2", "search.trials=2", "fit.epochs=2")
        metrics = trained(cache, "outcome", tmp_path / f"run {kind}", "concat", 2, *settings).metrics
        assert metrics.missing is not None
        assert len(metrics.missing.each_draw) == 2
        assert all(trial.loss is not None for fold in metrics.folds for trial in fold.search)


def test_a_validation_part_is_judged_by_the_primary_measure(toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    for kind, measure in (("regression", "mae"), ("survival", "concordance")):
        cache = toy_cache(tmp_path / kind, kind=kind, samples=80)
        run = trained(cache, "outcome", tmp_path / f"run {kind}", "concat", 2, "fit.epochs=2", "validation=0.2")
        assert run.history is not None
        assert run.history.filter(term=measure, part="validation").height == 4


def test_times_of_another_unit_are_refused(toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    cache = FeatureCache.open(toy_cache(tmp_path / "cache", kind="survival"))
    run = trained(cache.path, "outcome", tmp_path / "run", "concat", 2, "fit.epochs=1")
    run.demands["task"]["unit"] = "h"
    with pytest.raises(InputError, match="in d; the models were trained on h"):
        run.predict(cache)


def test_a_method_of_probabilities_is_refused_before_it_is_trained(
    toy_cache: Callable[..., Path], tmp_path: Path
) -> None:
    cache = toy_cache(tmp_path / "cache", kind="regression")
    with pytest.raises(InputError, match=r"'omnifuse' predicts .* and no regression; methods that do are .*boosting"):
        trained(cache, "outcome", tmp_path / "run", "omnifuse")
    assert not (tmp_path / "run").exists()
