"""A finished run asked again: the same answers to the same question, and the prior where nothing is left to ask."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.fusion.runs.replay import Replay
from omnifuse.fusion.runs.run import load_run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import TrainConfig, make_config

ToyCache = Callable[..., Path]


def quick(method: str, *overrides: str) -> TrainConfig:
    return make_config(method, overrides=["fit.epochs=1", "folds=2", *overrides])


@pytest.fixture(scope="module")
def cache(toy_cache: ToyCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_cache(tmp_path_factory.mktemp("replay") / "cache", samples=80)


@pytest.fixture(scope="module")
def finished(cache: Path) -> Path:
    train(cache, quick("omnifuse"), cache.parent / "run")
    return cache.parent / "run"


@pytest.fixture(scope="module")
def replay(finished: Path) -> Replay:
    return Replay.open(finished)


def stored(run: Path) -> np.ndarray:
    """Return the probabilities [N, K] of predictions.parquet, by sample."""
    predictions = pl.read_parquet(run / "predictions.parquet").sort("sample_id")
    names = [name for name in predictions.columns if name == "p" or name.startswith("p_")]
    return predictions.select(names).to_numpy()


METHODS = [
    ("omnifuse", ()),
    ("omnifuse", ("missing.rate=0.6", "encoder.timeseries=both")),
    ("omnifuse", ("search.trials=2", "search.over=options.beta", "validation=0.2")),
    ("concat", ("options.imputation=ridge",)),
    ("late", ()),
    ("logistic", ()),
    ("early", ()),
]


@pytest.mark.parametrize(("method", "overrides"), METHODS)
def test_with_nothing_hidden_it_is_the_prediction_of_the_run_to_the_last_digit(
    method: str, overrides: tuple[str, ...], cache: Path, tmp_path: Path
) -> None:
    train(cache, quick(method, *overrides), tmp_path / "run")
    np.testing.assert_array_equal(Replay.open(tmp_path / "run").predict(), stored(tmp_path / "run"))


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_other_kinds_of_tasks(kind: str, toy_cache: ToyCache, tmp_path: Path) -> None:
    metrics = train(toy_cache(tmp_path / "cache", kind=kind), quick("omnifuse"), tmp_path / "run").metrics
    replay = Replay.open(tmp_path / "run")
    np.testing.assert_array_equal(replay.predict(), stored(tmp_path / "run"))
    scores = replay.scores(replay.predict())
    assert scores == {name: metrics.measures[name].mean for name in scores}


def test_of_a_run_that_hid_in_the_test_alone_it_is_the_complete_test(cache: Path, tmp_path: Path) -> None:
    config = quick("concat", "missing.rate=0.5", "missing.protocol=test")
    missing = train(cache, config, tmp_path / "run").metrics.missing
    assert missing is not None and missing.complete is not None
    replay = Replay.open(tmp_path / "run")
    scores = replay.scores(replay.predict())
    assert scores == {name: missing.complete[name].mean for name in scores}
    predictions = pl.read_parquet(tmp_path / "run" / "predictions.parquet").sort("sample_id")
    shown = predictions.select([f"{name}.present" for name in replay.modalities]).to_numpy()
    np.testing.assert_array_equal(replay.predict(replay.presence & ~shown), stored(tmp_path / "run"))


def test_scores_are_the_means_over_folds_of_the_run(replay: Replay, finished: Path) -> None:
    measures = load_run(finished).metrics.measures
    scores = replay.scores(replay.predict())
    assert scores == {name: measures[name].mean for name in ("auroc", "auprc", "log_loss", "brier")}


def test_scores_of_nobody_are_undefined(replay: Replay) -> None:
    assert set(replay.scores(replay.predict(), np.zeros(80, dtype=bool)).values()) == {None}


def test_what_is_hidden_matters_to_those_who_lose_it_alone(replay: Replay) -> None:
    hidden = np.zeros_like(replay.presence)
    hidden[::2, 0] = True
    differs = (replay.predict(hidden) != replay.predict())[:, 0]
    assert differs[replay.presence[:, 0] & hidden[:, 0]].all()
    np.testing.assert_allclose(replay.predict(hidden)[1::2], replay.predict()[1::2], rtol=1e-5)


def test_a_hidden_modality_is_a_dropped_one(replay: Replay, cache: Path, finished: Path) -> None:
    """The run asked about its own cache, by another way: each model for the samples that it tested."""
    hidden = np.array([name == "rep" for name in replay.modalities])
    dropped = load_run(finished).predict(cache, drop=["rep"])
    assert dropped["fold"].to_list() == replay.fold.tolist()
    np.testing.assert_allclose(replay.predict(hidden)[:, 0], dropped["p"].to_numpy(), rtol=1e-4)


@pytest.mark.parametrize("method", ["omnifuse", "early", "logistic"])
def test_where_nothing_is_left_it_is_the_prior(method: str, cache: Path, tmp_path: Path) -> None:
    train(cache, quick(method), tmp_path / "run")
    replay = Replay.open(tmp_path / "run")
    hidden = np.zeros_like(replay.presence)
    hidden[:40] = True
    p = replay.predict(hidden)[:, 0]
    for fold in range(2):
        prior = torch.sigmoid(replay.model(fold).method.prior).item()
        assert p[:40][replay.fold[:40] == fold] == pytest.approx(prior)
    assert len(np.unique(p[40:])) > 2
    everything = replay.predict(np.ones_like(replay.presence))
    assert len(np.unique(everything)) <= 2


def test_samples_that_no_fold_tested_have_no_prediction(toy_cache: ToyCache, tmp_path: Path) -> None:
    parts = pl.DataFrame({"sample_id": range(60), "part": ["train"] * 40 + ["test"] * 20})
    metrics = train(toy_cache(tmp_path / "cache", split=parts), quick("concat"), tmp_path / "run").metrics
    replay = Replay.open(tmp_path / "run")
    assert replay.fold.tolist() == [-1] * 40 + [0] * 20
    p = replay.predict()
    assert np.isnan(p[:40]).all() and np.array_equal(p[40:], stored(tmp_path / "run"))
    assert replay.scores(p)["auroc"] == metrics.auroc.mean


def test_it_knows_the_samples_of_the_run(replay: Replay, finished: Path) -> None:
    predictions = pl.read_parquet(finished / "predictions.parquet").sort("sample_id")
    assert replay.samples.tolist() == predictions["sample_id"].to_list()
    assert replay.subject_id.tolist() == [sample // 2 for sample in replay.samples]
    assert replay.fold.tolist() == predictions["fold"].to_list()
    assert replay.y[:, 0].tolist() == predictions["y"].to_list()
    assert replay.presence[:, 1].tolist() == predictions["rep.present"].to_list()
    assert (replay.task.name, replay.modalities) == ("outcome", ("ehr", "rep", "static"))


def test_a_moved_cache_is_named(finished: Path, cache: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(cache, tmp_path / "moved")
    np.testing.assert_array_equal(Replay.open(finished, moved).predict(), stored(finished))


def test_another_cache_is_refused(finished: Path, toy_cache: ToyCache, tmp_path: Path) -> None:
    other = toy_cache(tmp_path / "other", samples=80, seed=1)
    with pytest.raises(InputError, match=r"other has the digest .* but .*run was trained on .*cache with the digest"):
        Replay.open(finished, other)


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no finished run"):
        Replay.open(tmp_path)
