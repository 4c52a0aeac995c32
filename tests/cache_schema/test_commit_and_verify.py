"""A commit is all or nothing, leaves alone what is right, and every damaged byte is found."""

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from omnifuse.cache_schema import FeatureCache, InputError, StagedCache, cache_lock, damaged_files, verify_cache
from omnifuse.cache_schema.manifest import Manifest, describe_tree

from .conftest import report_values
from .test_cache import flip


def chunk_files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if "/c/" in file.as_posix() and file.is_file())


def test_a_fresh_cache_verifies(cache_path: Path) -> None:
    result = verify_cache(cache_path)
    assert result.passed and result.arrays == 30 and result.bytes > 0
    assert damaged_files(cache_path) == ()


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_damage_is_found_in_every_array(cache_path: Path, tmp_path: Path, damage: str) -> None:
    files = chunk_files(cache_path)
    assert {file.parts[len(cache_path.parts)] for file in files} >= {"samples", "modalities", "tasks", "splits"}
    for file in files:
        original = file.read_bytes()
        match damage:
            case "flip":
                flip(file)
            case "truncate":
                file.write_bytes(original[:-1])
            case "delete":
                file.unlink()
        findings = verify_cache(cache_path).findings
        assert [finding.file for finding in findings] == [file.relative_to(cache_path).as_posix()]
        file.write_bytes(original)
    assert verify_cache(cache_path).passed


def test_a_file_that_nobody_wrote_is_reported(cache_path: Path) -> None:
    (cache_path / "modalities/rep/values/c/9").write_bytes(b"x")
    (finding,) = verify_cache(cache_path).findings
    assert finding.problem == "is not listed in the manifest"


def test_an_equal_commit_writes_nothing(cache_path: Path, staged: Callable[..., StagedCache]) -> None:
    before = {file: file.stat().st_mtime_ns for file in chunk_files(cache_path)}
    commit = staged(cache_path).commit({"cohort": {"limit": None}})
    assert commit.written == ()
    assert {file: file.stat().st_mtime_ns for file in chunk_files(cache_path)} == before


def test_a_commit_replaces_only_what_changed(cache_path: Path, staged: Callable[..., StagedCache]) -> None:
    commit = staged(cache_path, report_values() + 1).commit({})
    assert commit.written == ("modalities/rep/values",)
    assert FeatureCache.open(cache_path).modality("rep").values[0, 0] == 1
    assert verify_cache(cache_path).passed
    assert not cache_path.with_name("cache.partial").exists()


def test_a_commit_removes_what_is_no_longer_part_of_the_cache(tmp_path: Path, cache_path: Path) -> None:
    smaller = StagedCache(cache_path, "toy", {}).add_samples(FeatureCache.open(cache_path).samples)
    smaller.commit({})
    assert FeatureCache.open(cache_path).modalities == ()
    assert verify_cache(cache_path).passed


def test_a_commit_repairs_damaged_arrays(cache_path: Path, staged: Callable[..., StagedCache]) -> None:
    flip(cache_path / "modalities/ehr/values/c/0/0")
    assert staged(cache_path).commit({"cohort": {"limit": None}}).written == ("modalities/ehr/values",)
    assert verify_cache(cache_path).passed


class KilledError(BaseException):
    """Stands for the end of the process: nothing that handles errors handles it."""


class Steps:
    """Counts what renames or removes something, as Python audits it, and ends the process at one of these steps."""

    CHANGES = ("os.rename", "os.remove", "os.rmdir")

    def __init__(self) -> None:
        self.counting, self.last = False, 0
        self.done: list[str] = []
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.counting or event not in self.CHANGES:
            return
        self.done.append(str(arguments[0]))
        if len(self.done) == self.last:
            self.counting = False  # a process that has ended cleans nothing up
            raise KilledError

    @contextlib.contextmanager
    def ending_at(self, step: int | None = None) -> Iterator[None]:
        """Count within a block, and end it at its so many-th step."""
        self.counting, self.last, self.done = True, step or 0, []
        try:
            yield
        finally:
            self.counting = False


STEPS = Steps()
KILLED_AT = range(1, 16)


def changed(path: Path, staged: Callable[..., StagedCache]) -> StagedCache:
    return staged(path, report_values() + 1)


def without_the_split(path: Path, staged: Callable[..., StagedCache]) -> StagedCache:
    return staged(path, split=False)


COMMITS = [changed, without_the_split]


