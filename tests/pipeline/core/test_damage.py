"""Whatever happens to a file below ``<cache>.items``, the next extraction ends with the bytes of an undisturbed one."""

import logging
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import FeatureCache, InputError, Manifest, read_manifest
from omnifuse.pipeline.core.plan import Encoders, memo_file, parts_folder
from omnifuse.pipeline.core.stages import extract
from omnifuse.pipeline.pseudonym_key import KEY_BYTES, secret_key

from .toy import ToyDataSet, write_raw

RANDOM = Encoders("random", "random")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw files and a finished cache; no test changes it."""
    folder = tmp_path_factory.mktemp("damage")
    write_raw(folder / "raw")
    extract(ToyDataSet(folder / "raw"), folder / "cache", RANDOM)
    return folder


def laid_out_again(finished: Path, folder: Path, damage: Callable[[Path], object]) -> Manifest:
    """Return the manifest of the cache that is made anew from damaged parts and blocks."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(finished / "cache.items", folder / "cache.items")
    damage(folder / "cache.items")
    extract(ToyDataSet(finished / "raw"), folder / "cache", RANDOM)
    return read_manifest(folder / "cache")


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_is_mended(finished: Path, tmp_path: Path, data: st.DataObject) -> None:
    def damage(items: Path) -> None:
        path = data.draw(st.sampled_from(files_of(items)))
        content = bytearray(path.read_bytes())
        kind = data.draw(st.sampled_from(["flip", "cut", "empty", "delete"]))
        if kind == "flip":
            bit = data.draw(st.integers(0, 8 * len(content) - 1))
            content[bit // 8] ^= 1 << bit % 8
        elif kind == "cut":
            del content[data.draw(st.integers(0, len(content) - 1)) :]
        path.unlink() if kind == "delete" else path.write_bytes(b"" if kind == "empty" else content)

    assert laid_out_again(finished, tmp_path / "toy", damage) == read_manifest(finished / "cache")


def flip_last_byte(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize("damage", [flip_last_byte, lambda path: path.write_bytes(b"")], ids=["flip", "empty"])
@pytest.mark.parametrize("kind", ["part", "block", "complete"])
def test_what_was_damaged_is_made_again_and_said_in_one_line(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, damage: Callable[[Path], object]
) -> None:
    def one(items: Path) -> None:
        files = files_of(items)
        blocks = [path for path in files if path.name.startswith("block-")]
        parts = [path for path in files if path.suffix == ".safetensors" and path not in blocks]
        damage({"part": parts, "block": blocks, "complete": [f for f in files if f.name == "complete"]}[kind][0])

    with caplog.at_level(logging.WARNING):
        assert laid_out_again(finished, tmp_path / "toy", one) == read_manifest(finished / "cache")
    assert [record.message for record in caplog.records] == ["1 damaged part was made again"]


def test_several_damaged_parts_are_counted(finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def all_parts(items: Path) -> None:
        for path in items.rglob("*.safetensors"):
            flip_last_byte(path)

    assert laid_out_again(finished, tmp_path / "toy", all_parts) == read_manifest(finished / "cache")
    assert "3 damaged parts were made again" in caplog.messages


def test_a_dry_run_counts_what_is_damaged_and_removes_nothing(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "cache.items", tmp_path / "cache.items")
    for path in (tmp_path / "cache.items").rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    before = files_of(tmp_path)
    outcome = extract(ToyDataSet(finished / "raw"), tmp_path / "cache", RANDOM, dry_run=True)
    assert outcome.pending == {"rate": 4, "note": 2, "picture": 3}
    assert files_of(tmp_path) == before


def test_a_damaged_memo_beside_a_complete_cache_is_said_and_mended(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "toy")
    memo = memo_file(tmp_path / "toy/cache")
    memo.write_bytes(b"")
    dataset = ToyDataSet(tmp_path / "toy/raw")
    outcome = extract(dataset, tmp_path / "toy/cache", RANDOM)
    assert outcome.reasons == ("the digests of the raw files were damaged",)
    assert read_manifest(tmp_path / "toy/cache") == read_manifest(finished / "cache")
    assert not extract(dataset, tmp_path / "toy/cache", RANDOM).done


def test_nobody_else_may_read_the_parts(finished: Path) -> None:
    assert stat.S_IMODE(parts_folder(finished / "cache").stat().st_mode) == 0o700


def test_an_extraction_that_is_refused_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no rates"):
        extract(ToyDataSet(tmp_path), tmp_path / "cache", RANDOM)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_extraction_left_is_removed_by_the_next_one(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "toy")
    items = parts_folder(tmp_path / "toy/cache")
    left = [items / "digests.memo.partial", items / "0123456789abcdef/part.safetensors.partial"]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    assert not extract(ToyDataSet(tmp_path / "toy/raw"), tmp_path / "toy/cache", RANDOM).done
    assert not [path for path in left if path.exists()]


@pytest.mark.parametrize("content", [b"", b"short", bytes(KEY_BYTES) + b"cut", bytes(2 * KEY_BYTES)])
def test_a_damaged_key_is_refused_and_never_replaced(tmp_path: Path, content: bytes) -> None:
    secret_key(tmp_path / "cache", keep=True)
    (tmp_path / "cache.key").write_bytes(content)
    with pytest.raises(InputError, match=r"cache\.key is damaged .*Restore it from a copy"):
        secret_key(tmp_path / "cache", keep=True)
    assert (tmp_path / "cache.key").read_bytes() == content


def test_a_flipped_bit_of_a_key_is_noticed(tmp_path: Path) -> None:
    secret_key(tmp_path / "cache", keep=True)
    content = bytearray((tmp_path / "cache.key").read_bytes())
    content[3] ^= 4
    (tmp_path / "cache.key").write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        secret_key(tmp_path / "cache", keep=True)


def test_the_rows_of_a_remade_cache_can_be_read(finished: Path, tmp_path: Path) -> None:
    laid_out_again(finished, tmp_path / "toy", lambda items: shutil.rmtree(items))
    assert FeatureCache.open(tmp_path / "toy/cache").modality("rate").values[:, 0].tolist() == [80, 90, 70]
