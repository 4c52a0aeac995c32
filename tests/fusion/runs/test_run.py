"""A run folder: complete or absent, true to its predictions, and able to predict again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from omnifuse.cache_schema import CacheNotFoundError, FeatureCache, InputError
from omnifuse.fusion.inputs.loading import load
from omnifuse.fusion.inputs.preparation import prepare
from omnifuse.fusion.runs.run import Run, load_run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.scores.measures import of_kind
from omnifuse.fusion.scores.metrics import auroc, calibration
from omnifuse.fusion.sealed_folder import SEAL, seal
from omnifuse.fusion.training.config import TrainConfig, make_config
from omnifuse.fusion.training.loop import predict
from omnifuse.fusion.training.model import Model

ToyCache = Callable[..., Path]


def quick(method: str = "concat", *overrides: str) -> TrainConfig:
    return make_config(method, overrides=["fit.epochs=2", "folds=3", "validation=0.2", *overrides])


@pytest.fixture(scope="module")
def finished(toy_cache: ToyCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a cache and a run of OmniFuse on it."""
    folder = tmp_path_factory.mktemp("finished")
    train(toy_cache(folder / "cache"), quick("omnifuse"), folder / "run")
    return folder


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def by_the_model_of(run: Run, fold: int, cache: Path) -> np.ndarray:
    """Return the probabilities [N] of the model of a fold for every sample of a cache."""
    cohort = load(FeatureCache.open(cache), "outcome")
    prepared = prepare(cohort, run.config.encoder)
    model = Model.load(run.files.fold(fold), run.config, cohort.task, prepared)
    everyone = torch.arange(len(cohort))
    return predict(model.method, model.inputs(cohort, prepared), everyone).probability[:, 0].numpy()


def test_a_run_holds_all_files_and_nothing_else(finished: Path) -> None:
    found = {str(path.relative_to(finished / "run")) for path in (finished / "run").rglob("*") if path.is_file()}
    per_fold = {
        f"folds/{k}/{name}"
        for k in range(3)
        for name in ("model.safetensors", "normaliser.safetensors", "history.parquet", "columns.parquet")
    }
    top = {
        "checksums.json",
        "config.json",
        "environment.json",
        "metrics.json",
        "splits.parquet",
        "predictions.parquet",
        "laziness.parquet",
        "imputation.parquet",
    }
    assert found == top | per_fold
    assert {path.name for path in finished.iterdir()} == {"cache", "run"}


def test_a_patient_is_tested_in_the_same_fold_whatever_modalities_are_trained_on(finished: Path) -> None:
    alone = finished / "alone"
    train(finished / "cache", make_config("concat", overrides=["fit.epochs=1", "folds=3"], modalities=("rep",)), alone)
    some, everyone = (pl.read_parquet(run / "predictions.parquet") for run in (alone, finished / "run"))
    both = some.join(everyone, on="sample_id")
    assert some.height == both.height < everyone.height
    assert both["fold"].equals(both["fold_right"], check_names=False)


def test_metrics_follow_from_the_predictions(finished: Path) -> None:
    metrics, predictions = (
        read(finished / "run" / "metrics.json"),
        pl.read_parquet(finished / "run" / "predictions.parquet"),
    )
    areas = []
    for fold in metrics["folds"]:
        tested = predictions.filter(fold=fold["fold"])
        areas.append(auroc(tested["y"].to_numpy().astype(float), tested["p"].to_numpy()))
        assert (fold["rows"], fold["positives"]) == (tested.height, tested["y"].sum())
        assert fold["auroc"] == areas[-1]
    assert metrics["auroc"]["mean"] == pytest.approx(np.mean(areas))
    assert metrics["auroc"]["sd"] == pytest.approx(np.std(areas, ddof=1))
    assert metrics["auroc"]["ci"][0] <= metrics["auroc"]["mean"] <= metrics["auroc"]["ci"][1]
    assert metrics["samples"] == predictions.height == sum(metrics["presence"].values()) == 60
    assert metrics["cohort"] == [["everyone", 60], ["any of ehr, rep, static", 60]]
    assert any("too few to conclude" in note for note in metrics["notes"])
    assert [m["modality"] for m in metrics["method_details"]["modalities"]] == ["ehr", "rep", "static"]


