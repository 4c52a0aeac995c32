"""Settings are chosen on the inner validation part, and a searched run predicts as any other."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.methods.base import Context
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.runs.run import load_run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import TrainConfig, make_config
from omnifuse.fusion.training.search import Trial, best, known_space, search, space_of

ToyCache = Callable[..., Path]
SETTINGS = ("fit.epochs=2", "folds=2", "search.trials=3", "search.over=encoder.dimension,fit.epochs")


def config(*overrides: str, method: str = "concat") -> TrainConfig:
    return make_config(method, overrides=overrides)


def distance(wanted: float) -> Callable[[TrainConfig], float]:
    return lambda candidate: abs(candidate.encoder.dropout - wanted)


def test_the_given_settings_come_first_and_none_is_tried_twice() -> None:
    trials = search(config("search.trials=3", "search.over=encoder.dropout"), distance(0.7), seed=0)
    assert [trials[0].overrides, trials[0].loss] == [(), pytest.approx(0.2)]
    assert len({trial.overrides for trial in trials[1:]}) == 2
    assert {key for trial in trials for key, _, _ in (o.partition("=") for o in trial.overrides)} == {"encoder.dropout"}


def test_a_search_ends_when_everything_was_tried() -> None:
    trials = search(config("search.trials=50", "search.over=encoder.dropout"), distance(0.7), seed=0)
    assert len(trials) == 3  # one of the three values is the given one
    assert best(trials).overrides == ("encoder.dropout=0.7",)


def test_of_equal_settings_the_given_ones_stay() -> None:
    assert best([Trial((), 1.0), Trial(("fit.epochs=6",), 1.0)]).overrides == ()


def test_the_seed_decides_what_is_tried() -> None:
    def tried(seed: int) -> list[tuple[str, ...]]:
        return [trial.overrides for trial in search(config("search.trials=5"), lambda _: 1.0, seed)]

    assert tried(1) == tried(1) != tried(2)


@pytest.mark.parametrize(
    ("overrides", "method", "message"),
    [
        (
            ("search.over=fit.clip",),
            "concat",
            "search.over: Unknown searchable setting 'fit.clip'. Known are: fit.epochs",
        ),
        (("search.trials=2",), "prior", "'prior' names no settings to search over; leave search.trials at 0"),
    ],
)
def test_what_cannot_be_searched_is_said(overrides: tuple[str, ...], method: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        search(config(*overrides, method=method), lambda _: 1.0, seed=0)


def test_fewer_than_no_trials_are_refused() -> None:
    with pytest.raises(InputError, match=r"search\.trials = -1; give 0, or how many"):
        config("search.trials=-1")


def test_methods_with_encoders_search_over_these_and_others_do_not() -> None:
    assert "encoder.dimension" in space_of(config())
    assert not any(key.startswith(("encoder.", "fit.")) for key in space_of(config(method="boosting")))


@pytest.mark.parametrize("name", METHODS.names())
def test_everything_that_may_be_tried_can_be_set(name: str) -> None:
    for key, values in known_space(METHODS.get(name)).items():
        changed = {str(make_config(name, overrides=[f"{key}={value}"])) for value in values}
        assert len(changed) == len(values) > 1, key


def test_a_method_may_be_searched_over_its_own_settings_and_those_of_its_bases() -> None:
    assert {"options.alpha", "options.modality_dropout", "encoder.dropout"} <= known_space(METHODS.get("ogm-ge")).keys()
    assert "options.beta" in known_space(METHODS.get("omnifuse"))
    assert {"fit.epochs", "options.degree"} <= known_space(METHODS.get("mogonet")).keys()


def test_the_folds_find_settings_of_their_own_and_the_run_predicts_with_them(
    toy_cache: ToyCache, tmp_path: Path
) -> None:
    cache = toy_cache(tmp_path / "cache")
    trained = train(cache, config(*SETTINGS), tmp_path / "run")
    for fold in trained.metrics.folds:
        assert len(fold.search) == 3 and not fold.search[0].overrides
    stored = pl.read_parquet(tmp_path / "run" / "predictions.parquet")
    parts = pl.read_parquet(tmp_path / "run" / "splits.parquet")
    assert set(parts["part"]) == {"train", "validation", "test"}
    again = load_run(tmp_path / "run").predict(cache)
    mean_of_folds = again.join(stored, on="sample_id")
    assert mean_of_folds.height == stored.height and np.isfinite(again["p"].to_numpy()).all()


def test_the_best_of_the_validation_part_is_trained_on_all_of_the_training_part(
    toy_cache: ToyCache, tmp_path: Path
) -> None:
    sizes: list[tuple[int, int]] = []

    class Sized(Concat):
        def on_fit_start(self, context: Context) -> None:
            super().on_fit_start(context)
            sizes.append((sum(map(len, context.training())), sum(map(len, context.validation()))))

    METHODS.register("sized", Sized)
    try:
        train(toy_cache(tmp_path / "cache"), config(*SETTINGS, method="sized"), tmp_path / "run")
    finally:
        METHODS.forget("sized")
    tried, final = sizes[:3], sizes[3]
    assert tried[0][1] > 0 and final == (sum(tried[0]), 0)


def test_labels_of_the_test_fold_do_not_choose(toy_cache: ToyCache, tmp_path: Path) -> None:
    split = pl.DataFrame({"sample_id": range(60), "part": ["train"] * 40 + ["test"] * 20})
    chosen = []
    for name, positives in (("one", 20), ("other", 40)):
        cache = toy_cache(tmp_path / name, split, positives=positives)
        trained = train(cache, config(*SETTINGS), tmp_path / f"{name}-run")
        chosen.append([trial.overrides for trial in trained.metrics.folds[0].search])
    assert chosen[0] == chosen[1]
