"""One extraction at a time: a living owner is respected, a dead one is taken over, another host is named."""

import getpass
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from omnifuse.cache_schema import CacheLockedError, cache_lock

HOLD = """
import sys, time, pathlib
from omnifuse.cache_schema import cache_lock
with cache_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "cache")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def said_of(holder: subprocess.Popen[str]) -> str:
    """Return the pattern of what a person is told of a living owner."""
    who = rf"process {holder.pid} of {re.escape(getpass.getuser())}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    return rf"cache is in use by an extraction on {re.escape(socket.gethostname())} \({who}\)\. Wait for it"


def test_a_living_owner_keeps_the_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(CacheLockedError, match=said_of(holder)), cache_lock(tmp_path / "cache"):
        pass


def test_a_killed_owner_is_taken_over(
    tmp_path: Path, holder: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    holder.kill()
    holder.wait()
    with cache_lock(tmp_path / "cache"):
        pass
    assert f"Taking over from an extraction that died (process {holder.pid}" in capsys.readouterr().err


def test_another_host_is_named_with_the_command_that_clears_it(tmp_path: Path) -> None:
    lock = tmp_path / "cache.lock"
    lock.write_text(json.dumps({"user": "u", "host": socket.gethostname() + "-2", "pid": 7, "since": "2026"}))
    with (
        pytest.raises(CacheLockedError, match=r"-2 \(process 7 of u, since 2026\).*rm .*cache.lock"),
        cache_lock(tmp_path / "cache"),
    ):
        pass
    lock.unlink()


@pytest.mark.parametrize("content", [b"\0" * 40, b"\xff", b"[]", b"{}", b'{"host": 1}', b"[" * 5000, b"x" * 5000])
def test_a_lock_that_cannot_be_read_is_named_with_the_command_that_clears_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "it's.lock").write_bytes(content)
    with (
        pytest.raises(CacheLockedError, match=r"cannot be named.*remove the lock: rm '.*/it'\"'\"'s.lock'$"),
        cache_lock(tmp_path / "it's"),
    ):
        pass


def test_a_user_without_a_name_is_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr("getpass.getuser", nobody)
    with cache_lock(tmp_path / "cache"):
        assert json.loads((tmp_path / "cache.lock").read_text())["user"] == str(os.getuid())


def test_a_link_and_where_it_leads_share_a_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    with pytest.raises(CacheLockedError, match=said_of(holder)), cache_lock(tmp_path / "link"):
        pass


def test_the_lock_leaves_nothing_behind(tmp_path: Path) -> None:
    with cache_lock(tmp_path / "cache"):
        assert (tmp_path / "cache.lock").exists()
    assert list(tmp_path.iterdir()) == []