@pytest.mark.parametrize("new", COMMITS)
@pytest.mark.parametrize("step", KILLED_AT)
def test_a_commit_killed_at_any_step_leaves_a_complete_cache_or_none_and_can_be_given_again(
    cache_path: Path, staged: Callable[..., StagedCache], step: int, new: Callable[..., StagedCache]
) -> None:
    stage = new(cache_path, staged)
    with STEPS.ending_at(step), pytest.raises(KilledError):
        stage.commit({})
    if complete := (cache_path / "manifest.json").exists():
        assert verify_cache(cache_path).passed
    (cache_path / "extraction.json.partial").write_bytes(b"{")
    with cache_lock(cache_path):
        pass  # an extraction that finds nothing to do
    assert {path.name for path in cache_path.parent.iterdir()} == {"cache"}
    assert (cache_path / "manifest.json").exists() == complete
    again = staged(cache_path, report_values() + 1)
    again.commit({})
    assert verify_cache(cache_path).passed
    assert FeatureCache.open(cache_path).modality("rep").values[0, 0] == 1


@pytest.mark.parametrize("new", COMMITS)
def test_every_step_until_the_new_cache_is_complete_is_among_those(
    cache_path: Path, staged: Callable[..., StagedCache], new: Callable[..., StagedCache]
) -> None:
    stage = new(cache_path, staged)
    with STEPS.ending_at():
        stage.commit({})
    assert STEPS.done.index(str(cache_path / "manifest.json.partial")) + 1 in KILLED_AT


def test_a_folder_that_is_not_a_cache_is_never_overwritten(tmp_path: Path, staged: Callable[..., StagedCache]) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("precious")
    with pytest.raises(InputError, match="exists and is not an OmniFuse cache"):
        staged(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter1.txt").read_text() == "precious"


def test_an_incomplete_cache_is_replaced(cache_path: Path, staged: Callable[..., StagedCache]) -> None:
    (cache_path / "manifest.json").unlink()
    shutil.rmtree(cache_path / "modalities/rep/values")
    staged(cache_path).commit({})
    assert verify_cache(cache_path).passed


def test_the_manifest_describes_the_same_tree_in_the_same_words(cache_path: Path) -> None:
    assert Manifest(describe_tree(cache_path)).to_json() == Manifest(describe_tree(cache_path)).to_json()


AWKWARD = ["plain", "k[1]", "a*?{b}", "with space", "quote'\"", "new\nline", "ünï 丙", "#%3F;&", "-rf"]


@pytest.mark.parametrize("name", AWKWARD)
def test_a_cache_lies_at_any_path(tmp_path: Path, staged: Callable[..., StagedCache], name: str) -> None:
    path = tmp_path / name / name
    with cache_lock(path):
        staged(path).commit({})
        staged(path, report_values() + 1).commit({})
    assert verify_cache(path).passed and damaged_files(path) == ()
    cache = FeatureCache.open(path)
    assert cache.modality("rep").values[0, 0] == 1 and len(cache.to_torch("mortality")) == 2
    assert [entry.name for entry in path.parent.iterdir()] == [name]


def test_a_cache_behind_a_link_is_replaced_where_it_lies(tmp_path: Path, staged: Callable[..., StagedCache]) -> None:
    (tmp_path / "disk/cache").mkdir(parents=True)
    link = tmp_path / "home/cache"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "disk/cache")
    for change in (0, 1, 1):
        with cache_lock(link):
            staged(link, report_values() + change).commit({})
        assert link.is_symlink() and verify_cache(link).passed
        assert FeatureCache.open(link).modality("rep").values[0, 0] == change
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["cache"]
    assert [path.name for path in link.parent.iterdir()] == ["cache"]


def test_a_disk_of_its_own_is_refused_before_anything_is_written(
    tmp_path: Path, staged: Callable[..., StagedCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path / "cache")
    with pytest.raises(InputError, match="is a disk of its own, which a cache cannot replace"):
        staged(tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [".", "..", "/", "x/.."])
def test_a_folder_without_a_name_is_refused(
    tmp_path: Path, staged: Callable[..., StagedCache], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="A cache needs a folder with a name"):
        staged(Path(path))


def test_a_new_cache_is_its_owners_and_an_old_one_stays_as_open_as_it_was(
    tmp_path: Path, staged: Callable[..., StagedCache]
) -> None:
    path = tmp_path / "cache"
    staged(path).commit({})
    assert mode(path) == 0o700
    path.chmod(0o750)
    staged(path, report_values() + 1).commit({})
    assert mode(path) == 0o750
    (path / "manifest.json").unlink()
    staged(path).commit({})
    assert mode(path) == 0o750
    path.with_name("empty").mkdir(mode=0o755)
    staged(path.with_name("empty")).commit({})
    assert mode(path.with_name("empty")) == 0o755


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_is_flushed_before_it_is_put_in_place(
    tmp_path: Path, staged: Callable[..., StagedCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a cache that is new, and of the arrays of one that is replaced."""
    flushed: set[int] = set()
    fsync, rename = os.fsync, Path.rename

    def noted(descriptor: int) -> None:
        flushed.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def checked(path: Path, target: Path) -> Path:
        assert {entry.stat().st_ino for entry in (path, *path.rglob("*"))} <= flushed, path
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "rename", checked)
    staged(tmp_path / "cache").commit({})
    assert staged(tmp_path / "cache", report_values() + 1).commit({}).written
