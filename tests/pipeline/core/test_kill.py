"""Killed at random moments and started again, an extraction ends with the same bytes as an undisturbed one."""

import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from omnifuse.cache_schema import FeatureCache, verify_cache
from omnifuse.cli import main
from omnifuse.pipeline.core.plan import parts_folder
from omnifuse.pipeline.synthetic import SynthSettings, write_cohort

KILLS = int(os.environ.get("OMNIFUSE_KILLS", "2"))
"""The benchmark asks for more."""

SMALL_PARTS = "import omnifuse.pipeline.core.encode as encode, omnifuse.cli as cli; encode.PART_ITEMS = 4; cli.main()"
"""The command line with parts of few items, so that a small cohort has many."""


def command(raw: Path, cache: Path, workers: int, *more: str) -> list[str]:
    options = ["--text-encoder", "random", "--image-encoder", "random", "--workers", str(workers), *more]
    return ["extract", "--dataset", "synthetic", "--raw", str(raw), "--cache", str(cache), *options]


def here(arguments: list[str]) -> None:
    """Run a command in this process, with parts of the usual size."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output


def ends(arguments: list[str], temporary: Path, files: float = math.inf) -> bool:
    """Run a command and kill it when it has written some files; return whether it ended by itself before."""
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary)}
    program = [sys.executable, "-c", SMALL_PARTS, *arguments]
    before = number_of_files(temporary.parent)
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    while process.poll() is None and number_of_files(temporary.parent) - before < files:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() in (0, -signal.SIGKILL)
    return process.returncode == 0


def know_weights(finished: Path, cache: Path) -> None:
    """Let a cache begin with the digests of another, that of the seeded weights included, which takes seconds."""
    parts_folder(cache).mkdir(parents=True)
    shutil.copy(parts_folder(finished) / "digests.memo", parts_folder(cache))


def number_of_files(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def leftovers(folder: Path) -> list[Path]:
    """Return what an extraction must not leave behind: halves of files, locks and temporary files."""
    names = ("*.partial*", "*.lock", "omnifuse-*")
    return [path for name in names for path in folder.rglob(name)]


def parts_of(cache: Path) -> dict[str, int]:
    """Return the complete parts of a cache with the time at which each was written."""
    files = cache.with_name(cache.name + ".items").glob("*/*.safetensors")
    return {file.name: file.stat().st_mtime_ns for file in files if not file.name.startswith("block-")}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few stays with images and reports; read-only for tests."""
    raw = tmp_path_factory.mktemp("kill") / "raw"
    write_cohort(raw, SynthSettings(stays=40, events_per_stay=30, images=12))
    return raw


@pytest.fixture(scope="module")
def undisturbed(raw: Path) -> Path:
    here(command(raw, raw.parent / "undisturbed" / "cache", 0))
    return raw.parent / "undisturbed" / "cache"


@pytest.mark.parametrize(("workers", "kills"), [(0, KILLS // 2), (1, KILLS - KILLS // 2)])
def test_killed_extractions_end_with_the_same_bytes(
    raw: Path, undisturbed: Path, tmp_path: Path, workers: int, kills: int
) -> None:
    expected, most = FeatureCache.open(undisturbed).manifest, number_of_files(undisturbed.parent)
    moments = random.Random(workers)
    killed = attempts = 0
    while killed < kills:
        cache = tmp_path / f"attempt-{attempts}"
        attempts += 1
        know_weights(undisturbed, cache)
        finished = False
        while not finished:
            before = parts_of(cache)
            files = moments.randint(0, most) if killed < kills else math.inf
            finished = ends(command(raw, cache, workers), tmp_path / "temporary", files)
            killed += not finished
            assert before.items() <= parts_of(cache).items(), "a complete part was encoded again"
        assert verify_cache(cache).passed
        assert FeatureCache.open(cache).manifest == expected
        assert not leftovers(tmp_path)


def test_killed_extractions_with_another_option_end_with_the_same_bytes_and_leave_nothing(
    raw: Path, undisturbed: Path, tmp_path: Path
) -> None:
    first, again = ["--limit", "30"], ["--bin-hours", "4"]
    base, moments = tmp_path / "base", random.Random(2)
    know_weights(undisturbed, base / "cache")
    here(command(raw, base / "cache", 0, *first))
    before = number_of_files(base)
    shutil.copytree(base, tmp_path / "undisturbed")
    here(command(raw, tmp_path / "undisturbed/cache", 0, *again))
    expected = FeatureCache.open(tmp_path / "undisturbed/cache").manifest
    for kill in range(max(1, KILLS // 2)):
        folder = tmp_path / f"attempt-{kill}"
        shutil.copytree(base, folder)
        arguments = command(raw, folder / "cache", 0, *again)
        ends(arguments, tmp_path / "temporary", moments.randint(0, before))
        assert ends(arguments, tmp_path / "temporary")
        assert verify_cache(folder / "cache").passed
        assert FeatureCache.open(folder / "cache").manifest == expected
        assert not leftovers(tmp_path)
