"""A training from cache to run folder."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from ...cache_schema import FeatureCache, InputError, shown
from ...device import check_device
from ..files import write_json, write_table
from ..inputs.loading import default_limit
from ..inputs.splits import split_frame
from ..scores.notes import data_notes
from ..sealed_folder import is_sealed, seal
from ..training.config import TrainConfig
from ..training.fold_result import OF_THE_TRAINING_ALONE, FoldResult
from ..training.folds import finished_folds, train_folds, train_stored_folds
from ..training.predictions import HOURS
from .folder import RunFolder
from .metrics import FORMAT, RunMetrics
from .plan import TrainingPlan, environment, plan_training
from .run import MODEL, Run
from .summary import summarise
from .typed_json import write
from .workspace import claim, refuse_existing

BYTES_OF_A_PROCESS = 1 << 30
"""What a process that trains takes beside the rows, about: torch, statistics of 10,000 stays, a model."""

logger = logging.getLogger(__name__)


def train(
    cache: FeatureCache | str | Path,
    config: TrainConfig,
    run_dir: str | Path,
    workers: int = 1,
    memory_limit: int | None = None,
    *,
    numbered: bool = False,
    report: Callable[[Path], object] | None = None,
) -> Run:
    """Train and test a method by cross-validation, or on the cache's own split; return the run, a new folder.

    Up to ``workers`` folds are trained at once. Rows for which there is no room in ``memory_limit`` bytes, those of all
    processes together, stay on disk; by default rows get half of the memory that is available. Both change the time and
    nothing else. Each test part is predicted by the model of its fold alone, after training has ended.

    The folder appears under its name when everything in it is complete, what ``report`` adds to it included; with
    ``numbered`` a name that is taken gets the first free number behind it. Until then a training works in a folder of
    its own beside it. Stopped at any moment, the same training goes on from its finished folds and ends with the same
    bytes; others leave them alone, until a run is complete under the name that they were meant for.

    Raises
    ------
    InputError
        For an unknown task, modality or split, a run folder that already exists, or too few subjects.
    LockedError
        If another training is about to write the same run folder.
    """
    started, run_dir = time.perf_counter(), Path(run_dir)
    check_device(config.device)
    _check_bounds(workers, memory_limit)
    if not numbered:
        refuse_existing(run_dir)
    plan = plan_training(cache if isinstance(cache, FeatureCache) else FeatureCache.open(cache), config)
    with claim(run_dir, plan.fingerprint, numbered) as workspace:
        files = RunFolder(workspace.path)
        if not is_sealed(files.path):
            folds = _train_folds(plan, files, min(workers, len(plan.splits)), memory_limit)
            _write_run(plan, folds, files, workspace.run.name, started)
        for name in OF_THE_TRAINING_ALONE:
            for file in files.of_folds(name):
                file.unlink()
        try:
            if report is not None:
                report(files.path)
        except Exception:
            workspace.finish()  # the run is complete, and its report can be asked for again
            raise
        workspace.finish()
    return Run(workspace.run)


def _check_bounds(workers: int, memory_limit: int | None) -> None:
    if not isinstance(workers, int) or workers < 1:
        raise InputError(f"workers = {shown(workers)}; it takes one at least.")
    if memory_limit is not None and (not isinstance(memory_limit, int) or memory_limit < 0):
        raise InputError(f"memory_limit = {shown(memory_limit)}; give a number of bytes, such as 8_000_000_000.")


def _train_folds(plan: TrainingPlan, files: RunFolder, workers: int, memory_limit: int | None) -> list[FoldResult]:
    """Train the folds that no earlier training has finished in a folder, and return the results of all."""
    config, selection, folder, folds = plan.config, plan.selection, files.path, files.folds
    folds.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and path != folds:
            shutil.rmtree(path)
        elif path != folds:
            path.unlink()
    write_json(files.config, {**config.to_dict(), MODEL: plan.demands})
    write_json(files.environment, {**environment(config), "workers": workers})
    write_table(files.splits, split_frame(plan.splits, plan.cohort))
    finished = finished_folds(folds)
    if finished:
        logger.info("going on with %s: %d of %d folds are finished", folder, len(finished), len(plan.splits))
    left = {fold: split for fold, split in enumerate(plan.splits) if fold not in finished}
    room = default_limit() if memory_limit is None else memory_limit - workers * BYTES_OF_A_PROCESS
    large = selection.bytes > room
    if left and workers == 1 and not large:
        train_folds(selection.read(selection.bytes), left, config, folds)
    elif left:
        stored = selection.store(folder / "rows")
        if large:
            logger.info("rows take %.1f GB: they stay on disk and are read as batches need them", selection.bytes / 1e9)
        try:
            train_stored_folds(stored, left, config, folds, workers)
        finally:
            stored.remove()
    return [FoldResult.load(files.fold(fold)) for fold in range(len(plan.splits))]


def _write_run(plan: TrainingPlan, folds: Sequence[FoldResult], files: RunFolder, name: str, started: float) -> None:
    """Write what follows from the folds, and last the checksums of everything that the run will keep."""
    _write_tables(folds, files)
    notes = [*data_notes(plan.cache.dataset, plan.recipes), *plan.notes]
    metrics = {
        "run": name,
        "format": FORMAT,
        **summarise(plan.cohort, plan.config, folds, plan.hidden, notes),
        "method_words": write(plan.words),
        "titles": write(plan.titles),
        "package": write(plan.package),
        "encoder_packages": write(plan.encoder_packages),
        "cache": write(plan.cache),
        "recipes": plan.recipes,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 2),
        "sites": list(plan.sites),
    }
    write_json(files.metrics, RunMetrics.from_json(metrics).to_json())
    found = (path for path in files.path.rglob("*") if path.is_file())
    kept = [file for file in found if file.parent == files.path or file.name not in OF_THE_TRAINING_ALONE]
    seal(files.path, kept)


def _write_tables(results: Sequence[FoldResult], files: RunFolder) -> None:
    """Write the predictions and the tables of the method, each over all folds."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for fold, result in enumerate(results):
        for name, rows in result.tables.items():
            tables.setdefault(name, []).extend({"fold": fold, **row} for row in rows)
    for name, rows in tables.items():
        write_table(files.table(name), pl.DataFrame(rows, infer_schema_length=None))
    said = pl.concat(result.rows for result in results)
    write_table(files.predictions, said.sort("sample_id", *({HOURS} & {*said.columns})))
