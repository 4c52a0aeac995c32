"""A modality read when it is needed: the same values, chunk by chunk, and never from a cache that changed."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omnifuse.cache_schema import (
    CacheChangedError,
    CorruptCacheError,
    FeatureCache,
    InputError,
    ModalitySpec,
    StagedCache,
    layout,
)

from .conftest import EHR_TIME, ehr_values, report_values

xarray: Any = pytest.importorskip("xarray")


@pytest.fixture
def chunked(tmp_path: Path, staged: Callable[..., StagedCache], monkeypatch: pytest.MonkeyPatch) -> FeatureCache:
    """The toy cache with two rows of reports a stored chunk, one chunk a task."""
    monkeypatch.setattr(layout, "CHUNK_BYTES", 16)
    monkeypatch.setattr("omnifuse.cache_schema.lazy.CHUNKS_A_TASK", 1)
    staged(tmp_path / "cache").commit({})
    return FeatureCache.open(tmp_path / "cache")


def test_an_array_has_the_values_and_whole_stored_chunks(chunked: FeatureCache) -> None:
    array = chunked.to_dask("rep")
    assert (array.dtype, array.shape, array.chunks) == (np.float16, (5, 4), ((2, 2, 1), (4,)))
    np.testing.assert_array_equal(array.compute(), report_values())
    np.testing.assert_array_equal(chunked.to_dask("ehr").compute(), ehr_values())


def test_several_stored_chunks_make_a_task(chunked: FeatureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omnifuse.cache_schema.lazy.CHUNKS_A_TASK", 2)
    assert chunked.to_dask("rep").chunks == ((4, 1), (4,))


def test_nothing_is_read_before_it_is_computed_and_then_only_what_is_needed(chunked: FeatureCache) -> None:
    chunks = chunked.path / "modalities/rep/values/c"
    for number in (0, 2):
        (chunks / f"{number}/0").unlink()
    array, data = chunked.to_dask("rep"), chunked.to_xarray("rep")
    assert array[2:3, 1].compute(scheduler="synchronous").tolist() == [9]
    assert data["values"][3].values.tolist() == [12, 13, 14, 15]
    for row in (0, 4):
        with pytest.raises(CorruptCacheError, match="is missing"):
            array[row].compute(scheduler="synchronous")


def test_a_modality_without_rows_is_an_empty_array(tmp_path: Path, staged: Callable[..., StagedCache]) -> None:
    void = ModalitySpec("void", "embedding", "token", {})
    no_rows = np.zeros(3, np.int64), 7, [], np.empty(0, np.float32)
    staged(tmp_path / "cache").add_modality(void, *no_rows).commit({})
    array = FeatureCache.open(tmp_path / "cache").to_dask("void")
    assert (array.shape, array.compute().shape) == ((0, 7), (0, 7))


def test_damage_and_change_are_noticed_when_computing(chunked: FeatureCache) -> None:
    array = chunked.to_dask("rep")
    (chunked.path / "modalities/rep/values/c/1/0").unlink()
    with pytest.raises(CorruptCacheError, match="is missing"):
        array.compute(scheduler="synchronous")
    (chunked.path / "manifest.json").write_text("{}")
    with pytest.raises(CacheChangedError, match="was changed after it was opened"):
        array.compute(scheduler="synchronous")


def test_an_array_goes_to_other_processes(chunked: FeatureCache) -> None:
    found = chunked.to_dask("rep").compute(scheduler="processes", num_workers=1)
    np.testing.assert_array_equal(found, report_values())


def test_a_data_set_is_a_contiguous_ragged_array(chunked: FeatureCache) -> None:
    data = chunked.to_xarray("ehr")
    assert data.sizes == {"row": 5, "column": 2, "sample": 3}
    assert data["row_size"].attrs["sample_dimension"] == "row"
    assert data["row_size"].values.tolist() == [3, 2, 0]
    np.testing.assert_array_equal(data["values"].values, ehr_values())
    np.testing.assert_array_equal(data["time"].values, EHR_TIME)
    assert data["sample_id"].values.tolist() == [10, 20, 30]
    assert data["column"].values.tolist() == ["Heart Rate", "mask"]
    assert data["role"].values.tolist() == ["value", "mask"]
    assert data.sel(column="mask")["values"].values.tolist() == ehr_values()[:, 1].tolist()
    assert (data.attrs["kind"], data.attrs["recipe"]) == ("timeseries", '{"bin_hours": 2.0}')


def test_columns_of_embeddings_are_numbered(chunked: FeatureCache) -> None:
    assert chunked.to_xarray("rep")["column"].values.tolist() == [0, 1, 2, 3]


def test_a_missing_package_is_named(cache_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)  # as if it were not installed
    with pytest.raises(InputError, match=r"needs the package xarray: pip install 'omnifuse\[xarray\]'"):
        FeatureCache.open(cache_path).to_xarray("rep")


def test_an_unknown_modality_is_refused(cache_path: Path) -> None:
    with pytest.raises(InputError, match=r"Unknown modality 'ct'\. Known are: ehr, rep"):
        FeatureCache.open(cache_path).to_xarray("ct")
