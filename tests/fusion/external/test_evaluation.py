"""A run among other patients: the same numbers as elsewhere, what is different there, and what mends it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import (
    Column,
    FeatureCache,
    InputError,
    ModalitySpec,
    RaggedArray,
    StagedCache,
    Task,
    join_caches,
    offsets_of,
)
from omnifuse.fusion.external.drift import drift, notable
from omnifuse.fusion.external.evaluation import evaluate
from omnifuse.fusion.external.recalibration import corrections
from omnifuse.fusion.inputs.batches import Cohort, Source
from omnifuse.fusion.inputs.described import ROWS, describe_columns
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.report import write_external
from omnifuse.fusion.runs.run import Run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.scores.conformal import verdict
from omnifuse.fusion.training.config import make_config
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

SAMPLES = 400
COLUMNS = (Column("glucose", "mg/dL", "glucose"), Column("lactate", "mmol/L", "lactate"), Column("age", "years", "age"))


def site(
    path: Path, seed: int, shift: float = 0.0, split: bool = False, task: Task | None = None, **change: float
) -> Path:
    """Write a cache of patients whose risk follows glucose and lactate; ``change`` factors of columns, 0: unknown."""
    rng = np.random.default_rng(seed)
    x = rng.normal((100, 2, 60), (20, 1, 10), size=(SAMPLES, 3)).astype(np.float32)
    risk = expit((x[:, 0] - 100) / 15 + (x[:, 1] - 2) - 0.5 + shift)
    y = (rng.random(SAMPLES) < risk).astype(np.float32)[:, None]
    for name, factor in change.items():
        place = [column.name for column in COLUMNS].index(name)
        x[:, place] = x[:, place] * factor if factor else np.where(rng.random(SAMPLES) < 0.8, np.nan, x[:, place])
    staged, ids = StagedCache(path, f"site{seed}", {}), np.arange(SAMPLES) + 7_300_000 * seed
    ward, gender = np.array(["a", "b", "c"])[ids % 3], np.array(["F", "M"])[ids % 2]
    staged.add_samples(pl.DataFrame({"sample_id": ids, "subject_id": ids, "ward": ward, "gender": gender}))
    spec = ModalitySpec("labs", "features", "row", {"made": "here"}, COLUMNS)
    staged.add_modality(spec, np.ones(SAMPLES, int), 3, [x], np.full(SAMPLES, np.nan, np.float32))
    staged.add_task(task or Task("death", "binary", ("death",), y, counts=(("everyone", SAMPLES),)))
    if split:
        staged.add_split("given", pl.DataFrame({"sample_id": ids, "part": np.array(["train", "validation"])[ids % 2]}))
    nothing = {name: pl.Series([], dtype=pl.String) for name in ("stage", "source", "where", "value", "reason")}
    numbers = pl.DataFrame({**nothing, "count": pl.Series([], dtype=pl.Int64)}).drop("where", "value")
    staged.add_quarantine(pl.DataFrame(nothing), numbers).commit({})
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site(tmp_path_factory.mktemp("home") / "cache", 1)


@pytest.fixture(scope="module")
def run(home: Path) -> Run:
    config = make_config("logistic", task="death", folds=2)
    return train(home, config, home.parent / "run")


def test_the_measures_are_those_of_the_predictions(run: Run, tmp_path: Path) -> None:
    found = evaluate(run, site(tmp_path / "cache", 2))
    y, p = found.answer.table["y"].to_numpy(), found.answer.table["p"].to_numpy()
    assert found.samples == SAMPLES
    assert found.measures["auroc"].value == pytest.approx(roc_auc_score(y, p))
    assert found.measures["auprc"].value == pytest.approx(average_precision_score(y, p))
    low, high = found.measures["auroc"].ci or (0, 0)
    assert low < roc_auc_score(y, p) < high
    threshold = run.metrics.alert.threshold if run.metrics.alert else None
    assert found.alert is not None and found.alert["threshold"] == threshold
    assert found.alert["sensitivity"] == pytest.approx((p >= threshold)[y == 1].mean())
    assert found.alert["specificity"] == pytest.approx((p < threshold)[y == 0].mean())
    difference = found.differences()["auroc"]
    assert difference is not None and difference.value == pytest.approx(roc_auc_score(y, p) - run.metrics.auroc.mean)
    content = found.to_json()
    assert content["auroc"]["mean"] == pytest.approx(roc_auc_score(y, p))
    assert content["in_training"]["auroc"]["mean"] == run.metrics.auroc.mean


def test_who_was_trained_on_is_told_that_nothing_is_new(run: Run, home: Path) -> None:
    found = evaluate(run, home)
    assert found.measures["auroc"].value == pytest.approx(run.metrics.auroc.mean)
    assert "repeats its own test" in found.site.metrics.notes[0]
    assert found.drift is not None and notable(found.drift).is_empty()


def test_another_unit_and_missing_values_are_the_first_that_is_said(run: Run, tmp_path: Path) -> None:
    found = evaluate(run, site(tmp_path / "cache", 2, glucose=1 / 18, lactate=0))
    assert found.drift is not None
    first, second, *others = found.drift.to_dicts()
    assert (first["column"], second["column"]) == ("glucose", "lactate")
    assert first["difference"] == pytest.approx(-(100 - 100 / 18) / np.sqrt((20**2 + (20 / 18) ** 2) / 2), rel=0.1)
    assert second["share_difference"] == pytest.approx(-0.8, abs=0.06)
    assert abs(second["difference"]) < 0.5
    assert notable(found.drift)["column"].to_list() == ["glucose", "lactate"]
    assert all(row["size"] < 0.25 for row in others)


def test_more_events_are_mended_by_recalibration_in_the_large(run: Run, tmp_path: Path) -> None:
    cache = site(tmp_path / "cache", 2, shift=1.5, split=True)
    for how, fitted in ((0.5, SAMPLES // 2), ("validation", SAMPLES // 2)):
        made = evaluate(run, cache, recalibrate=how).recalibrated
        assert made is not None
        assert (made.fitted_on, made.judged_by) == (fitted, SAMPLES - fitted)
        assert made.calibration["as predicted"]["observed_expected"] > 1.25
        assert made.calibration["in the large"]["observed_expected"] == pytest.approx(1, abs=0.15)
        assert made.calibration["of the slope"]["slope"] == pytest.approx(1, abs=0.35)
        areas = [values["auroc"] for values in made.measures.values()]
        assert areas == pytest.approx([areas[0]] * 3)


def test_the_corrections_are_those_of_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    y = (rng.random(2000) < expit(0.6 * x + 0.8)).astype(float)
    large, slope = corrections(Target("binary", 1), y[:, None], expit(x)[:, None])
    fitted = LogisticRegression(C=np.inf).fit(x[:, None], y)
    assert slope.weight == pytest.approx(fitted.coef_[0, 0], abs=0.01)
    assert slope.bias[0] == pytest.approx(fitted.intercept_[0], abs=0.01)
    assert float(large.of(expit(x)[:, None]).mean()) == pytest.approx(y.mean(), abs=1e-4)
    np.testing.assert_allclose(logit(slope.of(expit(x)[:, None])[:, 0]), slope.weight * x + slope.bias[0], atol=1e-3)


def test_what_cannot_be_compared_is_refused_in_a_sentence(run: Run, tmp_path: Path) -> None:
    nobody = Task("death", "binary", ("death",), np.full((SAMPLES, 1), np.nan, np.float32))
    with pytest.raises(InputError, match="no label of the task 'death'"):
        evaluate(run, site(tmp_path / "unlabelled", 2, task=nobody))
    there = site(tmp_path / "there", 2, split=True)
    with pytest.raises(InputError, match="its parts are train, validation"):
        evaluate(run, there, recalibrate="test")
    with pytest.raises(InputError, match="a share of the patients above 0 and at most"):
        evaluate(run, there, recalibrate=0.9)
    alone = Task("death", "binary", ("death",), np.zeros((SAMPLES, 1), np.float32))
    one_outcome = site(tmp_path / "healthy", 3, task=alone)
    found = evaluate(run, one_outcome)
    assert found.measures["auroc"].value is None
    assert "all 400 samples with a label of 'death' have the same" in " ".join(found.site.metrics.notes)
    with pytest.raises(InputError, match="have the same labels"):
        evaluate(run, one_outcome, recalibrate=0.3)


def test_the_page_names_both_sites_and_no_patient(run: Run, tmp_path: Path) -> None:
    found = evaluate(run, site(tmp_path / "cache", 2, glucose=1 / 18), recalibrate=0.3)
    page = write_external(found, tmp_path / "out").read_text()
    assert "labs, glucose (mg/dL)" in page and "Reliability in training" in page and "Recalibration" in page
    assert not any(str(one) in page for one in found.answer.table["sample_id"].to_list())
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"external.html", "evaluation.json", "predictions.parquet", "drift.parquet", "tables"}


@pytest.mark.parametrize("kind", ["multilabel", "multiclass", "regression", "survival"])
def test_every_kind_of_outcome_has_its_page(kind: str, toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    home = toy_cache(tmp_path / "home", kind=kind)
    run = train(home, make_config("logistic", folds=2), tmp_path / "run")
    found = evaluate(run, toy_cache(tmp_path / "away", kind=kind, first_id=1000, seed=1))
    assert found.samples == 60
    assert write_external(found, tmp_path / "out").is_file()
    if kind in ("regression", "survival"):
        with pytest.raises(InputError, match="Only probabilities are recalibrated"):
            evaluate(run, toy_cache(tmp_path / "third", kind=kind, first_id=1000, seed=1), recalibrate=0.3)


def test_columns_are_described_by_what_was_measured_of_each_sample(toy_cohort: Callable[..., object]) -> None:
    sources: dict[str, Source] = toy_cohort().sources  # type: ignore[attr-defined]
    found = describe_columns(sources, np.arange(60))
    named = {(row["modality"], row["column"]): row for row in found.to_dicts()}
    lengths = sources["ehr"].rows.lengths
    assert named["ehr", ROWS]["mean"] == pytest.approx(lengths[lengths > 0].mean())
    assert named["ehr", ROWS]["with_modality"] == (lengths > 0).sum()
    age = sources["static"].rows.values[:, 0]
    assert named["static", "age"]["mean"] == pytest.approx(np.nanmean(age))
    assert named["static", "age"]["known"] == (~np.isnan(age)).sum()
    assert ("rep", ROWS) in named and len([1 for modality, _ in named if modality == "rep"]) == 1
    half = describe_columns(sources, np.arange(30))
    assert half.filter(modality="static", column="age")["mean"][0] == pytest.approx(np.nanmean(age[:30]))


def test_a_column_that_never_varied_and_does_now_is_infinitely_far() -> None:
    trained = pl.DataFrame(
        {"modality": ["x", "x"], "column": [ROWS, "a"], "unit": ["", ""], "samples": [4.0, 4.0],
         "with_modality": [4.0, 4.0], "known": [4.0, 4.0], "mean": [1.0, 2.0], "sd": [0.0, 0.0], "low": [1.0, 2.0],
         "high": [1.0, 2.0]}
    )  # fmt: skip
    rows = RaggedArray(np.full((4, 1), 3, np.float32), offsets_of(np.ones(4, int)), np.zeros(4, np.float32))
    ids = np.arange(4)
    y = np.zeros((4, 1), np.float32)
    cohort = Cohort(
        Task("t", "binary", ("t",), y), ids, ids, y, {"x": Source("features", (Column("a", "", "a"),), rows)}
    )
    first, second = drift(describe_columns(cohort.sources, ids), trained).to_dicts()
    assert (first["column"], first["difference"]) == ("a", np.inf)
    assert (second["column"], second["difference"]) == (ROWS, 0)


def test_each_fold_tests_one_site_by_models_that_saw_nobody_of_it(home: Path, tmp_path: Path) -> None:
    run = train(home, make_config("logistic", overrides=("folds_by=ward",), task="death"), tmp_path / "run")
    assert run.metrics.sites == ("a", "b", "c")
    wards = np.array(["a", "b", "c"])
    for fold, tested in run.splits.filter(part="test").group_by("fold"):
        assert set(wards[tested["sample_id"].to_numpy() % 3]) == {wards[fold[0]]}  # type: ignore[index]
    trained = run.splits.filter(part="train", fold=0)
    assert set(wards[trained["sample_id"].to_numpy() % 3]) == {"b", "c"}
    assert "0 a, 1 b, 2 c" in " ".join(run.metrics.notes)
    with pytest.raises(InputError, match="sample_id"):
        train(home, make_config("logistic", overrides=("folds_by=sample_id",), task="death"), tmp_path / "other")
    with pytest.raises(InputError, match="ward"):
        train(home, make_config("logistic", overrides=("folds_by=wards",), task="death"), tmp_path / "other")


def test_some_sites_train_and_others_are_tested(home: Path, tmp_path: Path) -> None:
    chosen = ("folds_by=ward", "train_on=a", "test_on=b,c")
    run = train(home, make_config("logistic", overrides=chosen, task="death"), tmp_path / "run")
    wards = np.array(["a", "b", "c"])
    assert run.metrics.sites == ("b", "c")
    trained = run.splits.filter(part="train")
    assert set(wards[trained["sample_id"].to_numpy() % 3]) == {"a"}
    assert set(wards[run.predictions["sample_id"].to_numpy() % 3]) == {"b", "c"}
    for wrong, message in (
        (("folds_by=ward", "test_on=d"), "'d'.*a, b, c"),
        (("test_on=a",), "folds_by"),
        (("folds_by=ward", "train_on=a", "test_on=a"), "nobody is left to train on"),
    ):
        with pytest.raises(InputError, match=message):
            train(home, make_config("logistic", overrides=wrong, task="death"), tmp_path / "wrong")


def test_a_site_of_one_outcome_is_named_with_those_that_serve(tmp_path: Path) -> None:
    y = (np.random.default_rng(0).random(SAMPLES) < 0.5).astype(np.float32)
    y[np.arange(SAMPLES) % 3 == 1] = 0  # ids of seed 0 begin at 0: ward b
    cache = site(tmp_path / "cache", 0, task=Task("death", "binary", ("death",), y[:, None]))
    with pytest.raises(InputError, match=r"'b': all 133 samples .* have the same.* test_on=a,c"):
        train(cache, make_config("logistic", overrides=("folds_by=ward",), task="death"), tmp_path / "run")
    run = train(
        cache, make_config("logistic", overrides=("folds_by=ward", "test_on=a,c"), task="death"), tmp_path / "run"
    )
    assert run.metrics.sites == ("a", "c")


def test_another_share_of_positives_is_found(run: Run, tmp_path: Path) -> None:
    found = evaluate(run, site(tmp_path / "cache", 2, shift=-2))
    assert found.drift is not None
    (row,) = notable(found.drift).to_dicts()
    own = run.metrics.positives / run.metrics.samples  # type: ignore[operator]
    here = found.site.metrics.positives / found.samples  # type: ignore[operator]
    assert (row["modality"], row["column"]) == ("outcome", "death")
    assert (row["mean_here"], row["mean_there"]) == (pytest.approx(here), pytest.approx(own))
    pooled = np.sqrt((own * (1 - own) + here * (1 - here)) / 2)
    assert row["difference"] == pytest.approx((here - own) / pooled)


def test_the_sets_of_the_run_are_judged_as_they_are(run: Run, tmp_path: Path) -> None:
    alike = evaluate(run, site(tmp_path / "alike", 2)).site.metrics.conformal
    own = run.metrics.conformal
    assert alike is not None and own is not None
    assert alike.thresholds == own.thresholds
    everybody = alike.coverage[0]
    assert verdict(own.level, everybody.covered_ci) == "holds"
    spoilt = site(tmp_path / "spoilt", 2, glucose=0.9)  # a tenth too low
    found = evaluate(run, spoilt)
    sets = found.site.metrics.conformal
    assert sets is not None
    p = found.answer.table["p"].to_numpy()
    y = found.answer.table["y"].to_numpy()
    positive = next(row.threshold for row in own.thresholds if row.name == "positive")
    of_positives = next(row for row in sets.coverage if row.name == "positive")
    assert positive is not None
    assert of_positives.covered == pytest.approx(np.mean(1 - p[y == 1] <= positive))
    assert verdict(own.level, of_positives.covered_ci) == "does not hold"
    page = write_external(found, tmp_path / "out").read_text()
    assert "was decided by the patients of the training" in page and "does not hold" in page


def test_groups_are_compared_at_the_threshold_of_the_run(run: Run, tmp_path: Path) -> None:
    found = evaluate(run, site(tmp_path / "cache", 2, shift=-2))
    assert run.metrics.alert is not None and run.metrics.alert.threshold is not None
    genders = np.array(["F", "M"])[found.answer.table["sample_id"].to_numpy() % 2]
    rows = found.answer.table.with_columns(gender=pl.Series(genders))
    assert [group.value for group in found.site.metrics.per_subgroup] == ["F", "M"]
    for group in found.site.metrics.per_subgroup:
        inside = rows.filter((pl.col("gender") == group.value) & (pl.col("y") == 1))
        expected = (inside["p"] >= run.metrics.alert.threshold).mean()
        assert group.entries["sensitivity"] == pytest.approx(expected)


def test_patients_that_a_joined_cache_renamed_are_not_taken_for_new_ones(run: Run, home: Path, tmp_path: Path) -> None:
    other = site(tmp_path / "other", 2)
    caches = {"a": FeatureCache.open(home), "b": FeatureCache.open(other)}
    join_caches(caches, tmp_path / "both")
    with pytest.raises(InputError, match="holds the cache that the run was trained on, as 'a' and under other ids"):
        evaluate(run, tmp_path / "both")
    of_both = train(tmp_path / "both", make_config("logistic", task="death", folds=2), tmp_path / "run")
    with pytest.raises(InputError, match=r"was trained on .*both, which holds .* under other ids"):
        evaluate(of_both, home)
    assert evaluate(of_both, site(tmp_path / "third", 3)).samples == SAMPLES
    join_caches(caches, tmp_path / "known", shared_patients=True)
    assert evaluate(run, tmp_path / "known").answer.models == {"out-of-fold": SAMPLES, "mean": SAMPLES, "seen": 0}
