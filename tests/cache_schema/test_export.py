"""A cache in other formats holds the same values, offsets, ids and labels, whole or not at all."""

import json
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import CacheLockedError, Column, FeatureCache, InputError, ModalitySpec, StagedCache, Task
from omnifuse.cache_schema.export import FORMATS
from omnifuse.cache_schema.export.cohort import cohort_table
from omnifuse.cache_schema.export.exported import find_export
from omnifuse.cache_schema.lock import cache_lock
from omnifuse.cli import main

from .conftest import EHR_TIME, ehr_values, report_values


def read_hdf5(path: Path) -> dict[str, np.ndarray]:
    arrays = {}
    with h5py.File(path) as file:

        def keep(name: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset):
                arrays[name] = np.asarray(node.asstr()[()] if h5py.check_string_dtype(node.dtype) else node[()])

        file.visititems(keep)
    return arrays


def read_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


ENDINGS = {"hdf5": ".h5", "npz": ".npz", "parquet": "", "mudata": ".h5mu", "xarray": ".zarr"}
UNUSUAL_NAMES = ("q[1]", "q*", "q?", "{q}", "a b", "a\"b'c", "a\nb", "größe 中", "a::b", "#q", "q%20")
READERS: Mapping[str, Callable[[Path], dict[str, np.ndarray]]] = {"hdf5": read_hdf5, "npz": read_npz}


@pytest.mark.parametrize("form", READERS)
def test_arrays_lie_where_they_lie_in_the_cache(cache_path: Path, tmp_path: Path, form: str) -> None:
    FeatureCache.open(cache_path).export(form, tmp_path / "out")
    arrays = READERS[form](tmp_path / "out")
    assert arrays["modalities/rep/values"].dtype == np.float16
    np.testing.assert_array_equal(arrays["modalities/rep/values"], report_values())
    assert arrays["modalities/rep/offsets"].tolist() == [0, 2, 2, 5]
    np.testing.assert_array_equal(arrays["modalities/ehr/values"], ehr_values())
    np.testing.assert_array_equal(arrays["modalities/ehr/time"], EHR_TIME)
    assert arrays["modalities/ehr/units"].tolist() == ["beats/min", ""]
    assert arrays["modalities/ehr/roles"].tolist() == ["value", "mask"]
    assert arrays["modalities/rep/items/view_position__valid"].tolist() == [True, True, False]
    assert arrays["samples/sample_id"].tolist() == [10, 20, 30]
    assert arrays["samples/mortality__valid"].tolist() == [True, True, False]
    np.testing.assert_array_equal(arrays["tasks/mortality/y"], [[0], [1], [np.nan]])
    assert (arrays["tasks/mortality/kind"], arrays["tasks/mortality/window_hours"]) == ("binary", 48)
    assert arrays["splits/published/part"].tolist() == ["train", "train", "test"]


def test_parquet_is_a_table_of_samples_and_a_long_table_for_each_modality(cache_path: Path, tmp_path: Path) -> None:
    FeatureCache.open(cache_path).export("parquet", tmp_path / "out")
    assert pl.read_parquet(tmp_path / "out/samples.parquet").to_dict(as_series=False) == {
        "sample_id": [10, 20, 30],
        "subject_id": ["x", "y", "y"],
        "age": [60.5, None, 41.0],
        "mortality": [0, 1, None],
        "published": ["train", "train", "test"],
    }
    reports = pl.read_parquet(tmp_path / "out/modalities/rep.parquet")
    assert reports["sample_id"].to_list() == [10, 10, 30, 30, 30]
    values = reports.drop("sample_id", "time")
    assert set(values.dtypes) == {pl.Float16}
    np.testing.assert_array_equal(values.to_numpy(), report_values())
    metadata = json.loads(pl.read_parquet_metadata(tmp_path / "out/modalities/ehr.parquet")["omnifuse"])
    assert (metadata["kind"], metadata["columns"][0]["unit"]) == ("timeseries", "beats/min")
    labels = pl.read_parquet(tmp_path / "out/tasks/mortality.parquet")
    np.testing.assert_array_equal(labels["mortality"].to_numpy(), [0, 1, np.nan])


def read_mudata(path: Path) -> Any:
    mudata = pytest.importorskip("mudata")
    with mudata.set_options(pull_on_update=False):  # reading warns of this default otherwise
        return mudata.read(path)


