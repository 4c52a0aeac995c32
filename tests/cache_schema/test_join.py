"""Caches of two hospitals as one: every sample keeps its rows, times, labels and items, and what differs is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import (
    FeatureCache,
    InputError,
    ModalitySpec,
    StagedCache,
    Task,
    join_caches,
    verify_cache,
)
from omnifuse.cache_schema import (
    join as joining,
)

EAST, WEST = "east", "west"


def finished(staged: StagedCache) -> FeatureCache:
    """Commit a cache of which nothing was left out."""
    texts = {name: pl.Series([], dtype=pl.String) for name in ("stage", "source", "where", "value", "reason")}
    numbers = pl.DataFrame({**texts, "count": pl.Series([], dtype=pl.Int64)}).drop("where", "value")
    staged.add_quarantine(pl.DataFrame(texts), numbers).commit({})
    return FeatureCache.open(staged.path)


@pytest.fixture
def east(staged: Callable[..., StagedCache], tmp_path: Path) -> FeatureCache:
    """The toy cache: samples 10, 20, 30."""
    staged(tmp_path / EAST).commit({})
    return FeatureCache.open(tmp_path / EAST)


@pytest.fixture
def west(staged: Callable[..., StagedCache], tmp_path: Path) -> FeatureCache:
    """Another hospital with the same numbers of patients and other values."""
    staged(tmp_path / WEST, np.full((5, 4), 7, np.float16)).commit({})
    return FeatureCache.open(tmp_path / WEST)


def test_every_sample_keeps_what_it_had(east: FeatureCache, west: FeatureCache, tmp_path: Path) -> None:
    said = join_caches({EAST: east, WEST: west}, tmp_path / "both")
    both = FeatureCache.open(tmp_path / "both")
    assert (said.samples, said.left_out) == ({EAST: 3, WEST: 3}, ())
    assert both.samples["sample_id"].to_list() == [f"{at}-{n}" for at in (EAST, WEST) for n in (10, 20, 30)]
    assert both.samples["subject_id"].to_list() == ["east-x", "east-y", "east-y", "west-x", "west-y", "west-y"]
    assert both.samples["site"].to_list() == [EAST] * 3 + [WEST] * 3
    for place, cache, first in ((EAST, east, 0), (WEST, west, 3)):
        for name in ("rep", "ehr"):
            for sample in range(3):
                np.testing.assert_array_equal(both.modality(name)[first + sample], cache.modality(name)[sample], place)
    np.testing.assert_array_equal(both.task("mortality").y, np.concatenate([east.task("mortality").y] * 2))
    assert both.task("mortality").counts == (("adults", 6), ("48 h", 4))
    chosen = both.task_inputs("mortality", ["rep"])["rep"]
    np.testing.assert_array_equal(chosen[0], east.task_inputs("mortality", ["rep"])["rep"][0])
    assert both.splits["published"]["part"].to_list() == ["train", "train", "test"] * 2
    assert both.quarantine_counts["source"].to_list() == ["east: t.csv", "west: t.csv"]
    assert verify_cache(both.path).passed


def test_one_number_is_two_patients_unless_said_otherwise(
    east: FeatureCache, west: FeatureCache, tmp_path: Path
) -> None:
    two = join_caches({EAST: east, WEST: west}, tmp_path / "two")
    assert (two.patients_in_several, two.ids_in_several) == (0, 2)
    assert "2 subject_ids are in several of them, and taken for different people" in str(two)
    one = join_caches({EAST: east, WEST: west}, tmp_path / "one", shared_patients=True)
    assert (one.patients_in_several, one.ids_in_several) == (2, 0)
    assert FeatureCache.open(tmp_path / "one").samples["subject_id"].to_list() == ["x", "y", "y"] * 2


def test_what_is_not_made_alike_is_named_and_nothing_is_left_behind(
    east: FeatureCache, staged: Callable[..., StagedCache], tmp_path: Path
) -> None:
    def other(name: str, task: Task | None = None, **ehr: object) -> FeatureCache:
        path = tmp_path / name
        cache = StagedCache(path, "toy", {}).add_samples(pl.DataFrame({"sample_id": [1], "subject_id": [1]}))
        spec = ModalitySpec("ehr", "timeseries", "2-hour bin", **{"recipe": {"bin_hours": 2.0}, **ehr})  # type: ignore[arg-type]
        columns = len(spec.columns)
        cache.add_modality(spec, np.array([0]), columns, [np.empty((0, columns), np.float32)], np.empty(0, np.float32))
        cache.add_task(task or Task("mortality", "binary", ("died",), np.zeros((1, 1), np.float32), 48.0))
        return finished(cache)

    columns = east.modality_spec("ehr").columns
    refused = {
        "bin_hours: 2.0 -> 1.0": other("bins", recipe={"bin_hours": 1.0}, columns=columns),
        "columns: without": other("columns", columns=columns[:1]),
        r"'mortality' is not the same.*\n.*select": other("select", columns=columns),
        "No task is in all": other(
            "tasks", Task("other", "binary", ("died",), np.zeros((1, 1), np.float32)), columns=columns
        ),
    }
    for message, cache in refused.items():
        with pytest.raises(InputError, match=message):
            join_caches({EAST: east, "other": cache}, tmp_path / "out")
    with pytest.raises(InputError, match=r"column 'age' already.*--column"):
        join_caches({EAST: east, WEST: east}, tmp_path / "out", column="age")
    with pytest.raises(InputError, match="every patient would be there twice"):
        join_caches({EAST: east, WEST: east}, tmp_path / "out")
    with pytest.raises(InputError, match="at least two"):
        join_caches({EAST: east}, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


def test_predictions_at_many_times_and_modalities_that_one_place_has(east: FeatureCache, tmp_path: Path) -> None:
    caches = {}
    for place, first in (("a", 5), ("b", 1)):
        staged = StagedCache(tmp_path / place, "toy", {})
        staged.add_samples(pl.DataFrame({"sample_id": [first, first + 10], "subject_id": [1, 2]}))
        if place == "a":
            spec = ModalitySpec("rep", "embedding", "token", {})
            staged.add_modality(spec, np.array([0, 1]), 1, [np.ones((1, 1), np.float16)], np.zeros(1, np.float32))
        y, sample, time = np.array([[0], [1], [0]]), np.array([1, 0, 1]), np.array([4, 2, 8])
        staged.add_task(
            Task("risk", "binary", ("r",), y.astype(np.float32), sample=sample, time=time.astype(np.float32) + first)
        )
        staged.add_task(Task(f"only_{place}", "binary", ("r",), np.zeros((2, 1), np.float32)))
        caches[place] = finished(staged)
    said = join_caches(caches, tmp_path / "both")
    both = FeatureCache.open(tmp_path / "both")
    assert said.left_out == ("task only_a", "task only_b")
    assert both.samples["sample_id"].to_list() == ["a-15", "a-5", "b-1", "b-11"]  # in the order of texts
    risk = both.task("risk")
    assert risk.sample is not None and risk.time is not None
    assert risk.sample.tolist() == [0, 0, 1, 2, 3, 3]
    assert risk.time.tolist() == [9, 13, 7, 3, 5, 9]
    assert risk.y[:, 0].tolist() == [0, 0, 1, 1, 0, 0]
    assert both.modality("rep").present.tolist() == [True, False, False, False]


@settings(max_examples=5, deadline=None)
@given(lengths=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=30), min_size=2, max_size=3))
def test_rows_are_those_of_their_sample_however_they_are_cut(
    lengths: list[list[int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, caches, expected, value = tmp_path_factory.mktemp("join"), {}, {}, 0
    for number, of_samples in enumerate(lengths):
        ids = [3 * sample + number for sample in range(len(of_samples))]
        rows = np.arange(value, value + sum(of_samples), dtype=np.float32)[:, None]
        value += len(rows)
        cuts = np.cumsum(of_samples)[:-1]
        expected |= {
            f"p{number}-{one}": part[:, 0].tolist() for one, part in zip(ids, np.split(rows, cuts), strict=True)
        }
        staged = StagedCache(folder / f"p{number}", "toy", {})
        staged.add_samples(pl.DataFrame({"sample_id": ids, "subject_id": ids}))
        spec = ModalitySpec("ehr", "embedding", "row", {})
        staged.add_modality(spec, np.array(of_samples), 1, [rows], rows[:, 0])
        staged.add_task(Task("t", "binary", ("t",), np.zeros((len(ids), 1), np.float32)))
        caches[f"p{number}"] = finished(staged)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joining, "ROWS_COPIED", 7)
        join_caches(caches, folder / "all")
    joined = FeatureCache.open(folder / "all").modality("ehr")
    ids = FeatureCache.open(folder / "all").samples["sample_id"]
    assert {one: joined[place][:, 0].tolist() for place, one in enumerate(ids)} == expected
    np.testing.assert_array_equal(joined.time, joined.values[:, 0].astype(np.float32))
