"""Folds in processes: the same bytes as one after the other, and one clear end if anything goes wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from omnifuse.cache_schema import InputError, OmniFuseError
from omnifuse.fusion.inputs.batches import Cohort
from omnifuse.fusion.inputs.splits import k_folds, strata
from omnifuse.fusion.inputs.stored import StoredCohort
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import TrainConfig, changed, make_config
from omnifuse.fusion.training.folds import torch_threads, train_folds, train_stored_folds


def without_seconds(metrics: Path) -> str:
    """Return metrics.json without what a clock decides."""
    content: dict[str, Any] = json.loads(metrics.read_text())
    del content["seconds"], content["finished"]
    for fold in content["folds"]:
        del fold["seconds"]
    return json.dumps(content)


@pytest.mark.parametrize(("workers", "memory_limit"), [(2, None), (1, 0)])
def test_neither_the_number_of_workers_nor_rows_on_disk_change_a_byte(
    toy_cache: Callable[..., Path], tmp_path: Path, workers: int, memory_limit: int | None
) -> None:
    cache = toy_cache(tmp_path / "cache")
    overrides = ["fit.epochs=2", "folds=3", "encoder.timeseries=both", "validation=0.2", "missing.rate=0.3"]
    one, two = (tmp_path / name / "run" for name in ("plain", "other"))
    with torch_threads(2):  # as if the machine had another number of cores
        train(cache, make_config("omnifuse", overrides=overrides), one, workers=1)
    train(cache, make_config("omnifuse", overrides=overrides), two, workers, memory_limit)
    files = {path.relative_to(one) for path in one.rglob("*") if path.is_file()}
    assert files == {path.relative_to(two) for path in two.rglob("*") if path.is_file()}
    timed = {Path("metrics.json"), Path("environment.json"), Path("checksums.json")}
    for name in files - timed:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    assert without_seconds(one / "metrics.json") == without_seconds(two / "metrics.json")
    environments = [json.loads((run / "environment.json").read_text()) for run in (one, two)]
    assert [made["threads"] for made in environments] == [1, 1]
    assert [made["workers"] for made in environments] == [1, workers]


def store(cohort: Cohort, folder: Path) -> StoredCohort:
    return StoredCohort.write(cohort, folder, {name: [source.rows.values] for name, source in cohort.sources.items()})


def test_a_stored_cohort_is_the_cohort_and_outlives_its_files(
    toy_cohort: Callable[..., Cohort], tmp_path: Path
) -> None:
    cohort = toy_cohort()
    stored = store(cohort, tmp_path / "rows")
    for source in stored.without_rows.sources.values():
        assert source.rows.values.size == 0 and source.rows.values.base is None  # a view would hold all rows
    opened = stored.open()
    stored.remove()
    assert opened.modalities == cohort.modalities
    for name, source in cohort.sources.items():
        np.testing.assert_array_equal(opened.sources[name].rows.values, source.rows.values)
        assert opened.sources[name].rows.values.dtype == source.rows.values.dtype


def in_processes(cohort: Cohort, folder: Path, count: int) -> None:
    """Train a fold as often as wanted, by two processes."""
    config = make_config("concat", overrides=["fit.epochs=1"])
    (split, _) = k_folds(cohort.subject_id, strata(cohort.y, "binary"), 2, 0.0, 0)
    splits = dict.fromkeys(range(count), split)
    train_stored_folds(store(cohort, folder / "rows"), splits, config, folder, workers=2)


def test_a_killed_process_is_explained(toy_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))

    def kill() -> None:
        while not ended.wait(0.05):
            for process in set(psutil.Process().children(recursive=True)) - before:
                if (tmp_path / "0").exists() and any("spawn_main" in part for part in process.cmdline()):
                    process.kill()

    ended = Event()
    with ThreadPoolExecutor(1) as killer:
        killer.submit(kill)
        try:
            with pytest.raises(OmniFuseError, match="killed, most likely because memory ran out"):
                in_processes(toy_cohort(), tmp_path, count=200)
        finally:
            ended.set()


def test_threads_are_given_back_even_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before


SCRIPT = """
import sys
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config

class Mine(Concat):
    name = "mine"

if __name__ == "__main__":
    METHODS.register("mine", Mine)
    train(sys.argv[1], make_config("mine", overrides=["fit.epochs=1", "folds=2"]), sys.argv[2], workers=2)
"""


def test_a_method_that_a_script_registers_is_trained_by_several_workers(
    toy_cache: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(SCRIPT)
    cache, run = toy_cache(tmp_path / "cache"), tmp_path / "run"
    subprocess.run([sys.executable, tmp_path / "mine.py", cache, run], check=True, capture_output=True)
    assert json.loads((run / "metrics.json").read_text())["method"] == "mine"


def test_a_class_goes_with_its_settings_and_one_that_workers_cannot_import_is_refused(
    toy_cohort: Callable[..., Cohort], tmp_path: Path
) -> None:
    class Mine(Concat):
        name = "mine"

    cohort, config = toy_cohort(), changed(TrainConfig("mine", method_class=Mine), ["fit.epochs=1"])
    splits = dict(enumerate(k_folds(cohort.subject_id, strata(cohort.y, "binary"), 2, 0.0, 0)))
    train_folds(cohort, splits, config, tmp_path)
    with pytest.raises(InputError, match=r"cannot import .*Mine, the class of the method 'mine': write it at the top"):
        train_stored_folds(store(cohort, tmp_path / "rows"), splits, config, tmp_path, workers=2)
