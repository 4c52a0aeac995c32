"""A cache of every schema version since 1 is still read, to the last bit."""

import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import SCHEMA_VERSION, FeatureCache, verify_cache
from polars.testing import assert_frame_equal

from . import archive

ARCHIVES = sorted((Path(__file__).parents[1] / "data" / "archives").glob("version-*.zip"))
WRITTEN_NOW = Path("now")


@pytest.fixture(params=[*ARCHIVES, WRITTEN_NOW], ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == WRITTEN_NOW:
        archive.write(tmp_path / "cache")
    else:
        zipfile.ZipFile(request.param).extractall(tmp_path)
    return tmp_path / "cache"


def test_there_is_an_archive_of_every_version() -> None:
    assert [path.stem for path in ARCHIVES] == [f"version-{number}" for number in range(1, SCHEMA_VERSION + 1)]


def test_every_byte_is_what_the_manifest_says(path: Path) -> None:
    assert verify_cache(path).passed


def test_samples_and_other_tables_are_what_was_written(path: Path) -> None:
    cache = FeatureCache.open(path)
    assert (cache.dataset, cache.manifest.keys) == ("archive", archive.KEYS)
    tables = {
        "samples": (cache.samples, archive.SAMPLES),
        "quarantine": (cache.quarantine, archive.QUARANTINE),
        "quarantine counts": (cache.quarantine_counts, archive.QUARANTINE_COUNTS),
        "counts": (cache.counts, archive.COUNTS),
        "split": (cache.splits["published"], archive.SPLIT),
        "items": (cache.items("rep"), archive.ITEMS),
    }
    for name, (found, expected) in tables.items():
        assert isinstance(found, pl.DataFrame), name
        assert_frame_equal(found, expected)


def test_modalities_are_what_was_written(path: Path) -> None:
    cache = FeatureCache.open(path)
    assert set(cache.modalities) == set(archive.SPECS)
    for name, spec in archive.SPECS.items():
        modality = cache.modality(name)
        assert modality.spec == spec
        assert modality.lengths.tolist() == archive.LENGTHS[name]
        assert modality.values.dtype == archive.VALUES[name].dtype
        assert modality.values.tobytes() == archive.VALUES[name].tobytes()  # -0.0 is not 0.0
        assert modality.time.tobytes() == archive.TIMES[name].tobytes()


def test_tasks_are_what_was_written(path: Path) -> None:
    cache = FeatureCache.open(path)
    tasks = archive.TASKS if cache.manifest.schema_version == 1 else (*archive.TASKS, *archive.TASKS_SINCE_2)
    assert set(cache.tasks) == {task.name for task in tasks}
    for expected in tasks:
        found = cache.task(expected.name)
        for name in ("kind", "labels", "window_hours", "history_hours", "unit", "select", "counts"):
            assert getattr(found, name) == getattr(expected, name), name
        for name in ("y", "sample", "time"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_a_task_sees_what_it_saw(path: Path) -> None:
    inputs = FeatureCache.open(path).task_inputs("death", ["rep", "ehr"])
    assert inputs["rep"].lengths.tolist() == [2, 0, 0]  # of sample 丙 one has no view, the other is too late
    assert inputs["ehr"].lengths.tolist() == [1, 2, 0]
