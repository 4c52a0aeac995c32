"""What does not fit together is neither written nor read, and `verify` finds it: names and columns, times, items."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import (
    Column,
    CorruptCacheError,
    FeatureCache,
    InputError,
    ModalitySpec,
    StagedCache,
    Task,
    verification_text,
    verify_cache,
)
from omnifuse.cache_schema.manifest import Manifest, describe_tree, write_manifest

TWO = (Column("a"), Column("b"))
NO_TIME = np.full(3, np.nan, np.float32)


def stage(path: Path) -> StagedCache:
    samples = pl.DataFrame({"sample_id": [1, 2], "subject_id": [1, 2]})
    nothing = pl.DataFrame({"reason": pl.Series([], dtype=pl.String)})
    return StagedCache(path, "toy", {}).add_samples(samples).add_quarantine(nothing, nothing)


def series(**changes: Any) -> dict[str, Any]:
    """Arguments of `add_modality` for two rows of the first sample and one of the second, two columns each."""
    arguments = {
        "spec": ModalitySpec("ehr", "timeseries", "bin", {}, TWO),
        "lengths": np.array([2, 1]),
        "dim": 2,
        "blocks": [np.zeros((3, 2), np.float32)],
        "time": NO_TIME,
    }
    return arguments | changes


ITEMS = {
    "item_id": ["x", "y"],
    "sample": [0, 1],
    "first_row": [0, 2],
    "rows": [2, 1],
    "time": [None, 1.0],
    "digest": ["d", "e"],
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spec": ModalitySpec("ehr", "timeseries", "bin", {}, (*TWO, Column("c")))}, "3 column names for 2 columns"),
        ({"spec": ModalitySpec("ehr", "features", "row", {})}, "0 column names for 2 columns"),
        ({"dim": 3}, "2 column names for 3 columns"),
        ({"time": NO_TIME[:2]}, r"values of shape \(3, 2\), times \(2,\)"),
        ({"lengths": np.array([2, 1, 0])}, r"offsets \(4,\) for 2 samples"),
        ({"lengths": np.array([4, -1])}, "sample with -1 rows"),
        ({"blocks": [np.zeros((3, 1), np.float32)]}, r"announced 2 columns and gave rows of \(1,\)"),
        ({"blocks": [np.zeros((2, 2), np.float32)]}, "announced 3 rows and gave 2"),
        ({"items": pl.DataFrame(ITEMS).drop("digest")}, "items of 'ehr' have no column digest"),
        ({"items": pl.DataFrame(ITEMS | {"sample": [0, 2]})}, "Item 1 of 'ehr' has rows that are not those of its"),
        ({"items": pl.DataFrame(ITEMS | {"first_row": [1, 2]})}, "Item 0 of 'ehr' has rows that are not those of its"),
    ],
)
def test_a_modality_whose_parts_do_not_fit_is_not_written(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        stage(tmp_path / "cache").add_modality(**series(**changes))


def test_a_modality_whose_parts_fit_is_written(tmp_path: Path) -> None:
    stage(tmp_path / "cache").add_modality(**series(items=pl.DataFrame(ITEMS))).commit({})
    assert FeatureCache.open(tmp_path / "cache").modality("ehr").values.shape == (3, 2)


def labels(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Task("t", "binary", ("d",), labels(0, 1, 1)), "'t' describes 3 samples; the cache has 2"),
        (Task("t", "binary", ("d",), labels(0, 2)), r"'t' \(binary\) has the label 2; known are 0 to 1"),
        (Task("t", "multiclass", ("a", "b", "c"), labels(np.nan, 3)), "has the label 3; known are 0 to 2"),
        (
            Task("t", "binary", ("d",), labels(0, 1, 1), sample=np.array([0, 1]), time=np.zeros(3, np.float32)),
            "3 labels for 2 samples and 3 times",
        ),
        (
            Task("t", "binary", ("d",), labels(0, 1), sample=np.array([0, 2]), time=np.zeros(2, np.float32)),
            "names samples that the cache of 2 does not have",
        ),
    ],
)
def test_a_task_whose_parts_do_not_fit_is_not_written(tmp_path: Path, task: Task, message: str) -> None:
    with pytest.raises(InputError, match=message):
        stage(tmp_path / "cache").add_task(task)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"sample_id": [1, 3], "part": ["train", "test"]}, "names samples that the cache does not have"),
        ({"sample_id": ["1"], "part": ["train"]}, "names samples that the cache does not have"),
        ({"sample_id": [1, 1], "part": ["train", "test"]}, "names a sample twice"),
        ({"sample_id": [1]}, "has no column part"),
    ],
)
def test_a_split_of_other_samples_is_not_written(tmp_path: Path, split: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        stage(tmp_path / "cache").add_split("s", pl.DataFrame(split))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "zarr.json", "nul\0", "é" * 101])
def test_a_name_that_zarr_or_the_file_system_would_change_is_refused(tmp_path: Path, name: str) -> None:
    staged = stage(tmp_path / "cache")
    additions: list[Callable[[], object]] = [
        lambda: staged.add_modality(**series(spec=ModalitySpec(name, "timeseries", "bin", {}, TWO))),
        lambda: staged.add_task(Task(name, "binary", ("d",), labels(0, 1))),
        lambda: staged.add_split(name, pl.DataFrame({"sample_id": [1], "part": ["test"]})),
        lambda: staged.add_counts(pl.DataFrame({name: [1]})),
    ]
    for add in additions:
        with pytest.raises(InputError, match=r"cannot be stored under this name"):
            add()


@pytest.mark.parametrize("name", ["a b", "é*?[1]{2}", "new\nline", "'\"", "c", "values", "%2F", "丙" * 66])
def test_any_other_name_comes_back(tmp_path: Path, name: str) -> None:
    staged = stage(tmp_path / "cache").add_task(Task(name, "binary", ("d",), labels(0, 1)))
    staged.add_modality(**series(spec=ModalitySpec(name, "timeseries", "bin", {}, TWO)))
    staged.add_split(name, pl.DataFrame({"sample_id": [1], "part": ["test"]}))
    staged.add_counts(pl.DataFrame({name: [1, None]})).commit({})
    cache = FeatureCache.open(tmp_path / "cache")
    assert (cache.modalities, cache.tasks, list(cache.splits)) == ((name,), (name,), [name])
    assert cache.modality(name).values.shape == (3, 2) and cache.task(name).y.tolist() == [[0], [1]]
    assert cache.counts.to_dict(as_series=False) == {name: [1, None]}
    assert verify_cache(tmp_path / "cache").passed


def written_before_it_was_refused(path: Path) -> None:
    """Leave a cache with three column names over two columns of values, checksums right."""
    stage(path).add_modality(**series()).add_task(Task("t", "binary", ("d",), labels(0, 1))).commit({})
    metadata = path / "modalities/ehr/zarr.json"
    content = json.loads(metadata.read_text())
    columns = content["attributes"]["omnifuse"]["columns"]
    columns.append({**columns[0], "name": "c"})
    metadata.write_text(json.dumps(content))
    write_manifest(path, Manifest(describe_tree(path)))


def test_what_was_written_before_is_refused_by_readers_and_found_by_verify(tmp_path: Path) -> None:
    written_before_it_was_refused(tmp_path / "cache")
    cache = FeatureCache.open(tmp_path / "cache")
    for read in (cache.modality, cache.modality_spec, cache.rows, cache.times, cache.offsets, cache.dim, cache.items):
        with pytest.raises(CorruptCacheError, match=r"'ehr' has 3 column names for 2 columns of values\. To lay"):
            read("ehr")
    assert cache.task("t").y.tolist() == [[0], [1]]
    result = verify_cache(tmp_path / "cache")
    assert [finding.file for finding in result.findings] == ["modalities/ehr"]
    assert "modalities/ehr does not fit together: Modality 'ehr' has 3 column names" in verification_text(result)
