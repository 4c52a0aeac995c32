"""Temporary files of patients live no longer than their process, even if that is killed."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from omnifuse.pipeline.temporary import PREFIX, TemporaryFolder, sweep

HOLD = """
import sys
from omnifuse.pipeline.temporary import TemporaryFolder
folder = TemporaryFolder()
(folder.path / "events").mkdir()
(folder.path / "events" / "0.arrow").write_text("patients")
print(folder.path.parent, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path


@pytest.fixture
def holder() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that holds a temporary folder."""
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_a_folder_is_for_its_owner_and_is_removed(tmp_path: Path) -> None:
    folder = TemporaryFolder()
    assert (folder.path.parent.stat().st_mode & 0o777, folder.path.parent.parent) == (0o700, tmp_path)
    (folder.path / "file").write_text("patients")
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_living_process_stays_and_that_of_a_killed_one_goes(
    holder: tuple[subprocess.Popen[str], Path],
) -> None:
    process, folder = holder
    mine = TemporaryFolder()
    sweep()
    assert (folder / "files/events/0.arrow").exists() and mine.path.exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (folder / "files/events/0.arrow").exists()
    sweep()
    assert not folder.exists() and mine.path.exists()
    mine.remove()


def test_a_removal_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / f"{PREFIX}abc"
    folder.mkdir()
    (folder / "lock").touch()
    sweep()
    assert not folder.exists()


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    kept = tmp_path / "precious"
    (kept / "files").mkdir(parents=True)
    (kept / "lock").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(kept)
    (tmp_path / f"{PREFIX}unlocked").mkdir()
    sweep()
    assert (kept / "files").exists() and (tmp_path / f"{PREFIX}unlocked").exists()