class TestMuData:
    def test_a_row_is_an_observation_with_its_sample_and_time(self, cache_path: Path, tmp_path: Path) -> None:
        FeatureCache.open(cache_path).export("mudata", tmp_path / "out.h5mu")
        data = read_mudata(tmp_path / "out.h5mu")
        assert list(data.mod) == ["ehr", "rep"]
        rep = data["rep"]
        assert rep.X.dtype == np.float16
        np.testing.assert_array_equal(rep.X, report_values())
        assert rep.obs_names.tolist() == ["10/rep/0", "10/rep/1", "30/rep/0", "30/rep/1", "30/rep/2"]
        assert rep.obs["sample_id"].tolist() == [10, 10, 30, 30, 30]
        assert rep.obs["time"].tolist() == [1, 1, 5, 5, 50]
        assert data["ehr"].var_names.tolist() == ["Heart Rate", "mask"]
        assert data["ehr"].var["unit"].tolist() == ["beats/min", ""]
        np.testing.assert_array_equal(data["ehr"].X, ehr_values())

    def test_labels_are_beside_every_observation_and_all_samples_in_uns(self, cache_path: Path, tmp_path: Path) -> None:
        FeatureCache.open(cache_path).export("mudata", tmp_path / "out.h5mu")
        data = read_mudata(tmp_path / "out.h5mu")
        cohort = data.obs.loc[["10/rep/1", "20/ehr/0", "30/rep/2"]]
        assert cohort["published"].tolist() == ["train", "train", "test"]
        assert cohort["mortality"].isna().tolist() == [False, False, True]
        assert cohort["mortality"].tolist()[:2] == [0, 1]
        held = data.uns["omnifuse"]
        assert held["samples"]["sample_id"].tolist() == [10, 20, 30]
        np.testing.assert_array_equal(held["tasks"]["mortality"]["y"], [[0], [1], [np.nan]])
        assert data["rep"].uns["omnifuse"]["items"]["item_id"].tolist() == ["a", "b", "c"]

    def test_modalities_of_one_row_a_sample_are_joined_by_sample(self, tmp_path: Path) -> None:
        first = np.array([[1, 2], [3, 4]], np.float32)
        wide_cache(tmp_path / "cache", {"rna": ([1, 1, 0], first), "protein": ([0, 1, 0], first[:1])})
        FeatureCache.open(tmp_path / "cache").export("mudata", tmp_path / "out.h5mu")
        data = read_mudata(tmp_path / "out.h5mu")
        assert data.obs_names.tolist() == ["b", "a"]
        assert data.obs["sample_id"].tolist() == ["b", "a"]
        assert data["rna"].obs_names.tolist() == ["a", "b"]
        assert data["rna"].var_names.tolist() == ["rna:x", "rna:y"]  # both modalities have a column x
        assert data["protein"].var["name"].tolist() == ["x", "y"]


class TestXarray:
    def test_a_group_is_the_data_set_of_its_modality(self, cache_path: Path, tmp_path: Path) -> None:
        xarray = pytest.importorskip("xarray")
        cache = FeatureCache.open(cache_path)
        cache.export("xarray", tmp_path / "out.zarr")
        for name in cache.modalities:
            with xarray.open_zarr(tmp_path / "out.zarr", group=f"modalities/{name}") as found:
                xarray.testing.assert_identical(found.load(), cache.to_xarray(name).load())

    def test_the_cohort_is_at_the_top_and_tasks_below(self, cache_path: Path, tmp_path: Path) -> None:
        xarray = pytest.importorskip("xarray")
        FeatureCache.open(cache_path).export("xarray", tmp_path / "out.zarr")
        with xarray.open_zarr(tmp_path / "out.zarr") as cohort:
            assert cohort["sample_id"].values.tolist() == [10, 20, 30]
            assert cohort["published"].values.tolist() == ["train", "train", "test"]
            assert cohort["mortality__valid"].values.tolist() == [True, True, False]
        with xarray.open_zarr(tmp_path / "out.zarr", group="tasks/mortality") as task:
            np.testing.assert_array_equal(task["y"].values, [[0], [1], [np.nan]])
            assert (task.attrs["labels"], task.attrs["window_hours"]) == (["died"], 48.0)
        with xarray.open_zarr(tmp_path / "out.zarr", group="modalities/rep/items") as items:
            assert items["item_id"].values.tolist() == ["a", "b", "c"]

    def test_a_modality_without_rows_keeps_its_width(self, tmp_path: Path) -> None:
        xarray = pytest.importorskip("xarray")
        wide_cache(tmp_path / "cache", {"rna": ([0, 0, 0], np.empty((0, 2), np.float32))})
        FeatureCache.open(tmp_path / "cache").export("xarray", tmp_path / "out.zarr")
        with xarray.open_zarr(tmp_path / "out.zarr", group="modalities/rna") as rna:
            assert (rna["values"].shape, rna["row_size"].values.tolist()) == ((0, 2), [0, 0, 0])

    def test_long_tasks_have_a_sample_and_a_time_for_each_prediction(
        self, tmp_path: Path, staged: Callable[..., StagedCache]
    ) -> None:
        xarray = pytest.importorskip("xarray")
        y, time = np.array([[1], [0]], np.float32), np.array([5, 6], np.float32)
        long = Task("near", "binary", ("d",), y, sample=np.array([0, 2]), time=time)
        staged(tmp_path / "cache").add_task(long).commit({})
        FeatureCache.open(tmp_path / "cache").export("xarray", tmp_path / "out.zarr")
        with xarray.open_zarr(tmp_path / "out.zarr", group="tasks/near") as task:
            assert (task["y"].values.tolist(), task["sample"].values.tolist()) == ([[1], [0]], [0, 2])
            assert task["time"].values.tolist() == [5, 6]


