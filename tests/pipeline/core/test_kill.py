"""Killed at random moments and started again, an extraction ends with the same bytes as an undisturbed one."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from omnifuse.cache_schema import FeatureCache, verify_cache

KILLS = int(os.environ.get("OMNIFUSE_KILLS", "3"))
"""The benchmark asks for more."""

SMALL_PARTS = "import omnifuse.pipeline.core.encode as encode, omnifuse.cli as cli; encode.PART_ITEMS = 8; cli.main()"
"""The command line with parts of few items, so that a small cohort has many."""


def command(raw: Path, cache: Path, workers: int, *more: str) -> list[str]:
    options = ["--text-encoder", "random", "--image-encoder", "random", "--workers", str(workers), *more]
    extract = ["extract", "--dataset", "synthetic", "--raw", str(raw), "--cache", str(cache), *options]
    return [sys.executable, "-c", SMALL_PARTS, *extract]


def run_for(seconds: float, arguments: list[str], temporary: Path) -> bool:
    """Run a command and kill it after some seconds; return whether it ended by itself before."""
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        assert process.wait(timeout=seconds) == 0
        return True
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False


def leftovers(folder: Path) -> list[Path]:
    """Return what an extraction must not leave behind: halves of files, locks and temporary files."""
    names = ("*.partial*", "*.lock", "omnifuse-*")
    return [path for name in names for path in folder.rglob(name)]


def parts_of(cache: Path) -> dict[str, int]:
    """Return the complete parts of a cache with the time at which each was written."""
    files = cache.with_name(cache.name + ".items").glob("*/*.safetensors")
    return {file.name: file.stat().st_mtime_ns for file in files if not file.name.startswith("block-")}


@pytest.mark.parametrize(("workers", "kills"), [(0, KILLS // 2), (1, KILLS - KILLS // 2)])
def test_killed_extractions_end_with_the_same_bytes(
    synthetic_raw: Path, tmp_path: Path, workers: int, kills: int
) -> None:
    begin = time.perf_counter()
    subprocess.run(command(synthetic_raw, tmp_path / "undisturbed", workers), check=True, capture_output=True)
    duration = time.perf_counter() - begin
    expected = FeatureCache.open(tmp_path / "undisturbed").manifest
    moments = random.Random(workers)
    killed = attempts = 0
    while killed < kills:
        cache = tmp_path / f"attempt-{attempts}"
        attempts += 1
        finished = False
        while not finished:
            before = parts_of(cache)
            patience = moments.uniform(0.2, 1.0) * duration if killed < kills else 10 * duration
            finished = run_for(patience, command(synthetic_raw, cache, workers), tmp_path / "temporary")
            killed += not finished
            assert before.items() <= parts_of(cache).items(), "a complete part was encoded again"
        assert verify_cache(cache).passed
        assert FeatureCache.open(cache).manifest == expected
        assert not leftovers(tmp_path)


def test_killed_extractions_with_another_option_end_with_the_same_bytes_and_leave_nothing(
    synthetic_raw: Path, tmp_path: Path
) -> None:
    first, again = ["--limit", "40"], ["--bin-hours", "4"]
    base, moments = tmp_path / "base", random.Random(2)
    subprocess.run(command(synthetic_raw, base / "cache", 0, *first), check=True, capture_output=True)
    shutil.copytree(base, tmp_path / "undisturbed")
    begin = time.perf_counter()
    subprocess.run(command(synthetic_raw, tmp_path / "undisturbed/cache", 0, *again), check=True, capture_output=True)
    duration = time.perf_counter() - begin
    expected = FeatureCache.open(tmp_path / "undisturbed/cache").manifest
    for kill in range(max(1, KILLS // 2)):
        folder = tmp_path / f"attempt-{kill}"
        shutil.copytree(base, folder)
        arguments = command(synthetic_raw, folder / "cache", 0, *again)
        run_for(moments.uniform(0.2, 1.1) * duration, arguments, tmp_path / "temporary")
        assert run_for(10 * duration, arguments, tmp_path / "temporary")
        assert verify_cache(folder / "cache").passed
        assert FeatureCache.open(folder / "cache").manifest == expected
        assert not leftovers(tmp_path)
