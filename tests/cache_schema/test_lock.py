"""One extraction at a time: a living owner is respected, a dead one is taken over, another host is named."""

import json
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


def test_a_living_owner_keeps_the_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(CacheLockedError, match=f'"pid": {holder.pid}'), cache_lock(tmp_path / "cache"):
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
        pytest.raises(CacheLockedError, match=r"process 7, u, since 2026.*rm .*cache.lock"),
        cache_lock(tmp_path / "cache"),
    ):
        pass
    lock.unlink()


def test_the_lock_leaves_nothing_behind(tmp_path: Path) -> None:
    with cache_lock(tmp_path / "cache"):
        assert (tmp_path / "cache.lock").exists()
    assert list(tmp_path.iterdir()) == []
