"""A cache gives back what was put in, refuses what it cannot vouch for, and can be read without OmniFuse."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import (
    CacheChangedError,
    CacheNotFoundError,
    CorruptCacheError,
    FeatureCache,
    InputError,
    StagedCache,
    Task,
    UnknownVersionError,
    cache_text,
    describe_cache,
)
from omnifuse.cache_schema.manifest import Manifest, describe_tree, write_manifest
from omnifuse.cache_schema.table import column_frame, write_table

from .conftest import EHR_TIME, ehr_values, report_values


def test_everything_comes_back_as_it_was_written(cache_path: Path) -> None:
    cache = FeatureCache.open(cache_path)
    assert (cache.dataset, cache.modalities, cache.tasks) == ("toy", ("ehr", "rep"), ("mortality",))
    assert cache.samples.to_dict(as_series=False) == {
        "sample_id": [10, 20, 30],
        "subject_id": ["x", "y", "y"],
        "age": [60.5, None, 41.0],
    }
    reports = cache.modality("rep")
    assert reports.values.dtype == np.float16
    np.testing.assert_array_equal(reports.values, report_values())
    assert reports.lengths.tolist() == [2, 0, 3]
    assert reports.items is not None and reports.items["view_position"].to_list() == ["AP", "PA", None]
    ehr = cache.modality("ehr")
    np.testing.assert_array_equal(ehr.values, ehr_values())
    np.testing.assert_array_equal(ehr.time, EHR_TIME)
    assert [column.role for column in ehr.columns] == ["value", "mask"]
    task = cache.task("mortality")
    np.testing.assert_array_equal(task.y, [[0], [1], [np.nan]])
    assert task.counts == (("adults", 3), ("48 h", 2))
    assert cache.splits["published"]["part"].to_list() == ["train", "train", "test"]
    assert cache.quarantine_counts["count"].to_list() == [7]
    assert cache.quarantine["reason"].to_list() == ["bad"]


def test_a_title_comes_back_and_changes_no_array(cache_path: Path, tmp_path: Path) -> None:
    plain = FeatureCache.open(cache_path)
    assert (plain.task("mortality").title, plain.modality_spec("rep").title) == (None, None)
    titled = (
        StagedCache(tmp_path / "titled", "toy", {"omnifuse": "0"})
        .add_samples(plain.samples)
        .add_task(replace(plain.task("mortality"), title="in-hospital mortality"))
    )
    rep = plain.modality("rep")
    titled.add_modality(
        replace(rep.spec, title="radiology reports"), rep.lengths, rep.dim, [rep.values], rep.time, rep.items
    )
    titled.commit({})
    cache = FeatureCache.open(tmp_path / "titled")
    assert cache.task("mortality").title == "in-hospital mortality"
    assert cache.modality_spec("rep").title == "radiology reports"
    for path, node in cache.manifest.nodes.items():
        if node.kind == "array":
            assert node.files == plain.manifest.nodes[path].files


def test_a_missing_modality_has_no_rows(cache_path: Path) -> None:
    cache = FeatureCache.open(cache_path)
    assert cache.modality("rep")[1].shape == (0, 4)
    assert cache.modality("ehr").present.tolist() == [True, True, False]


def test_task_inputs_keep_the_last_item_inside_the_window(cache_path: Path) -> None:
    cache = FeatureCache.open(cache_path)
    reports = cache.task_inputs("mortality")["rep"]
    np.testing.assert_array_equal(reports[0], report_values()[:2])
    np.testing.assert_array_equal(reports[2], report_values()[2:4])  # the item at hour 50 is after the window


def test_ten_lines_of_plain_zarr_read_the_same_embeddings(cache_path: Path) -> None:
    root = zarr.open_group(cache_path, mode="r")
    offsets = root["modalities/rep/offsets"][:]
    values = root["modalities/rep/values"][:]
    ids = root["samples/sample_id"][:]
    mine = {int(sample): values[start:end] for sample, start, end in zip(ids, offsets, offsets[1:], strict=False)}
    theirs = FeatureCache.open(cache_path).modality("rep")
    for index, sample in enumerate(ids):
        np.testing.assert_array_equal(mine[int(sample)], theirs[index])


def test_importing_the_cache_does_not_import_torch() -> None:
    import subprocess
    import sys

    code = "import sys, omnifuse.cache_schema; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_to_torch_gives_labelled_samples_and_collates(cache_path: Path) -> None:
    from omnifuse.cache_schema.torch_dataset import collate

    data = FeatureCache.open(cache_path).to_torch("mortality")
    assert data.index.tolist() == [0, 1]
    batch = collate([data[0], data[1]])
    assert batch["rep"].shape == (2, 2, 4)
    assert batch["rep_mask"].tolist() == [[True, True], [False, False]]
    assert batch["y"].tolist() == [[0.0], [1.0]]


def test_a_long_task_is_described_and_its_inputs_are_refused(
    tmp_path: Path, staged: Callable[..., StagedCache]
) -> None:
    """Its inputs are other ones at every prediction time: whoever took the task's window would see the future."""
    sample, time = np.array([0, 0, 2]), np.array([5, 6, 5], dtype=np.float32)
    y = np.array([[0], [1], [0]], dtype=np.float32)
    task = Task("near", "binary", ("died",), y, counts=(("predictions", 3),), sample=sample, time=time)
    staged(tmp_path / "cache").add_task(task).commit({})
    cache = FeatureCache.open(tmp_path / "cache")
    read = cache.task("near")
    assert read.long and not cache.task("mortality").long
    np.testing.assert_array_equal(read.sample, sample)
    np.testing.assert_array_equal(read.time, time)
    text = cache_text(describe_cache(cache, ()))
    assert "task near (binary, rows up to each time, 3 predictions of 2 samples, 1 positive)" in text
    for use in (cache.task_inputs, cache.to_torch):
        with pytest.raises(InputError, match=r"'near' predicts at several times a sample.*`sample` and `time`"):
            use("near")