def wide_cache(path: Path, modalities: Mapping[str, tuple[list[int], np.ndarray]]) -> None:
    """A cache of the samples a, b, c with columns x and y in every modality."""
    samples = pl.DataFrame({"sample_id": ["a", "b", "c"], "subject_id": ["a", "b", "c"]})
    empty = pl.DataFrame({"reason": pl.Series([], dtype=pl.String)})
    staged = StagedCache(path, "toy", {}).add_samples(samples).add_quarantine(empty, empty)
    for name, (lengths, values) in modalities.items():
        spec = ModalitySpec(name, "features", "sample", {}, (Column("x"), Column("y")))
        staged.add_modality(spec, np.array(lengths), 2, [values], np.full(len(values), np.nan, np.float32))
    staged.commit({})


def test_labels_and_parts_come_back_through_an_import(cache_path: Path, tmp_path: Path) -> None:
    cache = FeatureCache.open(cache_path)
    cache.export("parquet", tmp_path / "out")
    (tmp_path / "out/score.csv").write_text("sample_id,score\n10,1\n")
    given = {"--samples": "out/samples.parquet", "--label": "mortality", "--split": "published", "--cache": "back"}
    paths = [str(tmp_path / value) if name in ("--samples", "--cache") else value for name, value in given.items()]
    arguments = [part for pair in zip(given, paths, strict=True) for part in pair]
    features = ["--features", f"score={tmp_path / 'out/score.csv'}"]
    result = CliRunner().invoke(main, ["cache", "import", *arguments, *features])
    assert result.exit_code == 0, result.output
    back = FeatureCache.open(tmp_path / "back")
    assert back.samples["sample_id"].equals(cache.samples["sample_id"])
    np.testing.assert_array_equal(back.task("mortality").y, cache.task("mortality").y)
    assert back.splits["published"].equals(cache.splits["published"])


def test_classes_are_written_by_name_and_a_taken_name_gets_a_suffix(
    tmp_path: Path, staged: Callable[..., StagedCache]
) -> None:
    y = np.array([[1], [np.nan], [0]], dtype=np.float32)
    long = Task("near", "binary", ("d",), y[:1], sample=np.array([0]), time=np.array([5], dtype=np.float32))
    staged(tmp_path / "cache").add_task(Task("age", "multiclass", ("a", "b", "c"), y)).add_task(long).commit({})
    table = cohort_table(FeatureCache.open(tmp_path / "cache"))
    assert table.columns == ["sample_id", "subject_id", "age", "age_label", "mortality", "published"]
    assert table["age_label"].to_list() == ["b", None, "a"]


def test_the_command_writes_the_named_modalities_only(cache_path: Path, tmp_path: Path) -> None:
    where = ["--out", str(tmp_path / "out.npz"), "--cache", str(cache_path)]
    result = CliRunner().invoke(main, ["cache", "export", "--format", "npz", "--modalities", "rep", *where])
    assert result.exit_code == 0
    arrays = read_npz(tmp_path / "out.npz")
    assert "modalities/rep/values" in arrays and "modalities/ehr/values" not in arrays