def test_every_measure_is_the_mean_over_folds_and_calibration_is_of_everybody(finished: Path) -> None:
    metrics = read(finished / "run" / "metrics.json")
    predictions = pl.read_parquet(finished / "run" / "predictions.parquet")
    y, p = predictions["y"].to_numpy()[:, None].astype(float), predictions["p"].to_numpy()[:, None]
    for name in of_kind("binary"):
        assert metrics[name]["mean"] == pytest.approx(np.mean([fold[name] for fold in metrics["folds"]]))
    for name, value in calibration(y[:, 0], p[:, 0]).items():
        assert metrics["calibration"][name] == pytest.approx(value)


def test_measures_and_calibration_of_every_availability_pattern(finished: Path) -> None:
    metrics = read(finished / "run" / "metrics.json")
    predictions = pl.read_parquet(finished / "run" / "predictions.parquet")
    assert {row["modalities"]: row["rows"] for row in metrics["per_pattern"]} == metrics["presence"]
    static = predictions.filter(~pl.col("ehr.present") & ~pl.col("rep.present"))
    row = next(row for row in metrics["per_pattern"] if row["modalities"] == "static")
    assert row["rows"] == static.height > 0
    assert row["calibration"]["observed_expected"] == pytest.approx(static["y"].sum() / static["p"].sum())


