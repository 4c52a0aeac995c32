"""Trainings that are stopped, or that meet: nothing finished is lost, and no run holds anything of another."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omnifuse.cache_schema import FeatureCache, LockedError, folder_lock
from omnifuse.fusion.runs.run import load_run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.scores.measures import MEASURES, Measure, over_labels
from omnifuse.fusion.training.config import TrainConfig, make_config
from omnifuse.progress import telling

from tests.fusion.training.test_folds import without_seconds

ToyCache = Callable[..., Path]

KILLS = int(os.environ.get("OMNIFUSE_KILLS", "2"))
"""More are tried by hand."""

MOST_FILES = 12
"""A training of three folds has written more when it is in its last, so that it is killed while it runs."""


def quick(method: str = "concat", *overrides: str, **settings: Any) -> TrainConfig:
    return make_config(method, overrides=["fit.epochs=1", "folds=3", *overrides], **settings)


@pytest.fixture(scope="module")
def cache(toy_cache: ToyCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_cache(tmp_path_factory.mktemp("stopped") / "cache")


@pytest.fixture(scope="module")
def undisturbed(cache: Path) -> Path:
    train(cache, quick(), cache.parent / "undisturbed" / "run")
    return cache.parent / "undisturbed" / "run"


@pytest.fixture
def trained() -> Iterator[list[int]]:
    """Return the numbers of the folds that are trained, for one epoch each, as they are."""
    numbers: list[int] = []
    with telling(lambda name, *_: numbers.append(int(name.rpartition(" ")[2]))):
        yield numbers


def stop(cache: Path, config: TrainConfig, out: Path, after: int, **how: Any) -> None:
    """Interrupt a training in a fold, after those before it."""

    def interrupt(name: str, *_: object) -> None:
        if name.endswith(f"fold {after}"):
            raise KeyboardInterrupt

    with telling(interrupt), pytest.raises(KeyboardInterrupt):
        train(cache, config, out, **how)


def assert_same_bytes(one: Path, two: Path) -> None:
    """Compare all but seconds, the number of workers, and the checksums of the files that hold them."""
    files = {path.relative_to(one) for path in one.rglob("*") if path.is_file()}
    assert files == {path.relative_to(two) for path in two.rglob("*") if path.is_file()}
    for name in files - {Path(name) for name in ("metrics.json", "environment.json", "checksums.json")}:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    assert without_seconds(one / "metrics.json") == without_seconds(two / "metrics.json")
    load_run(two)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def only_partial(folder: Path) -> Path:
    (partial,) = folder.glob("*.partial")
    return partial


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stopped_training_goes_on_from_its_finished_folds(
    workers: int, cache: Path, undisturbed: Path, tmp_path: Path
) -> None:
    stop(cache, quick(), tmp_path / "run", after=2)
    finished = only_partial(tmp_path) / "folds"
    assert names(finished) == ["0", "1"]
    written = (finished / "0" / "model.safetensors").stat().st_mtime_ns
    train(cache, quick(), tmp_path / "run", workers)
    assert names(tmp_path) == ["run"]
    assert (tmp_path / "run/folds/0/model.safetensors").stat().st_mtime_ns == written
    assert_same_bytes(undisturbed, tmp_path / "run")


@pytest.mark.parametrize("name", ["model.safetensors", "predictions.parquet", "result.safetensors", "checksums.json"])
def test_a_fold_with_a_cut_file_is_trained_again(
    name: str, cache: Path, undisturbed: Path, tmp_path: Path, trained: list[int]
) -> None:
    stop(cache, quick(), tmp_path / "run", after=2)
    file = only_partial(tmp_path) / "folds" / "1" / name
    file.write_bytes(file.read_bytes()[:-2])
    train(cache, quick(), tmp_path / "run")
    assert trained == [1, 2]
    assert_same_bytes(undisturbed, tmp_path / "run")


@pytest.mark.parametrize(
    ("method", "overrides"), [("omnifuse", ["missing.rate=0.3"]), ("unimodal", ["search.trials=2"]), ("g-blend", [])]
)
def test_what_folds_found_survives_a_stop(method: str, overrides: list[str], cache: Path, tmp_path: Path) -> None:
    config = quick(method, *overrides)
    train(cache, config, tmp_path / "undisturbed" / "run")
    stop(cache, config, tmp_path / "run", after=1)
    train(cache, config, tmp_path / "run")
    assert_same_bytes(tmp_path / "undisturbed" / "run", tmp_path / "run")


def test_a_training_stopped_after_its_last_fold_trains_nothing_again(
    cache: Path, undisturbed: Path, tmp_path: Path, trained: list[int]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with measure_that_stops(), pytest.raises(KeyboardInterrupt):
        train(cache, quick(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(KeyboardInterrupt):
        train(cache, quick(), tmp_path / "run", report=interrupt)
    assert not (tmp_path / "run").exists()
    train(cache, quick(), tmp_path / "run", report=lambda folder: (folder / "report.html").write_text("whole"))
    assert trained == [0, 1, 2]
    assert (tmp_path / "run" / "report.html").read_text() == "whole"
    (tmp_path / "run" / "report.html").unlink()
    assert_same_bytes(undisturbed, tmp_path / "run")


@contextmanager
def measure_that_stops() -> Iterator[None]:
    """A measure that is interrupted once it is asked about test samples."""

    def stopped(y: np.ndarray, _: np.ndarray) -> float:
        if len(y) >= 20:  # a fold, rather than the few labels on which a measure is tried
            raise KeyboardInterrupt
        return 0.5

    measure = Measure("stopping", over_labels(stopped), higher_is_better=True, guessing=lambda _: 0.0)
    MEASURES.register("stopping", measure)
    try:
        yield
    finally:
        MEASURES.forget("stopping")


def test_a_report_that_fails_does_not_lose_the_run(cache: Path, tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        raise OSError("no room for the page")

    with pytest.raises(OSError, match="no room"):
        train(cache, quick(), tmp_path / "run", report=fail)
    assert names(tmp_path) == ["run"]
    load_run(tmp_path / "run")


def test_other_settings_take_nothing_over_and_leave_alone_what_is_unfinished(
    cache: Path, undisturbed: Path, tmp_path: Path, trained: list[int]
) -> None:
    stop(cache, quick(), tmp_path / "run", after=2, numbered=True)
    assert train(cache, quick(seed=1), tmp_path / "run", numbered=True).name == "run-2"
    assert trained == [0, 1, 2]
    assert train(cache, quick(), tmp_path / "run", numbered=True).name == "run"
    assert trained == [0, 1, 2, 2]
    assert names(tmp_path) == ["run", "run-2"]
    assert_same_bytes(undisturbed, tmp_path / "run")


def test_another_cache_takes_nothing_over(cache: Path, toy_cache: ToyCache, tmp_path: Path, trained: list[int]) -> None:
    stop(cache, quick(), tmp_path / "run", after=2)
    train(toy_cache(tmp_path / "other", seed=1), quick(), tmp_path / "run")
    assert trained == [0, 1, 2]


def test_a_run_that_is_complete_clears_away_what_was_left_under_its_name(cache: Path, tmp_path: Path) -> None:
    stop(cache, quick(seed=1), tmp_path / "run", after=1)
    stop(cache, quick(), tmp_path / "run.b", after=1)
    kept = next(name for name in names(tmp_path) if name.startswith("run.b."))
    train(cache, quick(), tmp_path / "run")
    assert names(tmp_path) == ["run", kept]


def test_a_training_goes_on_under_the_number_that_it_had(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    stop(cache, quick(), tmp_path / "run", after=1, numbered=True)
    (tmp_path / "run").rmdir()
    assert train(cache, quick(), tmp_path / "run", numbered=True).name == "run-2"


def test_a_name_that_another_training_holds_is_refused_with_its_owner(cache: Path, tmp_path: Path) -> None:
    with (
        folder_lock(tmp_path / "run", "a training"),
        pytest.raises(LockedError, match=rf"run is in use by a training on .* \(process {os.getpid()} of "),
    ):
        train(cache, quick(), tmp_path / "run")
    assert names(tmp_path) == []


def test_trainings_of_one_default_name_at_the_same_moment_get_names_of_their_own(cache: Path, tmp_path: Path) -> None:
    configs = [quick(seed=seed) for seed in (0, 1, 1)]
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda config: train(cache, config, tmp_path / "run", numbered=True), configs))
    assert sorted(run.name for run in found) == ["run", "run-2", "run-3"] == names(tmp_path)
    for config, run in zip(configs, found, strict=True):
        assert load_run(tmp_path / run.name).config.seed == config.seed == run.metrics.seed


def test_a_run_tells_of_the_cache_that_it_was_trained_on_although_it_was_replaced(
    toy_cache: ToyCache, tmp_path: Path
) -> None:
    path = toy_cache(tmp_path / "cache")
    before = FeatureCache.open(path)

    with telling(lambda *_: toy_cache(path, recipe=2)):
        metrics = train(path, quick(), tmp_path / "run").metrics
    assert FeatureCache.open(path).digest != before.digest == metrics.cache.digest
    stored = json.loads((tmp_path / "run" / "config.json").read_text())["model"]["inputs"]
    for name, recipe in metrics.recipes.items():
        assert recipe == stored[name]["recipe"] and recipe["version"] == 1


PROGRAM = """
import sys
from pathlib import Path
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config

cache, run, workers = sys.argv[1:]
train(cache, make_config("concat", overrides=["fit.epochs=1", "folds=3"]), Path(run), int(workers))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_trainings_end_with_the_same_bytes(workers: int, cache: Path, undisturbed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(cache), str(tmp_path / "run"), str(workers)]
    chance = random.Random(workers)
    for _ in range(KILLS // 2):
        kill_after(chance.randint(0, MOST_FILES), command, tmp_path)
    train(cache, quick(), tmp_path / "run")
    assert names(tmp_path) == ["run"]
    assert_same_bytes(undisturbed, tmp_path / "run")


def kill_after(files: int, command: list[str], folder: Path) -> None:
    """Run a command and kill it when it has written some files."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and sum(path.is_file() for path in folder.rglob("*")) < files:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
