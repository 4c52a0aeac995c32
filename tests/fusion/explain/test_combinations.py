"""Every combination of a run's modalities, and Shapley values: the axioms, and cases that can be worked out by hand."""

from collections.abc import Callable
from itertools import combinations, permutations
from math import factorial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError
from omnifuse.fusion.explain.combinations import combination_scores, shapley
from omnifuse.fusion.runs.replay import Replay
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config

ToyCache = Callable[..., Path]
NAMES = ["ehr", "rep", "static", "ehr+rep", "ehr+static", "rep+static", "ehr+rep+static"]


@pytest.fixture(scope="module")
def replay(toy_cache: ToyCache, tmp_path_factory: pytest.TempPathFactory) -> Replay:
    folder = tmp_path_factory.mktemp("combinations")
    config = make_config("omnifuse", overrides=["fit.epochs=1", "folds=2"])
    train(toy_cache(folder / "cache", samples=80), config, folder / "run")
    return Replay.open(folder / "run")


@pytest.fixture(scope="module")
def scores(replay: Replay) -> pl.DataFrame:
    return combination_scores(replay)


def test_every_combination_on_the_complete_samples_and_on_all_that_have_it(
    scores: pl.DataFrame, replay: Replay
) -> None:
    assert scores.columns == ["combination", "among", "auroc", "auprc", "samples"]
    assert scores.filter(among="complete")["combination"].to_list() == NAMES
    assert scores.filter(among="available")["combination"].to_list() == NAMES
    assert set(scores.filter(among="complete")["samples"]) == {int(replay.presence.all(1).sum())}
    counts = dict(scores.filter(among="available").select("combination", "samples").iter_rows())
    assert counts["rep"] == replay.presence[:, 1].sum()
    assert counts["ehr+static"] == replay.presence[:, [0, 2]].all(1).sum()


def test_the_scores_are_those_of_the_probabilities_that_the_run_wrote_down(
    scores: pl.DataFrame, replay: Replay
) -> None:
    """predictions.parquet holds what each combination says, for those who have it."""
    stored = pl.read_parquet(replay.run.path / "predictions.parquet").sort("sample_id")
    for row in scores.iter_rows(named=True):
        p = stored[f"p[{row['combination']}]"].to_numpy()
        who = ~np.isnan(p) if row["among"] == "available" else replay.presence.all(1)
        expected = replay.scores(p[:, None], who)
        assert (row["auroc"], row["auprc"]) == pytest.approx((expected["auroc"], expected["auprc"]), rel=1e-6)


def test_the_full_combination_is_the_same_both_ways(scores: pl.DataFrame) -> None:
    full = scores.filter(combination=NAMES[-1])
    assert full["auroc"].n_unique() == full["samples"].n_unique() == 1


def test_too_many_modalities_are_refused() -> None:
    class Seven:
        modalities = tuple("abcdefg")

    with pytest.raises(InputError, match="7 modalities have 127 combinations"):
        combination_scores(Seven())


def table(values: dict[str, float | None], among: str = "complete") -> pl.DataFrame:
    """Return the table of a game: value by combination."""
    return pl.DataFrame({"combination": list(values), "among": among, "auroc": list(values.values())})


def subsets(names: str) -> list[str]:
    return ["+".join(chosen) for size in range(1, len(names) + 1) for chosen in combinations(names, size)]


GAMES = st.lists(st.floats(0, 1), min_size=7, max_size=7).map(
    lambda values: dict(zip(subsets("abc"), values, strict=True))
)


def test_two_modalities_in_closed_form() -> None:
    """Half of what it is worth alone over chance, half of what it adds to the other."""
    values = shapley(table({"cxr": 0.6, "ehr": 0.8, "cxr+ehr": 0.9}))
    assert values == pytest.approx({"cxr": (0.1 + 0.1) / 2, "ehr": (0.3 + 0.3) / 2})


def test_one_modality_gets_all() -> None:
    assert shapley(table({"ehr": 0.8})) == pytest.approx({"ehr": 0.3})


def test_what_an_error_is_worth_without_any_modality_must_be_said() -> None:
    errors = table({"ehr": 2.0}).rename({"auroc": "mae"})
    with pytest.raises(InputError, match="'mae' need `empty`"):
        shapley(errors, "mae")
    assert shapley(errors, "mae", empty=3.0) == pytest.approx({"ehr": -1.0})
    with pytest.raises(InputError, match="column of the scores"):
        shapley(errors, "auroc")


def test_gains_that_add_up_are_the_values() -> None:
    gains = {"a": 0.1, "b": 0.25, "c": 0.0, "d": -0.05}
    game = {name: 0.5 + sum(gains[m] for m in name.split("+")) for name in subsets("abcd")}
    assert shapley(table(game)) == pytest.approx(gains)


@given(GAMES)
def test_the_values_sum_to_the_whole_less_chance(game: dict[str, float]) -> None:
    assert sum(shapley(table(game)).values()) == pytest.approx(game["a+b+c"] - 0.5)


@given(GAMES)
def test_it_is_the_mean_gain_over_all_orders(game: dict[str, float]) -> None:
    values = {(): 0.5} | {tuple(name.split("+")): value for name, value in game.items()}
    gains: dict[str, list[float]] = {name: [] for name in "abc"}
    for order in permutations("abc"):
        for place, name in enumerate(order):
            before, after = (tuple(sorted(order[:end])) for end in (place, place + 1))
            gains[name].append(values[after] - values[before])
    assert shapley(table(game)) == pytest.approx({name: np.mean(each) for name, each in gains.items()}, abs=1e-12)


def test_gains_are_added_up_in_the_order_of_names() -> None:
    """To the last digit: that of a set changes from process to process."""
    rng = np.random.default_rng(0)
    game = {name: float(rng.random()) for name in subsets("abcde")}
    value, found = {"": 0.5, **game}, shapley(table(game))
    for name in "abcde":
        others, total = sorted(set("abcde") - {name}), 0.0
        for size in range(5):
            share = factorial(size) * factorial(4 - size) / factorial(5)
            for before in combinations(others, size):
                total += share * (value["+".join(sorted([*before, name]))] - value["+".join(before)])
        assert found[name] == total


@given(st.floats(0, 1), st.floats(0, 1))
def test_who_never_adds_anything_gets_nothing_and_twins_get_the_same(single: float, pair: float) -> None:
    game = {"a": single, "b": single, "c": 0.5, "a+b": pair, "a+c": single, "b+c": single, "a+b+c": pair}
    values = shapley(table(game))
    assert values["c"] == pytest.approx(0.0, abs=1e-12)
    assert values["a"] == pytest.approx(values["b"])


def test_the_game_is_played_on_the_complete_samples(scores: pl.DataFrame) -> None:
    full = scores.filter(combination=NAMES[-1])["auroc"][0]
    assert sum(shapley(scores).values()) == pytest.approx(full - 0.5)
    spoilt = scores.with_columns(auroc=pl.when(among="available").then(0.0).otherwise("auroc"))
    assert shapley(spoilt) == shapley(scores)


def test_another_measure_begins_where_it_is_told() -> None:
    game = table({"a": 0.3, "b": 0.4, "a+b": 0.6}).rename({"auroc": "auprc"})
    assert sum(shapley(game, "auprc", empty=0.2).values()) == pytest.approx(0.4)


def test_a_combination_without_a_value_is_refused() -> None:
    with pytest.raises(InputError, match="auroc of every combination"):
        shapley(table({"a": 0.3, "b": None, "a+b": 0.6}))