def test_every_sample_is_tested_once_by_a_model_that_never_saw_its_subject(finished: Path) -> None:
    splits, predictions = (pl.read_parquet(finished / "run" / f"{name}.parquet") for name in ("splits", "predictions"))
    tested = splits.filter(part="test").select("sample_id", "fold").sort("sample_id")
    assert tested.rows() == predictions.select("sample_id", "fold").sort("sample_id").rows()
    fold_subjects = (
        splits.with_columns(subject=pl.col("sample_id") // 2).group_by("fold", "subject").agg(pl.col("part").n_unique())
    )
    assert fold_subjects["part"].max() == 1


def test_predictions_explain_themselves(finished: Path) -> None:
    predictions = pl.read_parquet(finished / "run" / "predictions.parquet")
    columns = [f"{m}.{what}" for m in ("ehr", "rep", "static") for what in ("present", "imputed", "p", "weight")]
    readouts = [f"p.{name}" for name in ("fused", "joint", "weighted", "mean")]
    combinations = ["ehr", "rep", "static", "ehr+rep", "ehr+static", "rep+static", "ehr+rep+static"]
    shown = [f"p[{name}]" for name in combinations]
    assert predictions.columns == ["sample_id", "fold", "y", "p", *columns, *readouts, *shown]
    assert (predictions["ehr.present"] != predictions["ehr.imputed"]).all()
    assert predictions["p.fused"].equals(predictions["p"])
    for name in combinations:
        has_all = predictions.select(pl.all_horizontal(f"{m}.present" for m in name.split("+"))).to_series()
        assert predictions[f"p[{name}]"].is_not_null().equals(has_all)


def test_the_probability_under_a_combination_is_that_with_the_others_dropped(finished: Path) -> None:
    loaded = load_run(finished / "run")
    predicted, dropped = loaded.predict(finished / "cache"), loaded.predict(finished / "cache", drop=["ehr"])
    some = predicted["p[rep+static]"].is_not_null()
    np.testing.assert_allclose(predicted["p[rep+static]"].filter(some), dropped["p"].filter(some), rtol=1e-5)


def test_strangers_are_predicted_by_the_mean_of_the_models_and_no_label_is_used(
    finished: Path, toy_cache: ToyCache, tmp_path: Path
) -> None:
    """Of 100 samples the first 60 are of subjects that the run knows."""
    loaded, cache = load_run(finished / "run"), toy_cache(tmp_path / "cache", samples=100)
    predicted = loaded.predict(cache)
    mean = np.mean([by_the_model_of(loaded, fold, cache) for fold in range(3)], axis=0)
    np.testing.assert_allclose(predicted["p"][60:], mean[60:], rtol=1e-5)
    assert not np.isclose(predicted["p"][:60], mean[:60], rtol=1e-5).any()
    assert predicted["fold"].is_null().to_list() == [False] * 60 + [True] * 40
    assert predicted["models"].to_list() == ["out-of-fold"] * 60 + ["mean"] * 40
    assert predicted.columns == [*pl.read_parquet(finished / "run" / "predictions.parquet").columns, "models"]
    other_labels = loaded.predict(toy_cache(tmp_path / "other", samples=100, flip_labels=True))
    assert other_labels["p"].equals(predicted["p"]) and not other_labels["y"].equals(predicted["y"])


def test_asked_about_what_it_was_trained_on_a_run_repeats_its_out_of_fold_predictions_to_the_last_digit(
    finished: Path,
) -> None:
    answered = load_run(finished / "run").answer(finished / "cache")
    stored = pl.read_parquet(finished / "run" / "predictions.parquet")
    assert answered.table.drop("models").sort("sample_id").equals(stored)
    assert answered.models == {"out-of-fold": 60, "mean": 0, "seen": 0} and not list(answered.warnings())


def test_where_every_model_has_seen_a_subject_that_is_said(toy_cache: ToyCache, tmp_path: Path) -> None:
    split = pl.DataFrame({"sample_id": range(60), "part": ["train"] * 30 + ["validation"] * 10 + ["test"] * 20})
    cache = toy_cache(tmp_path / "cache", split)
    train(cache, quick(), tmp_path / "run")
    answered = load_run(tmp_path / "run").answer(cache)
    assert answered.table["models"].to_list() == ["seen"] * 40 + ["out-of-fold"] * 20
    assert next(answered.warnings()).startswith("40 of 60 samples are of subjects that the run was trained on")


def test_a_model_of_a_fold_predicts_again_what_it_predicted(finished: Path) -> None:
    loaded, stored = load_run(finished / "run"), pl.read_parquet(finished / "run" / "predictions.parquet")
    again = pl.DataFrame({"sample_id": np.arange(60), "again": by_the_model_of(loaded, 1, finished / "cache")})
    both = stored.filter(fold=1).join(again, on="sample_id")
    np.testing.assert_allclose(both["p"], both["again"], rtol=1e-4)
    assert 0 < both.height < 60


def test_a_loaded_model_is_ready_to_predict_without_dropout(finished: Path) -> None:
    loaded = load_run(finished / "run")
    cohort = load(FeatureCache.open(finished / "cache"), "outcome")
    prepared = prepare(cohort, loaded.config.encoder)
    method = Model.load(loaded.files.fold(0), loaded.config, cohort.task, prepared).method
    assert not any(module.training for module in method.modules())


def test_dropped_modalities_are_not_read(finished: Path) -> None:
    predicted = load_run(finished / "run").predict(finished / "cache", drop=["rep"])
    assert not predicted["rep.present"].any()
    assert predicted["rep.imputed"].all()


@pytest.mark.parametrize("drop", [["mri"], ["ehr", "rep", "static"]])
def test_only_some_modalities_of_the_run_can_be_dropped(drop: list[str], finished: Path) -> None:
    with pytest.raises(InputError, match="the run uses ehr, rep, static"):
        load_run(finished / "run").predict(finished / "cache", drop=drop)


def test_another_recipe_is_refused_by_name(finished: Path, toy_cache: ToyCache, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ehr\.recipe\.version: 1 -> 2"):
        load_run(finished / "run").predict(toy_cache(tmp_path / "cache", recipe=2))


def test_models_that_do_not_fit_the_settings_are_refused(finished: Path, tmp_path: Path) -> None:
    wider = shutil.copytree(finished / "run", tmp_path / "run")
    config = read(wider / "config.json")
    config["encoder"]["dimension"] = 8
    (wider / "config.json").write_text(json.dumps(config))
    seal(wider, (path for path in wider.rglob("*") if path.is_file() and path.name != SEAL))
    with pytest.raises(InputError, match=r"0/model\.safetensors does not fit the run's config"):
        load_run(wider).predict(finished / "cache")


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_other_kinds_of_tasks(kind: str, toy_cache: ToyCache, tmp_path: Path) -> None:
    metrics = train(toy_cache(tmp_path / "cache", kind=kind), quick(), tmp_path / "run").metrics
    predicted = load_run(tmp_path / "run").predict(tmp_path / "cache")
    names = {"multilabel": ["y_first", "y_second", "p_first", "p_second"], "multiclass": ["y", "p_a", "p_b", "p_c"]}[
        kind
    ]
    assert predicted.columns[2 : 2 + len(names)] == names
    assert tuple(row.label for row in metrics.per_label) == metrics.labels
    assert metrics.auroc.mean is not None and 0 <= metrics.auroc.mean <= 1


def test_unimodal_reports_its_choice(toy_cache: ToyCache, tmp_path: Path) -> None:
    details = train(toy_cache(tmp_path / "cache"), quick("unimodal"), tmp_path / "run").metrics.method_details
    assert {fold["chosen"] for fold in details.folds} <= {"ehr", "rep", "static"}
    assert [alone.modality for alone in details.modalities] == ["ehr", "rep", "static"]
    assert all(alone.auroc_where_present and alone.auroc_on_all for alone in details.modalities)


def test_a_supplied_split_replaces_folds(toy_cache: ToyCache, tmp_path: Path) -> None:
    parts = pl.DataFrame({"sample_id": np.arange(60), "part": ["train"] * 40 + ["test"] * 20})
    cache = toy_cache(tmp_path / "cache", split=parts)
    metrics = train(cache, quick(), tmp_path / "run").metrics
    assert len(metrics.folds) == 1 and metrics.auroc.sd is None and metrics.samples == 20
    assert any("supplied split 'given'" in note for note in metrics.notes)
    assert len(train(cache, quick("concat", "split=none"), tmp_path / "folds").metrics.folds) == 3
    with pytest.raises(InputError, match="has the splits: given"):
        train(cache, quick("concat", "split=other"), tmp_path / "other")


def test_a_fold_of_one_class_has_no_auroc_and_is_named(toy_cache: ToyCache, tmp_path: Path) -> None:
    metrics = train(toy_cache(tmp_path / "cache", positives=1), quick(), tmp_path / "run").metrics
    without = [fold.fold for fold in metrics.folds if fold.measures["auroc"] is None]
    assert len(without) == 2
    assert any(note.startswith(f"Fold {without[0]}, {without[1]} ") for note in metrics.notes)


def test_modalities_fix_the_order_and_the_rest_is_not_read(toy_cache: ToyCache, tmp_path: Path) -> None:
    metrics = train(toy_cache(tmp_path / "cache"), quick("concat", "modalities=static,rep"), tmp_path / "run").metrics
    assert metrics.modalities == ("static", "rep") and set(metrics.recipes) == {"static", "rep"}


def test_wrong_input_leaves_no_folder(toy_cache: ToyCache, tmp_path: Path) -> None:
    cache, out = toy_cache(tmp_path / "cache"), tmp_path / "run"
    with pytest.raises(InputError, match="Known are: outcome"):
        train(cache, quick("concat", "task=mortality"), out)
    with pytest.raises(InputError, match="ehr, rep, static"):
        train(cache, quick("concat", "modalities=mri"), out)
    with pytest.raises(InputError, match="use fewer folds"):
        train(cache, quick("concat", "folds=31"), out)
    with pytest.raises(CacheNotFoundError):
        train(tmp_path / "nothing", quick(), out)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_an_existing_run_is_never_overwritten(finished: Path) -> None:
    with pytest.raises(InputError, match="already exists"):
        train(finished / "cache", quick(), finished / "run")


@pytest.mark.parametrize(
    ("method", "overrides", "expected"),
    [
        ("concat", (), False),
        ("unimodal", (), True),
        ("concat", ("search.trials=1",), True),
        ("concat", ("validation=0.2",), True),
    ],
)
def test_subjects_validate_only_where_something_is_chosen_by_them(
    method: str, overrides: tuple[str, ...], expected: bool, toy_cache: ToyCache, tmp_path: Path
) -> None:
    config = make_config(method, overrides=["fit.epochs=1", "folds=3", *overrides])
    train(toy_cache(tmp_path / "cache"), config, tmp_path / "run")
    parts = pl.read_parquet(tmp_path / "run" / "splits.parquet")["part"].unique().to_list()
    assert ("validation" in parts) == expected
