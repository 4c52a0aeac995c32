"""Maps of embeddings: encoded and imputed ones of the same test samples, and how alike they are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.explain.embedding_map import EmbeddingMap, embedding_map
from omnifuse.fusion.methods.omnifuse.method import OmniFuse
from omnifuse.fusion.runs.replay import Replay
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config

ToyCache = Callable[..., Path]


def new_replay(cache: Path, run: Path, method: str, *overrides: str) -> Replay:
    train(cache, make_config(method, overrides=["fit.epochs=1", "folds=2", *overrides]), run)
    return Replay.open(run)


@pytest.fixture(scope="module")
def cache(toy_cache: ToyCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_cache(tmp_path_factory.mktemp("map") / "cache", samples=80)


@pytest.fixture(scope="module")
def replay(cache: Path) -> Replay:
    return new_replay(cache, cache.parent / "run", "omnifuse")


@pytest.fixture(scope="module")
def mapped(replay: Replay) -> EmbeddingMap:
    return embedding_map(replay, samples=10)


def able(replay: Replay) -> np.ndarray:
    """Return which test samples of the first fold have a modality beside another, [n, M]."""
    presence = replay.presence[replay.fold == 0]
    return presence & (presence.sum(1, keepdims=True) > 1)


def test_each_sample_has_an_encoded_and_an_imputed_point_in_the_map_of_each_modality(mapped: EmbeddingMap) -> None:
    points = mapped.points
    assert points.columns == ["modality", "sample", "kind", "x", "y"]
    assert points["modality"].unique(maintain_order=True).to_list() == ["ehr", "rep", "static"]
    assert (
        points.group_by("modality", "sample").agg(pl.col("kind").sort())["kind"].to_list()
        == [["encoded", "imputed"]] * 30
    )
    assert set(points["sample"]) == set(range(10))
    assert points.select(pl.col("x", "y").is_finite().all()).row(0) == (True, True)


def test_similarity_is_over_all_test_samples_that_could_lose_the_modality(mapped: EmbeddingMap, replay: Replay) -> None:
    assert mapped.similarity["samples"].to_list() == able(replay).sum(0).tolist()
    fold = replay.model(0)
    assert isinstance(fold.method, OmniFuse)
    with torch.no_grad():
        encoded, imputed = (
            part.numpy()[:, 1] for part in fold.method.imputed_embeddings(fold.inputs.batch(fold.tested))
        )
    who = able(replay)[:, 1]
    norm = np.linalg.norm
    cosines = (encoded * imputed).sum(1) / norm(encoded, axis=1) / norm(imputed, axis=1)
    assert mapped.similarity["cosine"][1] == pytest.approx(cosines[who].mean(), rel=1e-4)


def test_an_imputed_embedding_does_not_read_what_it_stands_for(replay: Replay) -> None:
    fold = replay.model(0)
    assert isinstance(fold.method, OmniFuse)
    without = fold.inputs.without(["rep"])
    with torch.no_grad():
        encoded, imputed = fold.method.imputed_embeddings(fold.inputs.batch(fold.tested))
        blind = fold.method.imputed_embeddings(without.batch(fold.tested))[1]
    torch.testing.assert_close(imputed[:, 1], blind[:, 1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(encoded[:, 1], imputed[:, 1])


def test_the_map_depends_on_the_seed_alone(mapped: EmbeddingMap, replay: Replay) -> None:
    again, other = (embedding_map(replay, "rep", samples=10, seed=seed) for seed in (0, 1))
    assert again.points.equals(mapped.points.filter(modality="rep"))
    assert again.similarity.equals(mapped.similarity.filter(modality="rep")) and other.similarity.equals(
        again.similarity
    )
    assert not other.points.equals(again.points)


@pytest.mark.parametrize(("method", "overrides"), [("concat", ()), ("omnifuse", ("options.imputation=none",))])
def test_where_nothing_is_imputed_there_is_no_map(
    method: str, overrides: tuple[str, ...], cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="imputes no embeddings"):
        embedding_map(new_replay(cache, tmp_path / "run", method, *overrides))


def test_an_unknown_modality_lists_the_known(replay: Replay) -> None:
    with pytest.raises(InputError, match=r"no modality 'mri' in .*; there are: ehr, rep, static"):
        embedding_map(replay, "mri")


def test_too_few_samples_make_no_map(cache: Path, tmp_path: Path) -> None:
    alone = new_replay(cache, tmp_path / "run", "omnifuse", "modalities=static")
    with pytest.raises(InputError, match="fewer than 5 samples with static and another"):
        embedding_map(alone)