def test_counts_stand_beside_the_published_ones(tmp_path: Path, staged: Callable[..., StagedCache]) -> None:
    counts = pl.DataFrame(
        {
            "scope": ["cohort", "cohort"],
            "step": ["adults", "adults"],
            "unit": ["stays", "subjects"],
            "count": [42276, 5],
            "published": [42276, None],
            "source": ["someone", None],
        }
    )
    staged(tmp_path / "cache").add_counts(counts).commit({})
    cache = FeatureCache.open(tmp_path / "cache")
    assert cache.counts.equals(counts)
    lines = cache_text(describe_cache(cache, ())).splitlines()
    source = lines.index("  published: someone")
    assert lines[source - 2].split() == ["counts", "here", "published"]
    assert lines[source - 1].split() == ["cohort,", "adults,", "stays", "42,276", "42,276"]


def test_supplied_splits_are_described(cache_path: Path) -> None:
    assert "split published: 2 train, 1 test" in cache_text(describe_cache(FeatureCache.open(cache_path), ()))


def test_a_cache_without_counts_has_none(cache_path: Path) -> None:
    cache = FeatureCache.open(cache_path)
    assert cache.counts.is_empty() and describe_cache(cache, ())["counts"] == []


@pytest.mark.parametrize("name", ["modality", "task"])
def test_an_unknown_name_lists_what_exists(cache_path: Path, name: str) -> None:
    cache = FeatureCache.open(cache_path)
    known = {"modality": "ehr, rep", "task": "mortality"}[name]
    with pytest.raises(InputError, match=f"Unknown {name} 'ct'. Known are: {known}"):
        getattr(cache, name)("ct")


def test_no_cache_a_foreign_folder_and_an_incomplete_cache_are_told_apart(cache_path: Path, tmp_path: Path) -> None:
    with pytest.raises(CacheNotFoundError, match="There is no cache at"):
        FeatureCache.open(tmp_path / "nothing")
    (tmp_path / "photos").mkdir()
    with pytest.raises(CacheNotFoundError, match="is not an OmniFuse cache"):
        FeatureCache.open(tmp_path / "photos")
    (cache_path / "manifest.json").unlink()
    with pytest.raises(CacheNotFoundError, match="is incomplete"):
        FeatureCache.open(cache_path)


