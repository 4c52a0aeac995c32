"""Run folders with given predictions, as a training would leave them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from omnifuse.cache_schema import RaggedArray, Task, offsets_of
from omnifuse.fusion.files import write_json, write_table
from omnifuse.fusion.inputs.batches import Cohort, Source
from omnifuse.fusion.methods.base import Prediction
from omnifuse.fusion.runs.folder import RunFolder
from omnifuse.fusion.runs.metrics import FORMAT, RunMetrics
from omnifuse.fusion.runs.summary import summarise
from omnifuse.fusion.sealed import SEAL, seal
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.fold_result import FoldResult
from omnifuse.fusion.training.outcome import evaluation_times
from omnifuse.fusion.training.predictions import Predicted, frame

MODALITIES = ("ehr", "rep")
CACHE = {"path": "cache", "digest": "5f" * 32, "dataset": "toy", "versions": {}}


def write_run(path: Path, y: np.ndarray, p: np.ndarray, folds: int = 2, **more: Any) -> None:
    """Write the run of a binary task in which sample i is tested in fold i % folds; ``more`` are other metrics."""
    task = Task("outcome", "binary", ("outcome",), y[:, None].astype(np.float32))
    write_run_of(path, task, p[:, None], folds, **more)


def write_run_of(path: Path, task: Task, p: np.ndarray, folds: int = 2, **more: Any) -> None:
    """Do the same for any task, of whose samples p [N, K] was predicted."""
    y = task.y
    count = np.arange(len(y))
    rows = RaggedArray(
        np.zeros((len(y), 1), np.float32), offsets_of(np.ones(len(y), int)), np.zeros(len(y), np.float32)
    )
    cohort = Cohort(task, count, count, task.y, {name: Source("features", (), rows) for name in MODALITIES})
    results = [_result(cohort, count[count % folds == fold], p, fold) for fold in range(folds)]
    hidden = np.zeros_like(cohort.presence)
    found = {
        "run": path.name, "format": FORMAT, **summarise(cohort, make_config("concat"), results, hidden, []),
        "method_words": {"terms": {}, "weight": None}, "titles": {"task": None, "modalities": {}}, "package": None,
        "cache": CACHE, "recipes": {}, "finished": "",
        "seconds": 0.0,
    }  # fmt: skip
    files = RunFolder(path)
    write_json(files.metrics, replace(RunMetrics.from_json(found), **more).to_json())
    write_table(files.predictions, pl.concat(result.rows for result in results).sort("sample_id"))
    write_json(files.config, {})
    write_json(files.environment, {})
    reseal(path)


def reseal(path: Path) -> None:
    """Take a run folder as it is for what a training left."""
    seal(path, (file for file in path.iterdir() if file.name != SEAL))


def _result(cohort: Cohort, tested: np.ndarray, p: np.ndarray, fold: int) -> FoldResult:
    chance = torch.from_numpy(p[tested])
    predicted = Predicted(tested, cohort.y[tested], cohort.presence[tested], Prediction(chance), fold)
    nothing = np.zeros((0, *chance.shape), dtype=np.float32)
    rows = frame(predicted, cohort.task, cohort.modalities, evaluation_times(cohort.task, cohort.y))
    return FoldResult(
        tested, cohort.presence[tested], chance.numpy(), None, nothing, chance.numpy(), rows, {}, {}, [],
        epochs=1, seconds=0.0,
    )  # fmt: skip