@pytest.mark.parametrize(
    ("form", "names", "message"),
    [
        ("xls", None, "Unknown export format 'xls'. Known are: hdf5, npz, parquet, mudata, xarray"),
        ("npz", ["ct"], "Unknown modality 'ct'. Known are: ehr, rep"),
    ],
)
def test_what_is_unknown_is_refused(
    cache_path: Path, tmp_path: Path, form: str, names: list[str] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        FeatureCache.open(cache_path).export(form, tmp_path / "out", names)


def test_a_target_that_exists_is_left_alone(cache_path: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="out exists already"):
        FeatureCache.open(cache_path).export("npz", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the system refuse to write behind so many bytes of any file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_is_one_line_with_the_path(cache_path: Path, tmp_path: Path, form: str) -> None:
    cache = FeatureCache.open(cache_path)
    cache.export(form, tmp_path / "whole")
    whole = max(
        path.stat().st_size for path in [tmp_path / "whole", *(tmp_path / "whole").rglob("*")] if path.is_file()
    )
    (tmp_path / "new").mkdir()
    for size in (whole // 3, whole - 1):
        with files_of_at_most(max(size, 200)):  # the lock is smaller than that
            result = CliRunner().invoke(
                main,
                ["cache", "export", "--format", form, "--out", str(tmp_path / "new/out"), "--cache", str(cache_path)],
            )
        assert result.exit_code == 2
        assert result.stderr.splitlines()[-1] == (
            f"Error: {tmp_path}/new/out cannot be written: File too large. Nothing is left of it."
        )
        assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", UNUSUAL_NAMES)
def test_the_name_of_a_target_is_no_pattern(cache_path: Path, tmp_path: Path, form: str, name: str) -> None:
    (tmp_path / "q1").write_text("not this one")
    out = tmp_path / f"{name}{ENDINGS[form]}"
    FeatureCache.open(cache_path).export(form, out)
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "q1", out.name}
    export = find_export(out)
    assert (export is None) == (form == "xarray")
    if export is not None:
        assert export.modalities() == ("ehr", "rep")
        np.testing.assert_array_equal(export.rows("rep").values, report_values())
        assert export.spec("ehr").columns[0].unit == "beats/min"


def test_two_exports_to_one_place_do_not_mix(cache_path: Path, tmp_path: Path) -> None:
    with cache_lock(tmp_path / "out"), pytest.raises(CacheLockedError):
        FeatureCache.open(cache_path).export("npz", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", FORMATS)
def test_a_failure_leaves_nothing(cache_path: Path, tmp_path: Path, form: str) -> None:
    cache = FeatureCache.open(cache_path)
    (cache_path / "modalities/rep/values/c/0/0").unlink()
    with pytest.raises(Exception, match="is missing"):
        cache.export(form, tmp_path / "new/out")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(("form", "package"), [("mudata", "mudata"), ("xarray", "xarray")])
def test_a_missing_package_is_named(
    cache_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(InputError, match=rf"{form} needs the package {package}: pip install 'omnifuse\[{package}\]'"):
        FeatureCache.open(cache_path).export(form, tmp_path / "out")


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=5))
def test_any_lengths_survive(lengths: list[int]) -> None:
    rows = sum(lengths)
    values = np.arange(rows * 2, dtype=np.float16).reshape(rows, 2)
    samples = pl.DataFrame({"sample_id": range(len(lengths)), "subject_id": range(len(lengths))})
    empty = pl.DataFrame({"reason": pl.Series([], dtype=pl.String)})
    spec = ModalitySpec("rep", "embedding", "token", {})
    with TemporaryDirectory() as folder:
        path = Path(folder)
        staged = StagedCache(path / "cache", "toy", {}).add_samples(samples).add_quarantine(empty, empty)
        staged.add_modality(spec, np.array(lengths), 2, [values], np.full(rows, np.nan, np.float32)).commit({})
        cache = FeatureCache.open(path / "cache")
        for form, read in READERS.items():
            cache.export(form, path / form)
            arrays = read(path / form)
            np.testing.assert_array_equal(arrays["modalities/rep/values"], values)
            assert np.diff(arrays["modalities/rep/offsets"]).tolist() == lengths
        cache.export("parquet", path / "parquet")
        table = pl.read_parquet(path / "parquet/modalities/rep.parquet")
        np.testing.assert_array_equal(table.select("0", "1").to_numpy(), values)
        assert table["sample_id"].to_list() == np.repeat(np.arange(len(lengths)), lengths).tolist()
