"""Tasks with several predictions a sample: each is made from what is known by then, and is one of its patient."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import FeatureCache, InputError, ModalitySpec, StagedCache, Task
from omnifuse.fusion.external.evaluation import evaluate
from omnifuse.fusion.inputs.loading import load
from omnifuse.fusion.report import write_report
from omnifuse.fusion.runs.replay import Replay
from omnifuse.fusion.runs.run import Run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config

from tests.fusion.conftest import KINDS, Signal, make_rows

HOURS = np.arange(1.0, 13.0, 2.5, dtype="f4")
ENCODERS = {
    "statistics": "encoder.embedding=mean",
    "recurrent": "encoder.embedding=attention",
    "both": "encoder.embedding=attention",
}
FEW = ["fit.epochs=2", "folds=2", "encoder.dimension=8", "encoder.hidden=8"]

Change = Callable[[str, np.ndarray, np.ndarray], np.ndarray]
"""Of a modality, its values and times: the values as they are written."""


def long_cache(path: Path, until: float = np.inf, change: Change | None = None, task: str = "soon") -> Path:
    """Write a cache that ends at a time: 60 samples of 30 subjects, predicted every 2.5 hours, a third unlabelled."""
    rows, y = make_rows(Signal())
    staged, ids = StagedCache(path, "toy", {}), np.arange(60)
    staged.add_samples(pl.DataFrame({"sample_id": ids, "subject_id": ids // 2}))
    for name, (kind, columns) in KINDS.items():
        ragged = rows[name]
        if change is not None:
            ragged = replace(ragged, values=change(name, ragged.values, ragged.time))
        ragged = ragged.keep_rows(ragged.time <= until)
        spec = ModalitySpec(name, kind, "row", {"encoder": name}, columns)
        staged.add_modality(spec, ragged.lengths, ragged.dim, [ragged.values], ragged.time)
    hours = HOURS[until >= HOURS]
    sample, time = np.repeat(ids, len(hours)), np.tile(hours, 60)
    label = np.where(np.arange(len(sample)) % 3 == 2, np.nan, y[sample, 0])[:, None].astype("f4")
    staged.add_task(Task(task, "binary", ("soon",), label, None, sample=sample, time=time))
    staged.commit({})
    return path


def trained(folder: Path, encoder: str, *overrides: str) -> Run:
    settings = [f"encoder.timeseries={encoder}", ENCODERS[encoder], *FEW, *overrides]
    return train(long_cache(folder / "cache"), make_config("concat", overrides=settings), folder / "run")


def said(run: Run, cache: Path, until: float) -> pl.DataFrame:
    table = run.predict(cache).filter(pl.col("prediction_hours") <= until)
    return table.select("sample_id", "prediction_hours", "p", "ehr.present", "rep.present", "static.present")


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_prediction_is_that_of_a_cache_cut_at_its_time(tmp_path: Path, encoder: str) -> None:
    run = trained(tmp_path, encoder)
    for time in HOURS[[1, 3]].tolist():
        whole = said(run, tmp_path / "cache", time)
        cut = said(run, long_cache(tmp_path / f"cut-{time}", time), time)
        assert whole.height == cut.height > 0
        assert whole.drop("p").equals(cut.drop("p"))
        np.testing.assert_allclose(whole["p"], cut["p"], atol=1e-6)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("seed", range(2))
def test_what_comes_after_a_time_changes_no_prediction_up_to_it(tmp_path: Path, encoder: str, seed: int) -> None:
    run, rng, time = trained(tmp_path, encoder), np.random.default_rng(seed), float(HOURS[2])

    def later(_: str, values: np.ndarray, hours: np.ndarray) -> np.ndarray:
        return np.where(hours[:, None] > time, rng.random(values.shape), values).astype(values.dtype)

    other = said(run, long_cache(tmp_path / "other", change=later), time)
    assert said(run, tmp_path / "cache", time).equals(other)


def test_predictions_and_patients_are_counted(tmp_path: Path) -> None:
    run = trained(tmp_path, "statistics")
    cohort = load(FeatureCache.open(tmp_path / "cache"), "soon")
    assert run.metrics.samples == len(cohort) == run.predictions.height
    assert run.metrics.patients == len(np.unique(cohort.subject_id))
    assert sum(fold.rows for fold in run.metrics.folds) == len(cohort)
    keys = run.predictions.select("sample_id", "prediction_hours")
    assert keys.is_duplicated().sum() == 0
    assert keys.equals(keys.sort("sample_id", "prediction_hours"))
    assert run.metrics.auroc.ci is not None


def test_a_reader_is_told_that_predictions_are_counted(tmp_path: Path) -> None:
    run = trained(tmp_path, "statistics")
    left_out = load(FeatureCache.open(tmp_path / "cache"), "soon").without_input
    assert f"{left_out} predictions of the task have none of the modalities and were left out." in run.metrics.notes
    page = write_report(run.path).read_text(encoding="utf-8")
    assert "Where this page counts samples, these are predictions" in page


def test_a_patient_is_in_one_fold_with_all_predictions(tmp_path: Path) -> None:
    run = trained(tmp_path, "statistics")
    fold = run.predictions.group_by(pl.col("sample_id") // 2).agg(pl.col("fold").n_unique())
    assert fold["fold"].to_list() == [1] * fold.height
    splits = pl.read_parquet(tmp_path / "run" / "splits.parquet")
    assert splits.select("sample_id", "fold").is_duplicated().sum() == 0


def test_a_run_repeats_its_out_of_fold_predictions(tmp_path: Path) -> None:
    run = trained(tmp_path, "statistics")
    again = run.predict(tmp_path / "cache").filter(pl.col("y").is_not_null())
    assert again.select(run.predictions.columns).equals(run.predictions)
    replayed = Replay.open(run.path, tmp_path / "cache").predict()[:, 0]
    np.testing.assert_array_equal(replayed, run.predictions["p"])
    found = evaluate(run, tmp_path / "cache")
    assert found.measures["auroc"].value == pytest.approx(run.metrics.auroc.mean)
    assert found.measures["auroc"].ci == pytest.approx(run.metrics.auroc.ci)


def test_the_number_of_times_decides_what_an_epoch_sees(tmp_path: Path) -> None:
    """With all of them an epoch has more steps; the seed decides which ones are seen."""
    bytes_of = {}
    for name, override in {"one": "fit.times=1", "again": "fit.times=1", "all": "fit.times=0"}.items():
        run = train(
            long_cache(tmp_path / name), make_config("concat", overrides=[*FEW, override]), tmp_path / f"{name}r"
        )
        bytes_of[name] = (run.path / "folds" / "0" / "model.safetensors").read_bytes()
    assert bytes_of["one"] == bytes_of["again"] != bytes_of["all"]


def test_a_cache_without_the_times_is_refused(tmp_path: Path) -> None:
    run = trained(tmp_path, "statistics")
    with pytest.raises(InputError, match="has no task 'soon' with the times of its predictions"):
        run.predict(long_cache(tmp_path / "other", task="later"))
