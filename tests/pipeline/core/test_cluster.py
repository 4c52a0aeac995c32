"""Workers on other machines make the same cache; one that is lost costs its parts in work, and parts may travel."""

import hashlib
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import distributed
import numpy as np
import pytest
from omnifuse.cache_schema import InputError, OmniFuseError
from omnifuse.cluster import cluster
from omnifuse.pipeline.core import encode
from omnifuse.pipeline.core.encode import Machines
from omnifuse.pipeline.core.parts import PartStore
from omnifuse.pipeline.core.plan import Encoders, parts_folder
from omnifuse.pipeline.core.remote_parts import RemoteParts
from omnifuse.pipeline.core.stages import extract
from omnifuse.pipeline.source import Quarantine, Records

from .toy import ToyDataSet, write_raw

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask's own, which differ from version to version

RANDOM = Encoders("random", "random")
PART, ROWS = ("a", "b"), [np.ones((2, 3), np.float16), np.zeros((0, 3), np.float16)]


class DeadlyDataSet(ToyDataSet):
    """A toy whose second note kills the first process that reads it."""

    def read(self, quarantine: Quarantine) -> Records:
        records, killed = super().read(quarantine), self.raw / "killed"

        def read_note(path: Path) -> str:
            if path.name == "note2.txt" and os.getpid() != planner and not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return path.read_text()

        planner = os.getpid()
        note, picture = records.items
        note = replace(note, items=note.items.filter(note.items["sample_id"] != 4), read_text=read_note)
        return replace(records, items=(note, picture))


@pytest.fixture
def one_item_in_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "PART_ITEMS", 1)


def digests(cache: Path) -> dict[str, str]:
    files = (path for path in cache.rglob("*") if path.is_file() and path.name != "extraction.json")
    return {str(path.relative_to(cache)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw files, and the cache that one process makes of them."""
    folder = tmp_path_factory.mktemp("alone")
    extract(DeadlyDataSet(write_raw(folder / "raw")), folder / "cache", RANDOM)
    return folder


@pytest.fixture
def copy(alone: Path, tmp_path: Path) -> Path:
    """A copy of its raw files, and the digest of the seeded weights, which takes seconds."""
    shutil.copytree(alone / "raw", tmp_path / "raw")
    parts_folder(tmp_path / "cache").mkdir()
    shutil.copy(parts_folder(alone / "cache") / "digests.memo", parts_folder(tmp_path / "cache"))
    return tmp_path


def test_a_cluster_that_loses_a_worker_makes_the_same_bytes(one_item_in_a_part: None, alone: Path, copy: Path) -> None:
    with distributed.LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as workers:
        extract(DeadlyDataSet(copy / "raw"), copy / "cache", RANDOM, Machines(scheduler=workers.scheduler_address))
    assert (copy / "raw/killed").exists()
    assert digests(copy / "cache") == digests(alone / "cache")  # its quarantine has a picture that cannot be read


def test_workers_that_leave_parts_at_a_url_make_the_same_bytes(alone: Path, copy: Path, memory_url: str) -> None:
    (copy / "raw/killed").touch()
    with distributed.LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address=None) as workers:
        address = workers.scheduler_address
        extract(DeadlyDataSet(copy / "raw"), copy / "cache", RANDOM, Machines(scheduler=address, parts=memory_url))
    assert digests(copy / "cache") == digests(alone / "cache")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (CancelledError(), "was lost. Start it and give the same command again"),
        (distributed.KilledWorker("task", None, 3), "Several workers of .* ended over the same task"),
    ],
)
def test_what_a_lost_scheduler_or_worker_raises_is_one_message(error: Exception, message: str) -> None:
    local = distributed.LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address=None)
    with local as workers, pytest.raises(OmniFuseError, match=message), cluster(workers.scheduler_address):
        raise error


def test_parts_at_a_url_are_copied_once_and_are_what_was_written(tmp_path: Path, memory_url: str) -> None:
    store = PartStore(tmp_path, {"encoder": "toy"})
    remote = RemoteParts.of(store, memory_url)
    remote.fetch_all(store)  # nothing there yet
    assert store.missing(PART) == ["a", "b"]
    remote.write(PART, ROWS, {"b": "empty"})
    remote.fetch_all(store)
    loaded = store.load(PART)
    np.testing.assert_array_equal(loaded["a"].values, ROWS[0])
    assert (len(loaded["b"].values), loaded["b"].reason) == (0, "empty")
    [file] = store.folder.glob("*.safetensors")
    before = file.stat().st_mtime_ns
    remote.fetch_all(store)
    assert file.stat().st_mtime_ns == before


@pytest.fixture
def memory_url() -> Iterator[str]:
    """A URL of fsspec's file system in memory, emptied afterwards."""
    import fsspec

    yield "memory://parts"
    fsspec.filesystem("memory").rm("/parts", recursive=True)


@pytest.mark.parametrize("url", ["nosuch://bucket", "gs://bucket/without/its/package"])
def test_a_url_that_cannot_be_opened_is_said(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match=rf"--parts {url}.* cannot be opened"):
        RemoteParts.of(PartStore(tmp_path, {}), url)


def test_a_url_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    store = PartStore(tmp_path, {})
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--parts file://.* cannot be read: .*Not a directory"):
        RemoteParts.of(store, f"file://{tmp_path}/file").fetch_all(store)


def test_parts_without_a_scheduler_are_refused() -> None:
    with pytest.raises(InputError, match="name that, too"):
        Machines(parts="memory://x")