def test_an_unknown_version_is_refused(cache_path: Path) -> None:
    manifest = json.loads((cache_path / "manifest.json").read_text())
    manifest["schema_version"] = 99
    (cache_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        UnknownVersionError, match=r"version 99; this OmniFuse reads versions 1 and 2\. Update OmniFuse"
    ):
        FeatureCache.open(cache_path)


def test_an_unknown_element_version_is_refused(cache_path: Path) -> None:
    metadata = cache_path / "modalities/rep/zarr.json"
    metadata.write_text(metadata.read_text().replace('"element_version": 1', '"element_version": 7'))
    write_manifest(cache_path, Manifest(describe_tree(cache_path)))
    with pytest.raises(UnknownVersionError, match="version 7"):
        FeatureCache.open(cache_path).modality("rep")


def test_arrays_that_the_manifest_does_not_list_are_invisible(cache_path: Path) -> None:
    zarr.open_group(cache_path, mode="r+").create_group("modalities/foreign")
    assert FeatureCache.open(cache_path).modalities == ("ehr", "rep")


def test_a_deleted_chunk_is_an_error_and_not_a_block_of_nan(cache_path: Path) -> None:
    (cache_path / "modalities/rep/values/c/0/0").unlink()
    with pytest.raises(CorruptCacheError, match="values/c/0/0 is missing"):
        FeatureCache.open(cache_path).modality("rep")


def test_a_flipped_bit_is_an_error(cache_path: Path) -> None:
    for array in ("modalities/rep/values/c/0/0", "modalities/ehr/values/c/0/0"):
        flip(cache_path / array)
    for name in ("rep", "ehr"):
        with pytest.raises(CorruptCacheError, match=r"values/c/0/0 differs from what was written"):
            FeatureCache.open(cache_path).modality(name)


def test_a_cache_that_changed_while_open_says_so(cache_path: Path, staged: Callable[..., StagedCache]) -> None:
    cache = FeatureCache.open(cache_path)
    staged(cache_path, report_values() + 1).commit({})
    with pytest.raises(CacheChangedError, match="Open it again"):
        cache.modality("rep")


def test_values_that_do_not_add_up_are_refused(tmp_path: Path, staged: Callable[..., StagedCache]) -> None:
    with pytest.raises(InputError, match="'rep' announced 5 rows and gave 4"):
        staged(tmp_path / "cache", report_values()[:4])


@pytest.mark.parametrize(
    ("ids", "message"), [([2, 1], "sorted by sample_id"), ([1, 1], "Sample 1 occurs twice; sample ids must be unique")]
)
def test_samples_are_unique_and_sorted(tmp_path: Path, ids: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        StagedCache(tmp_path / "cache", "toy", {}).add_samples(pl.DataFrame({"sample_id": ids, "subject_id": ids}))


values_of_a_column = st.one_of(
    st.lists(st.none() | st.text(max_size=5), min_size=1).map(lambda v: pl.Series("c", v, dtype=pl.String)),
    st.lists(st.none() | st.integers(-(2**40), 2**40), min_size=1).map(lambda v: pl.Series("c", v, dtype=pl.Int64)),
    st.lists(st.none() | st.floats(width=32), min_size=1).map(lambda v: pl.Series("c", v, dtype=pl.Float32)),
    st.lists(st.none() | st.booleans(), min_size=1).map(lambda v: pl.Series("c", v, dtype=pl.Boolean)),
)


@given(values_of_a_column)
@settings(max_examples=40, deadline=None)
def test_any_column_survives_the_round_trip(column: pl.Series) -> None:
    group = write_table(zarr.create_group(store=zarr.storage.MemoryStore(), zarr_format=3), "t", column.to_frame())
    valid = group["c__valid"][:] if "c__valid" in group else None
    assert column_frame("c", np.asarray(group["c"][:]), valid).equals(column, null_equal=True)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
