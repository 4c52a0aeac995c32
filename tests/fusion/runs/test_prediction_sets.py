"""What stands beside predictions: sets of answers in words, bounds of quantities, nothing of runs without them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.fusion.runs.answer import Answer
from omnifuse.fusion.runs.metrics import Conformal, RunMetrics, Threshold
from omnifuse.fusion.runs.prediction_sets import out_of_fold_sets, set_columns
from omnifuse.fusion.runs.run import load_run
from omnifuse.fusion.runs.stored_predictions import Predictions
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config

from tests.fusion.conftest import Signal, write_cache


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run and its cache, and the cache of other patients, of each kind of target."""
    folder = tmp_path_factory.mktemp("sets")
    found = {}
    for kind in ("binary", "multilabel", "multiclass", "regression", "survival"):
        cache = write_cache(folder / f"{kind}-cache", Signal(kind=kind, samples=120), None, 1)
        write_cache(folder / f"{kind}-others", Signal(kind=kind, seed=1, first_id=1000), None, 1)
        config = make_config("prior", overrides=("folds=2",))
        found[kind] = train(cache, config, folder / kind).path
    return found


def metrics(run: Path, *thresholds: tuple[str, float | None] | tuple[str, float | None, float | None]) -> RunMetrics:
    """What a run found, with other thresholds: name, value, and up to what predictions of a quantity."""
    values = tuple(Threshold(name, value, 50, *up_to) for name, value, *up_to in thresholds)
    return replace(load_run(run).metrics, conformal=Conformal(0.9, values, ()))


def said(kind: str, p: list[list[float]], labels: tuple[str, ...] = ("",)) -> Predictions:
    values = np.array(p)
    return Predictions(labels, np.full_like(values, np.nan), values, np.full(len(values), np.nan), {}, kind)


def test_sets_of_a_binary_task_are_told_in_words(trained: dict[str, Path]) -> None:
    found = metrics(trained["binary"], ("negative", 0.6), ("positive", 0.5))
    columns = set_columns(found, said("binary", [[0.1], [0.55], [0.9], [np.nan]]))
    assert columns["set"].to_list() == ["negative", "negative|positive", "positive", "none"]


def test_a_class_without_a_threshold_is_in_every_set(trained: dict[str, Path]) -> None:
    found = metrics(trained["binary"], ("negative", 0.2), ("positive", None))
    columns = set_columns(found, said("binary", [[0.1], [0.55]]))
    assert columns["set"].to_list() == ["negative|positive", "positive"]


def test_each_label_has_a_column(trained: dict[str, Path]) -> None:
    sides = [(f"{label}: {side}", 0.5) for label in ("first", "second") for side in ("negative", "positive")]
    columns = set_columns(metrics(trained["multilabel"], *sides), said("multilabel", [[0.1, 0.9]], ("first", "second")))
    assert columns.to_dict(as_series=False) == {"set_first": ["negative"], "set_second": ["positive"]}


def test_classes_are_joined(trained: dict[str, Path]) -> None:
    found = metrics(trained["multiclass"], ("a", 0.7), ("b", 0.7), ("c", 0.1))
    columns = set_columns(found, said("multiclass", [[0.4, 0.35, 0.25], [0.05, 0.05, 0.9]], ("a", "b", "c")))
    assert columns["set"].to_list() == ["a|b", "c"]


def test_quantities_have_bounds_and_none_where_an_interval_has_no_end(trained: dict[str, Path]) -> None:
    run, thirds = trained["regression"], (("lowest", 1.5, 4.0), ("middle", 2.5, 6.0), ("highest", None))
    columns = set_columns(metrics(run, *thirds), said("regression", [[4.0], [5.0], [7.0]]))
    assert columns.to_dict(as_series=False) == {"low": [2.5, 2.5, None], "high": [5.5, 7.5, None]}
    columns = set_columns(metrics(run, *thirds, *thirds), said("regression", [[4.0, 5.0]], ("a", "b")))
    assert columns.to_dict(as_series=False) == {"low_a": [2.5], "high_a": [5.5], "low_b": [2.5], "high_b": [7.5]}


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("binary", ["set"]), ("multilabel", ["set_first", "set_second"]), ("multiclass", ["set"]),
        ("regression", ["low", "high"]), ("survival", []),
    ],
)  # fmt: skip
def test_predict_writes_them_before_the_digest_of_the_run(
    trained: dict[str, Path], tmp_path: Path, kind: str, columns: list[str]
) -> None:
    run = trained[kind]
    answer = load_run(run).answer(run.parent / f"{kind}-others")
    answer.write(tmp_path / "said.csv")
    written = pl.read_csv(tmp_path / "said.csv")
    assert written.columns == [*answer.table.columns, *columns, "run"]
    assert answer.sets.height == (answer.table.height if columns else 0)


def test_what_a_run_stored_gives_the_same_sets_when_read_again(trained: dict[str, Path]) -> None:
    """A probability that is a threshold itself must not fall out of its set by its last digit."""
    for kind in ("binary", "multiclass", "multilabel"):
        run = load_run(trained[kind])
        found = run.metrics.conformal
        assert found is not None
        stored = found.calibrated(kind)
        held = [one.threshold for one in found.thresholds]
        assert [None if np.isinf(value) else value for value in stored.thresholds.ravel()] == held
        assert set_columns(run.metrics, run.tested).height == len(run.tested.y)


def test_sets_of_tested_samples_are_those_of_other_folds(trained: dict[str, Path]) -> None:
    run = load_run(trained["binary"])
    texts = out_of_fold_sets(run.metrics, run.tested)
    assert len(texts) == len(run.tested.y) and {len(row) for row in texts} == {1}
    assert set().union(*texts) <= {"negative", "positive", "negative|positive", "none"}
    quantities = load_run(trained["regression"])
    assert " to " in out_of_fold_sets(quantities.metrics, quantities.tested)[0][0]


def test_runs_of_earlier_versions_say_no_sets(trained: dict[str, Path]) -> None:
    run = load_run(trained["binary"])
    old = replace(run.metrics, conformal=None)
    assert set_columns(old, run.tested).columns == []
    assert out_of_fold_sets(old, run.tested)[:2] == [[], []]
    table = pl.DataFrame({"sample_id": [1], "models": ["mean"]})
    assert Answer(table, "5" * 64, False, ()).sets.columns == []
