"""A commit is all or nothing, leaves alone what is right, and every damaged byte is found."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from omnifuse.cache_schema import FeatureCache, InputError, StagedCache, damaged_files, verify_cache
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


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("step", range(1, 9))
def test_a_commit_cut_off_at_any_step_is_incomplete_or_complete_never_mixed(
    cache_path: Path, staged: Callable[..., StagedCache], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    new = report_values() + 1
    stage = staged(cache_path, new)
    left = step

    def or_die(action: Callable[..., object]) -> Callable[..., object]:
        def act(*args: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                raise KilledError
            return action(*args, **options)

        return act

    for name in ("rename", "replace", "unlink"):
        monkeypatch.setattr(Path, name, or_die(getattr(Path, name)))
    with contextlib.suppress(KilledError):
        stage.commit({})
    monkeypatch.undo()
    if (cache_path / "manifest.json").exists():
        assert verify_cache(cache_path).passed
    staged(cache_path, new).commit({})
    assert verify_cache(cache_path).passed
    assert FeatureCache.open(cache_path).modality("rep").values[0, 0] == 1


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
