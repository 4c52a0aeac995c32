"""Files of runs appear whole or not at all, and a path is a name, whatever characters are in it."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.fusion.files import read_json, read_table, whole_file, write_whole

NAMES = [
    "q[1]",
    "a*b",
    "a?b",
    "{a,b}",
    "with space",
    'it\'s "so"',
    "two\nlines",
    "影像 é",
    "a%41",
    "~",
    "file:",
    "a\\b",
    "$HOME",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_read_under_the_very_name_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What a pattern would find lies beside it: ``q1`` beside ``q[1]``."""
    monkeypatch.chdir(tmp_path)
    for number, folder in enumerate(("q1", "aXb", "a", "b", name)):
        with whole_file(Path(folder) / "x.parquet") as file:
            pl.DataFrame({"x": [number]}).write_parquet(file)
    assert read_table(Path(name) / "x.parquet", {"x"})["x"].to_list() == [4]
    assert read_table(Path("q1") / "x.parquet", columns=["x"])["x"].to_list() == [0]


def test_a_file_that_fails_half_way_leaves_the_one_before_it_and_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "page", "old")
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "page") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"page": "old"}


def test_what_a_killed_process_left_is_gone_after_the_next_one_and_what_a_live_one_writes_is_not(
    tmp_path: Path,
) -> None:
    code = f"import os; print(os.getpid()); open({str(tmp_path / 'page')!r} + f'.{{os.getpid()}}.partial', 'w')"
    dead = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    live = tmp_path / f"page.{os.getppid()}.partial"
    other = tmp_path / f"pages.{dead}.partial"
    live.touch()
    other.touch()
    write_whole(tmp_path / "page", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["page", live.name, other.name])


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), pl.exceptions.ComputeError("IO: No space left on device (os error 28)")],
    ids=["the system", "polars"],
)  # fmt: skip
def test_a_full_disk_names_the_file(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(OSError, match="No space left on device") as raised, whole_file(tmp_path / "x") as file:
        file.write(b"half")
        raise error
    assert raised.value.filename == str(tmp_path / "x") and list(tmp_path.iterdir()) == []


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"x\.parquet is missing"):
        read_table(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(InputError, match=r"x\.parquet cannot be read as parquet"):
        read_table(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"3", b"\xff", b"", b"[" * 200_000, b'{"a": ' + b"9" * 10_000 + b"}"],
    ids=["cut", "a list", "a number", "no UTF-8", "nothing", "deep", "a huge number"],
)  # fmt: skip
def test_what_is_no_json_object_is_one_short_message(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json (is not JSON|holds a)") as error:
        read_json(tmp_path / "x.json")
    assert len(str(error.value)) < 400


def test_an_entry_that_is_not_there_or_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"name": "n", "folds": "five"}')
    assert read_json(tmp_path / "x.json", {"name": str})["name"] == "n"
    with pytest.raises(InputError, match=r"x\.json lacks folds, cache: not as `omnifuse` wrote it"):
        read_json(tmp_path / "x.json", {"name": str, "folds": int, "cache": dict})
