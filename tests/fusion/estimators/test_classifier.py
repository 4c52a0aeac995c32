"""Methods as estimators: scikit-learn's own checks, the same numbers as a training on a cache, clear refusals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from omnifuse.cache_schema import FeatureCache, InputError, Modality
from omnifuse.fusion.estimators import FusionClassifier
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

QUICK = {
    "fit.epochs": 12,
    "fit.batch_size": 64,
    "fit.learning_rate": 0.03,
    "encoder.hidden": 16,
    "encoder.dropout": 0.1,
}
RIDGE = {"options.penalties": 0.01}

rng = np.random.default_rng(0)
TRUTH = np.arange(40) % 2
LABS = rng.normal(size=(40, 3)) + TRUTH[:, None]
NOTES = [rng.normal(size=(n, 4)) + truth for n, truth in zip(rng.integers(0, 4, 40), TRUTH, strict=True)]
BOTH = {"labs": LABS, "notes": NOTES}


# Two of them skip themselves: there is no decision_function, and arrays of other libraries have to be asked for.
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([FusionClassifier("concat", settings=QUICK)])
def test_scikit_learn_takes_it_for_one_of_its_own(estimator: FusionClassifier, check: Callable[..., None]) -> None:
    check(estimator)


SUBJECT = np.arange(60) // 2
TESTED = SUBJECT % 3 == 0
SPLIT = pl.DataFrame({"sample_id": np.arange(60), "part": np.where(TESTED, "test", "train")})


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
@pytest.mark.parametrize("method", ["concat", "logistic", "omnifuse", "unimodal"])
def test_it_predicts_what_a_training_on_a_cache_predicts(
    method: str, kind: str, toy_cache: Callable[..., Path], tmp_path: Path
) -> None:
    cache = FeatureCache.open(toy_cache(tmp_path / "cache", SPLIT, kind=kind))
    config = make_config(method, overrides=["fit.epochs=2"], task="outcome", modalities=("rep", "static"), seed=3)
    train(cache, config, tmp_path / "run")
    table = pl.read_parquet(tmp_path / "run" / "predictions.parquet").sort("sample_id")

    inputs, y = cache.task_inputs("outcome", ["rep", "static"]), cache.task("outcome").y
    labels = y if kind == "multilabel" else y[:, 0]
    model = FusionClassifier(method, settings={"fit.epochs": 2}, random_state=3)
    found = model.fit(of(inputs, ~TESTED), labels[~TESTED], groups=SUBJECT[~TESTED]).predict_proba(of(inputs, TESTED))
    np.testing.assert_array_equal(found[:, 1:] if kind == "binary" else found, table.select("^p$|^p_.*$").to_numpy())


def of(inputs: dict[str, Modality], chosen: np.ndarray) -> dict[str, Modality]:
    return {name: modality.take(np.flatnonzero(chosen)) for name, modality in inputs.items()}


def fitted(X: Any = BOTH, y: Any = TRUTH, method: str = "concat", **arguments: Any) -> FusionClassifier:
    return FusionClassifier(method, settings=arguments.pop("settings", QUICK), **arguments).fit(X, y)


def test_time_series_of_a_cache_are_taken_as_they_are(toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    cache = FeatureCache.open(toy_cache(tmp_path / "cache", strength=3.0))
    inputs, y = cache.task_inputs("outcome"), cache.task("outcome").y[:, 0]
    assert fitted(inputs, y).score(inputs, y) > 0.9


def test_a_row_of_nan_alone_or_no_rows_say_that_a_sample_lacks_the_modality() -> None:
    model = fitted()
    notes = NOTES[0] if len(NOTES[0]) else NOTES[1]
    without_labs = model.predict_proba({"labs": [[np.nan] * 3], "notes": [notes]})
    assert (without_labs != model.predict_proba({"labs": [[0.0, np.nan, 0.0]], "notes": [notes]})).any()
    nothing = model.predict_proba({"labs": [[np.nan] * 3], "notes": [np.empty((0, 4))]})
    np.testing.assert_allclose(nothing, [[0.5, 0.5]], atol=1e-6)  # the frequencies of the training


def test_samples_that_lack_everything_are_not_trained_on() -> None:
    padded = {"labs": np.concatenate([LABS, np.full((9, 3), np.nan)]), "notes": [*NOTES, *[np.empty((0, 4))] * 9]}
    model = fitted(padded, np.concatenate([TRUTH, np.ones(9, int)]))
    np.testing.assert_array_equal(model.predict_proba(BOTH), fitted().predict_proba(BOTH))


def as_objects(*labels: Any) -> np.ndarray:
    named = np.empty(40, dtype=object)
    named[:] = [labels[n % len(labels)] for n in range(40)]
    return named


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (TRUTH.astype(bool), [False, True]),
        (TRUTH * 5.0 - 1, [-1.0, 4.0]),
        (np.array(["dead", "alive"])[TRUTH], ["alive", "dead"]),
        (as_objects("late", "early", "never"), ["early", "late", "never"]),
        (as_objects((2, "b"), (1, "a")), [(1, "a"), (2, "b")]),
        (as_objects("x", 7, frozenset([1])), [frozenset([1]), 7, "x"]),  # cannot be compared: by kind
    ],
    ids=["truth", "numbers", "words", "three words", "tuples", "mixed"],
)
def test_classes_can_be_of_any_kind(y: np.ndarray, classes: list[Any]) -> None:
    model = fitted(y=y)
    assert model.classes_.tolist() == classes
    assert model.predict_proba(BOTH).shape == (40, len(classes))
    assert set(model.predict(BOTH).tolist()) <= set(classes)


def test_of_several_labels_some_may_be_unknown() -> None:
    y = np.stack([TRUTH, 1 - TRUTH, np.where(np.arange(40) < 30, np.nan, TRUTH)], axis=1)
    model = fitted(y=y)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict_proba(BOTH).shape == (40, 3)
    np.testing.assert_array_equal(model.predict(BOTH), model.predict_proba(BOTH) > 0.5)


def test_the_seed_decides_everything() -> None:
    once, again, other = (fitted(random_state=seed).predict_proba(BOTH) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    drawn = [fitted(random_state=np.random.RandomState(0)).predict_proba(BOTH) for _ in range(2)]
    np.testing.assert_array_equal(*drawn)


def test_columns_of_a_table_can_be_several_modalities() -> None:
    table = np.concatenate([LABS, LABS[:, :1] * 2], axis=1)
    by_position = fitted(table, modalities={"labs": [0, 1, 2], "age": [3]})
    apart = fitted({"labs": LABS, "age": LABS[:, :1] * 2})
    np.testing.assert_array_equal(
        by_position.predict_proba(table), apart.predict_proba({"age": table[:, 3:], "labs": LABS})
    )


def test_columns_of_a_frame_have_names() -> None:
    frame = pl.DataFrame(LABS, schema=["pulse", "age", "height"])
    model = fitted(frame, modalities={"body": ["height", "age"], "labs": ["pulse"]})
    apart = fitted({"body": LABS[:, [2, 1]], "labs": LABS[:, :1]})
    np.testing.assert_array_equal(
        model.predict_proba(frame), apart.predict_proba({"body": LABS[:, [2, 1]], "labs": LABS[:, :1]})
    )


def test_it_stands_in_pipelines_and_searches() -> None:
    model = make_pipeline(StandardScaler(), FusionClassifier("logistic", settings=RIDGE))
    assert cross_val_score(model, LABS, TRUTH, cv=3, scoring="roc_auc").mean() > 0.7
    search = GridSearchCV(FusionClassifier("logistic"), {"settings": [RIDGE, {"options.penalties": 1e6}]}, cv=2)
    assert search.fit(LABS, TRUTH).best_params_ == {"settings": RIDGE}


def test_a_clone_is_not_fitted() -> None:
    with pytest.raises(NotFittedError):
        clone(fitted()).predict(BOTH)


def test_whoever_belongs_together_is_not_parted() -> None:
    model = FusionClassifier("logistic")  # it chooses by parts of the training, whole groups
    assert model.fit(LABS, TRUTH, groups=np.arange(40) // 8).score(LABS, TRUTH) > 0.5
    with pytest.raises(InputError, match="5 parts need at least 5 subjects, there are 4"):
        model.fit(LABS, TRUTH, groups=np.arange(40) // 10)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ({}, "X has no modality"),
        ({"labs": LABS[:, 0]}, r"'labs' has the shape \[40\]; expected \[N, D\]"),
        ({"labs": LABS[:, :0]}, r"'labs' has the shape \[40, 0\]"),
        ({"labs": [["a", "b"]] * 40}, "'labs' is .*could not convert string to float"),
        ({"labs": LABS, "notes": NOTES[:9]}, "'notes' has 9 samples and 'labs' has 40"),
        ({"labs": np.where(LABS > 2, np.inf, LABS)}, "'labs' holds infinite values"),
        ({"labs": LABS * 1e39}, "'labs' holds infinite values"),
        ({"notes": [*NOTES[:39], np.full((2, 4), np.nan)]}, "'notes' has rows with NaN"),
        (
            {"notes": [*NOTES[:39], np.ones((2, 5))]},
            r"'notes', sample 39: rows of the shape \[2, 5\]; expected \[rows, 4\]",
        ),
        ({"labs": np.full((40, 3), np.nan)}, "No sample of X has both a modality and a known label"),
        ({"labs": LABS[:30]}, "y has 40 samples and X has 30"),
        ({"labs": np.where(TRUTH[:, None], LABS, np.nan)}, "All samples of X that have a modality are of one class"),
        ({"labs": LABS + 1j}, "complex128 is no kind of number"),
        ({"labs": LABS.astype("datetime64[s]")}, r"datetime64\[s\] is no kind of number"),
        ({"labs": torch.tensor(LABS, requires_grad=True)}, "requires grad.*expected arrays of numbers"),
        ({"labs": pl.DataFrame({"sex": ["f", "m"] * 20})}, "'labs' is .*could not convert string to float"),
        ({"labs": None}, r"'labs' has the shape \[\]; expected \[N, D\]"),
        ({"labs": [[1, 2], [3]] * 20}, "'labs' is .*inhomogeneous"),
        ({"notes": [None, *NOTES[1:]]}, r"'notes', sample 0: rows of the shape \[\]; expected \[rows, 4\], of no rows"),
        ({1: LABS, "1": LABS}, "A modality of X is called 1; expected a text"),
        ({"": LABS}, "A modality of X is called ''"),
    ],
)
def test_samples_that_do_not_fit_are_named(X: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fitted(X)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        (np.where(TRUTH, np.nan, 1.0), r"y has no class for some samples \(20; the first is 1"),
        (as_objects("a", None, "b"), r"y has no class for some samples \(13; the first is 1"),
        (np.where(TRUTH, np.inf, 1.0), "y holds infinite values"),
        (LABS[:, 0], "continuous numbers. Fit a FusionRegressor"),
        (np.ones(40), "y has 1 class; two at least"),
        (np.stack([TRUTH, TRUTH + 1], axis=1), r"y\[1, 1\] is 2; expected 0, 1, or NaN"),
        (np.full((40, 2), "yes"), "could not convert string to float"),
        (np.full((40, 2), np.nan), "No sample of X has both a modality and a known label"),
    ],
)
def test_labels_that_do_not_fit_are_named(y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fitted(y=y)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ({"labs": LABS, "note": NOTES}, "Unknown modality 'note'. Did you mean 'notes'"),
        ({"labs": LABS}, "X has no modality 'notes', which the model was fitted on"),
        (
            {"labs": LABS[:, :2], "notes": NOTES},
            "'labs' is features of 2 columns; the model was fitted on features of 3",
        ),
        ({"labs": LABS, "notes": LABS}, "'notes' is features of 3 columns; the model was fitted on embedding of 4"),
        (LABS, "Unknown modality 'features'"),
    ],
)
def test_other_samples_must_have_what_the_model_was_fitted_on(X: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fitted().predict_proba(X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "omnifusion"}, "Unknown method 'omnifusion'"),
        ({"preset": "quick"}, "Unknown concat preset 'quick'"),
        ({"settings": {"options.gamma": 1}}, "Unknown setting 'options.gamma'"),
        ({"settings": {"folds": 3}}, "folds is a setting of a training on a cache"),
        ({"settings": {"missing.rate": 0.1}}, "missing.rate is a setting of a training on a cache"),
        ({"settings": {"device": "abacus"}}, "this machine has cpu"),
        ({"modalities": {"labs": [0]}}, "X has modalities of its own; leave it out"),
        ({"random_state": -1}, "seed = -1"),
        ({"settings": "fit.epochs=3"}, "settings is 'fit.epochs=3'; expected values by name"),
        ({"settings": {3: 1}}, "Unknown setting '?3"),
        ({"settings": {"fit.epochs": "two"}}, "fit.epochs = 'two'; expected"),
        ({"X": LABS, "modalities": ["labs"]}, r"modalities is \['labs'\]; expected lists of columns by name"),
        ({"X": LABS, "modalities": {"labs": "age"}}, "columns of modality 'labs' are 'age'; expected a list"),
        ({"X": LABS, "modalities": {"labs": 1}}, "columns of modality 'labs' are 1; expected a list"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fitted(**arguments)


def test_a_training_that_diverges_says_so() -> None:
    model = fitted(LABS, settings={"fit.epochs": 12, "fit.learning_rate": 1000.0})
    with pytest.raises(InputError, match=r"'concat' gives probabilities that are no numbers: its training diverged"):
        model.predict(LABS)


@pytest.mark.parametrize("column", [3, -1, 1.5, "pulse"])
def test_a_column_that_a_table_lacks_is_named(column: float | str) -> None:
    with pytest.raises(InputError, match=f"Unknown column of modality 'labs' {column!r}. .*Known are: 0, 1, 2"):
        fitted(LABS, modalities={"labs": [column]})


def test_a_group_that_is_not_known_is_named() -> None:
    with pytest.raises(InputError, match=r"groups has none for some samples \(1; the first is 39"):
        FusionClassifier("concat").fit(LABS, TRUTH, groups=[*map(str, range(39)), None])


@pytest.mark.parametrize("groups", [3, LABS])
def test_groups_of_another_shape_are_refused(groups: Any) -> None:
    with pytest.raises(InputError, match=r"groups has the shape \[.*\]; expected \[N\], one for each sample"):
        FusionClassifier("concat").fit(LABS, TRUTH, groups=groups)


@pytest.mark.parametrize("missing", [np.full((40, 2), np.nan), [np.empty((0, 2))] * 40], ids=["features", "embedding"])
def test_a_modality_that_nobody_has_is_fitted_without_and_may_come_later(missing: Any) -> None:
    model = fitted({"labs": LABS, "none": missing})
    there = np.ones((40, 2)) if isinstance(missing, np.ndarray) else [np.ones((1, 2))] * 40
    for later in (missing, there):
        assert np.isfinite(model.predict_proba({"labs": LABS, "none": later})).all()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64])
def test_numbers_of_any_width_are_taken(kind: type) -> None:
    whole = np.round(LABS)
    np.testing.assert_array_equal(
        fitted({"labs": whole.astype(kind)}).predict({"labs": whole}), fitted({"labs": whole}).predict({"labs": whole})
    )
