"""An unchanged file is not read twice; a changed, new or missing one is noticed."""

import os
from pathlib import Path

import pytest
from omnifuse.cache_schema import digest_file
from omnifuse.pipeline.core.memo import DigestMemo
from omnifuse.pipeline.source import UnreadableItem


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    return path


def saved(folder: Path, *files: Path, root: Path | None = None) -> DigestMemo:
    memo = DigestMemo(folder / "digests.memo", root or folder)
    for path in files:
        memo.file(path)
    memo.save()
    return DigestMemo(folder / "digests.memo", root or folder)


def test_a_digest_is_the_sha256_of_the_bytes(tmp_path: Path, file: Path) -> None:
    assert DigestMemo(tmp_path / "memo", tmp_path).file(file).digest == digest_file(file)


def test_an_unchanged_file_is_answered_from_memory(tmp_path: Path, file: Path) -> None:
    memo = saved(tmp_path, file)

    def refuse(path: Path) -> tuple[str, int]:
        raise AssertionError(f"{path} was read again")

    assert memo.content(file, "file", refuse).digest == digest_file(file)
    assert memo.unchanged()


def test_a_file_that_is_asked_for_twice_is_read_once(tmp_path: Path, file: Path) -> None:
    memo = DigestMemo(tmp_path / "memo", tmp_path)
    reads = []

    def read(path: Path) -> tuple[str, int]:
        reads.append(path)
        return "digest", 1

    assert memo.content(file, "rule", read) == memo.content(file, "rule", read)
    assert reads == [file]


def test_a_changed_file_is_read_again(tmp_path: Path, file: Path) -> None:
    memo = saved(tmp_path, file)
    file.write_text("a,b\n1,3\n")
    os.utime(file, ns=(1, 1))
    assert not memo.unchanged()
    assert memo.file(file).digest == digest_file(file)


def test_a_missing_file_has_a_reason_and_its_arrival_is_noticed(tmp_path: Path) -> None:
    absent = tmp_path / "s1.txt"
    memo = saved(tmp_path, absent)
    assert memo.file(absent).reason == "the file is missing"
    assert memo.unchanged()
    absent.write_text("FINDINGS: clear.")
    assert not memo.unchanged()


def test_an_unreadable_content_has_the_reason(tmp_path: Path, file: Path) -> None:
    def empty(path: Path) -> tuple[str, int]:
        raise UnreadableItem("empty report")

    assert DigestMemo(tmp_path / "memo", tmp_path).content(file, "text", empty).reason == "empty report"


def test_the_fingerprint_depends_on_contents_and_not_on_the_folder(tmp_path: Path, file: Path) -> None:
    moved = tmp_path / "elsewhere" / "table.csv"
    moved.parent.mkdir()
    moved.write_text(file.read_text())
    here, there = saved(tmp_path / "1", file, root=tmp_path), saved(tmp_path / "2", moved, root=moved.parent)
    assert here.saved_fingerprint == there.saved_fingerprint
    moved.write_text("other")
    assert saved(tmp_path / "3", moved, root=moved.parent).saved_fingerprint != here.saved_fingerprint


def test_an_expensive_value_is_computed_once_for_each_version(tmp_path: Path) -> None:
    calls: list[str] = []
    memo = DigestMemo(tmp_path / "digests.memo", tmp_path)
    for version in ("1", "1", "2"):
        memo.value("random weights", version, lambda version=version: calls.append(version) or version)
        memo.save()
        memo = DigestMemo(tmp_path / "digests.memo", tmp_path)
    assert calls == ["1", "2"]


def test_a_damaged_memo_is_not_believed(tmp_path: Path, file: Path) -> None:
    assert not saved(tmp_path, file).damaged
    path = tmp_path / "digests.memo"
    whole = path.read_bytes()
    for damaged in (b"", whole[:50], whole[:-1], whole.replace(b"PAR1", b"PAR2")):
        path.write_bytes(damaged)
        memo = DigestMemo(path, tmp_path)
        assert memo.damaged and not memo.unchanged()
        assert memo.file(file).digest == digest_file(file)


def test_a_plan_that_ends_early_forgets_nothing(tmp_path: Path, file: Path) -> None:
    memo = saved(tmp_path, file)
    before = memo.saved_fingerprint
    memo.value("random weights", "2", lambda: "digest")
    memo.save(forget=False)
    again = DigestMemo(tmp_path / "digests.memo", tmp_path)
    assert again.unchanged() and again.saved_fingerprint == before
    assert again.value("random weights", "2", lambda: "computed again") == "digest"


def test_a_folder_is_the_contents_of_its_files_and_what_is_added_or_changed_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    for name in "ab":
        (folder / name).write_text(name)
    memo = DigestMemo(tmp_path / "digests.memo", tmp_path)
    first = memo.folder(folder)
    assert first.length == 2
    assert memo.folder(tmp_path / "none").reason == "the folder is missing"
    memo.save()
    memo = DigestMemo(tmp_path / "digests.memo", tmp_path)
    assert memo.unchanged() and memo.folder(folder) == first
    (folder / "a").write_text("changed")
    assert not memo.unchanged() and DigestMemo(tmp_path / "digests.memo", tmp_path).folder(folder) != first
    (folder / "a").write_text("a")
    assert DigestMemo(tmp_path / "digests.memo", tmp_path).folder(folder).digest == first.digest
    (folder / "c").write_text("c")
    assert DigestMemo(tmp_path / "digests.memo", tmp_path).folder(folder).length == 3


def test_a_value_that_is_asked_for_twice_is_computed_once(tmp_path: Path) -> None:
    memo, calls = DigestMemo(tmp_path / "memo.parquet", tmp_path), iter(["digest"])
    assert [memo.value("weights", "1", lambda: next(calls)) for _ in range(2)] == ["digest"] * 2
