"""Curves over the share of samples that lack a modality: the same draws as those of runs that hide in the test."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import InputError
from omnifuse.fusion.explain.missing_curves import drawn_predictions, missing_curves
from omnifuse.fusion.runs.replay import Replay
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config

ToyCache = Callable[..., Path]
OVERRIDES = ["fit.epochs=1", "folds=2"]


@pytest.fixture(scope="module")
def replay(toy_cache: ToyCache, tmp_path_factory: pytest.TempPathFactory) -> Replay:
    folder = tmp_path_factory.mktemp("curves")
    train(toy_cache(folder / "cache", samples=80), make_config("concat", overrides=OVERRIDES), folder / "run")
    return Replay.open(folder / "run")


@pytest.fixture(scope="module")
def curves(replay: Replay) -> pl.DataFrame:
    return missing_curves(replay, [0.0, 0.5, 1.0], draws=2)


def test_a_row_for_each_draw_and_one_where_nothing_is_drawn(curves: pl.DataFrame) -> None:
    assert curves.columns == ["hidden", "rate", "draw", "auroc", "auprc", "log_loss"]
    points = [(0.0, 0), (0.5, 0), (0.5, 1), (1.0, 0), (1.0, 1)]
    names = ["ehr", "rep", "static", "random"]
    assert curves.select("hidden", "rate", "draw").rows() == [(name, *point) for name in names for point in points]


def test_all_curves_begin_with_the_run_itself(curves: pl.DataFrame, replay: Replay) -> None:
    scores = replay.scores(replay.predict())
    for row in curves.filter(rate=0.0).iter_rows(named=True):
        assert {name: row[name] for name in ("auroc", "auprc", "log_loss")} == {
            name: scores[name] for name in ("auroc", "auprc", "log_loss")
        }


@pytest.mark.parametrize("modality", ["ehr", None])
def test_a_draw_is_that_of_a_run_that_hides_in_the_test(
    modality: str | None, curves: pl.DataFrame, replay: Replay, tmp_path: Path
) -> None:
    hidden = ["missing.rate=0.5", "missing.protocol=test", "missing.draws=2", f"missing.modality={modality or 'none'}"]
    config = make_config("concat", overrides=OVERRIDES + hidden)
    missing = train(replay.run.path.parent / "cache", config, tmp_path / "r").metrics.missing
    assert missing is not None
    of_curve = curves.filter(hidden=modality or "random", rate=0.5)
    for name in ("auroc", "auprc", "log_loss"):
        expected = [draw[name].mean for draw in missing.each_draw]
        assert of_curve[name].to_list() == pytest.approx(expected, rel=1e-6)


def test_a_modality_that_everybody_lost_is_the_same_in_every_draw(curves: pl.DataFrame) -> None:
    lost = curves.filter(hidden="ehr", rate=1.0)
    assert lost["log_loss"].n_unique() == 1
    assert curves.filter(hidden="random", rate=1.0)["log_loss"].n_unique() == 2


class Alone:
    """A replay in which one tested sample has ``rep``, and nothing else to spare it for; another was never tested."""

    modalities = ("ehr", "rep", "static")
    task = SimpleNamespace(kind="binary")
    fold = np.array([0, 0, 0, -1])
    presence = np.array([[True, False, True], [False, True, False], [True, False, True], [True, True, True]])

    def predict(self, hidden: np.ndarray | None = None) -> np.ndarray:
        return np.zeros((4, 1)) if hidden is None else np.ones((4, 1))

    def scores(self, probability: np.ndarray) -> dict[str, float | None]:
        return dict.fromkeys(("auroc", "auprc", "log_loss", "brier"), float(probability.sum()))


def test_a_modality_that_no_tested_sample_can_lose_has_no_curve() -> None:
    table = missing_curves(Alone(), [0.0, 1.0], draws=1, seed=0)
    assert table["hidden"].unique(maintain_order=True).to_list() == ["ehr", "static", "random"]
    assert table.filter(rate=1.0)["auroc"].to_list() == [3.0, 3.0, 3.0]  # the three that can lose one


def test_impossible_rates_and_draws_are_refused(replay: Replay) -> None:
    with pytest.raises(InputError, match=r"missing\.rate = 1\.5"):
        missing_curves(replay, [1.5], draws=1)
    with pytest.raises(InputError, match=r"missing\.draws = 0"):
        missing_curves(replay, [0.5], draws=0)


def test_another_seed_draws_others(curves: pl.DataFrame, replay: Replay) -> None:
    other = missing_curves(replay, [0.5], draws=1, seed=1).filter(hidden="random")["log_loss"].item()
    assert other not in curves.filter(hidden="random", rate=0.5)["log_loss"].to_list()


def test_the_draws_are_those_of_the_seed_of_the_training(
    toy_cache: ToyCache, replay: Replay, curves: pl.DataFrame, tmp_path: Path
) -> None:
    assert missing_curves(replay, [0.5], draws=2, seed=0).equals(curves.filter(rate=0.5))
    cache = replay.run.path.parent / "cache"
    train(cache, make_config("concat", overrides=OVERRIDES, seed=3), tmp_path / "other")
    other = Replay.open(tmp_path / "other")
    assert drawn_predictions(other, 0.5, draws=1).equals(drawn_predictions(other, 0.5, draws=1, seed=3))
    assert not drawn_predictions(other, 0.5, draws=1).equals(drawn_predictions(other, 0.5, draws=1, seed=0))


def test_the_predictions_of_each_draw_have_the_scores_of_the_curve(curves: pl.DataFrame, replay: Replay) -> None:
    table = drawn_predictions(replay, 0.5, draws=2)
    assert table.columns == ["draw", "sample_id", "p_0"]
    for draw, row in enumerate(curves.filter(hidden="random", rate=0.5).iter_rows(named=True)):
        said = table.filter(draw=draw)
        assert said["sample_id"].to_list() == replay.samples.tolist()
        assert replay.scores(said.select("p_0").to_numpy())["auroc"] == row["auroc"]


def test_samples_that_training_had_robbed_are_whole_again_before_others_are_drawn(
    replay: Replay, tmp_path: Path
) -> None:
    """Without a modality to lose in the test the models say of the complete samples what nobody has drawn from."""
    hidden = ["missing.rate=1", "missing.protocol=train-and-test", "missing.modality=ehr"]
    config = make_config("concat", overrides=OVERRIDES + hidden)
    train(replay.run.path.parent / "cache", config, tmp_path / "run")
    robbed, whole = Replay.open(tmp_path / "run"), Replay.open(tmp_path / "run", complete=True)
    assert not robbed.presence[robbed.presence.sum(axis=1) > 1, 0].any()
    assert np.array_equal(whole.presence, replay.presence)
    nobody = drawn_predictions(whole, 0.0, draws=1)["p_0"].to_numpy()
    assert np.array_equal(nobody, whole.predict()[:, 0])
