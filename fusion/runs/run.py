"""A training from cache to run folder, and a run folder back to predictions."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import torch

from ...cache_schema import FeatureCache, InputError
from ..device import check_device
from ..files import read_json, write_json, write_table
from ..inputs.batches import Cohort
from ..inputs.loading import default_limit, load
from ..inputs.preparation import prepare
from ..inputs.splits import split_frame
from ..methods.base import Prediction
from ..scores.notes import data_notes
from ..sealed import check_seal, is_sealed, seal
from ..training import loop as training
from ..training.config import TrainConfig
from ..training.fold_result import OF_THE_TRAINING_ALONE, FoldResult
from ..training.folds import finished_folds, torch_threads, train_folds, train_stored_folds
from ..training.model import Model, check_inputs, task_view
from ..training.predictions import Predicted, frame, mean_prediction
from .answer import Answer, answer, trained_ranges
from .plan import TrainingPlan, environment, plan_training
from .summary import summarise
from .unseen import Asked, who_answers
from .workspace import claim, refuse_existing

BYTES_OF_A_PROCESS = 1 << 30
"""What a process that trains takes beside the rows, about: torch, statistics of 10,000 stays, a model."""

METRICS = "metrics.json"

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
) -> dict[str, Any]:
    """Train and test a method by cross-validation, or on the cache's own split, and write a run folder.

    Up to ``workers`` folds are trained at once. Rows for which there is no room in ``memory_limit`` bytes, those of all
    processes together, stay on disk; by default rows get half of the memory that is available. Both change the time and
    nothing else. Each test part is predicted by the model of its fold alone, after training has ended.

    The folder appears under its name when everything in it is complete, what ``report`` adds to it included; with
    ``numbered`` a name that is taken gets the first free number behind it. Until then a training works in a folder of
    its own beside it. Stopped at any moment, the same training goes on from its finished folds and ends with the same
    bytes; others leave them alone, until a run is complete under the name that they were meant for.

    Returns
    -------
    The content of metrics.json, of which ``run`` is the folder's name.

    Raises
    ------
    InputError
        For an unknown task, modality or split, a run folder that already exists, or too few subjects.
    LockedError
        If another training is about to write the same run folder.
    """
    started, run_dir = time.perf_counter(), Path(run_dir)
    check_device(config.device)
    if not numbered:
        refuse_existing(run_dir)
    plan = plan_training(cache if isinstance(cache, FeatureCache) else FeatureCache.open(cache), config)
    with claim(run_dir, plan.fingerprint, numbered) as workspace:
        folder = workspace.path
        if not is_sealed(folder):
            folds = _train_folds(plan, folder, min(workers, len(plan.splits)), memory_limit)
            _write_run(plan, folds, folder, workspace.run.name, started)
        for name in OF_THE_TRAINING_ALONE:
            for file in folder.glob(f"folds/*/{name}"):
                file.unlink()
        metrics: dict[str, Any] = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        try:
            if report is not None:
                report(folder)
        except Exception:
            workspace.finish()  # the run is complete, and its report can be asked for again
            raise
        workspace.finish()
    return metrics


def _train_folds(plan: TrainingPlan, folder: Path, workers: int, memory_limit: int | None) -> list[FoldResult]:
    """Train the folds that no earlier training has finished in a folder, and return the results of all."""
    config, selection = plan.config, plan.selection
    folds = folder / "folds"
    folds.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and path != folds:
            shutil.rmtree(path)
        elif path != folds:
            path.unlink()
    write_json(folder / "config.json", {**config.to_dict(), "model": plan.demands})
    write_json(folder / "environment.json", {**environment(config), "workers": workers})
    write_table(folder / "splits.parquet", split_frame(plan.splits, plan.cohort))
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
    return [FoldResult.load(folds / str(fold)) for fold in range(len(plan.splits))]


def _write_run(plan: TrainingPlan, folds: Sequence[FoldResult], folder: Path, name: str, started: float) -> None:
    """Write what follows from the folds, and last the checksums of everything that the run will keep."""
    _write_tables(folds, folder)
    data = {"cache": plan.cache, "recipes": plan.recipes}
    summary = {
        "run": name,
        **summarise(plan.cohort, plan.config, folds, plan.hidden, [*data_notes(data), *plan.notes]),
        **data,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 2),
    }
    write_json(folder / METRICS, summary)
    files = (path for path in folder.rglob("*") if path.is_file())
    seal(folder, [file for file in files if file.parent == folder or file.name not in OF_THE_TRAINING_ALONE])


def _write_tables(results: Sequence[FoldResult], folder: Path) -> None:
    """Write predictions.parquet and the tables of the method, each over all folds."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for fold, result in enumerate(results):
        for name, rows in result.tables.items():
            tables.setdefault(name, []).extend({"fold": fold, **row} for row in rows)
    for name, rows in tables.items():
        write_table(folder / f"{name}.parquet", pl.DataFrame(rows, infer_schema_length=None))
    write_table(folder / "predictions.parquet", pl.concat(result.rows for result in results).sort("sample_id"))


@dataclass(frozen=True)
class Run:
    """A finished training that can predict.

    ``demands`` is what its models demand of a cache; ``folders`` holds one folder per fold.
    """

    path: Path
    config: TrainConfig
    demands: Mapping[str, Any]
    folders: tuple[Path, ...]

    def predict(self, cache: FeatureCache | str | Path, drop: Sequence[str] = ()) -> pl.DataFrame:
        """Predict every sample of a cache that has any of the modalities, by models that have not seen its subject.

        For a subject that a fold tested that is the model of the fold: asked about the cache that it was trained on,
        a run repeats its out-of-fold predictions, to the last digit unless modalities were hidden on purpose. All
        others are predicted by the mean of the folds' models. ``drop`` names modalities to hide. Labels are copied to
        the result if the cache has them, and not used. Columns as in predictions.parquet, with ``fold`` null for a
        mean, and ``models``: who answered, in the words of `fusion.unseen`.

        Raises
        ------
        InputError
            If the cache was made by another recipe than the models were trained on (the difference is named), or if
            ``drop`` names something else than modalities of the run, or all of them.
        """
        return self.answer(cache, drop).table

    def answer(self, cache: FeatureCache | str | Path, drop: Sequence[str] = ()) -> Answer:
        """Do as `predict`, and say what should be known of the predictions."""
        cache = cache if isinstance(cache, FeatureCache) else FeatureCache.open(cache)
        names = tuple(self.demands["inputs"])
        _check_drop(drop, names)
        check_inputs(cache, self.demands["inputs"])
        cohort = load(cache, task_view(cache, self.demands["task"]), names, labelled=False)
        prepared = prepare(cohort, self.config.encoder)
        folds = {int(folder.name): folder for folder in self.folders}
        asked = who_answers(self.path, cohort, folds)
        predictions: list[list[Prediction]] = [[] for _ in asked]
        ranges = []
        with torch_threads(self.config.threads):
            for fold, folder in folds.items():
                model = Model.load(folder, self.config, cohort.task, prepared)
                inputs = model.inputs(cohort, prepared).without(drop)
                for one, said in zip(asked, predictions, strict=True):
                    if fold in one.folds:
                        samples = torch.from_numpy(one.samples).to(self.config.device)
                        said.append(training.predict(model.method, inputs, samples))
                ranges.append(trained_ranges(cohort, model.normaliser))
        table = _answers(cohort, asked, [mean_prediction(said) for said in predictions], drop)
        trained_on = read_json(self.path / METRICS, {"cache": dict})["cache"]["digest"]
        return answer(self.path, table, cohort, ranges, other_cache=cache.digest != trained_on, drop=drop)


def _answers(
    cohort: Cohort, asked: Sequence[Asked], predictions: Sequence[Prediction], drop: Sequence[str]
) -> pl.DataFrame:
    """Return the table of what was said of all samples, in the order of the cohort."""
    presence = cohort.presence & [name not in drop for name in cohort.modalities]
    parts = []
    for one, prediction in zip(asked, predictions, strict=True):
        n = one.samples
        predicted = Predicted(cohort.sample_id[n], cohort.y[n], presence[n], prediction, one.fold)
        table = frame(predicted, cohort.task, cohort.modalities)
        parts.append(table.with_columns(models=pl.lit(one.models), place=pl.Series(n)))
    return pl.concat(parts).sort("place").drop("place")


def load_run(path: str | Path, device: str | None = None) -> Run:
    """Open a run folder for prediction, on another device than it was trained on if wanted.

    Raises
    ------
    MissingInputError
        If the folder is not that of a finished run, or a file of it is missing.
    InputError
        If a file of it is damaged, or this machine has not got the device.
    """
    path = Path(path)
    check_seal(path)
    stored = json.loads((path / "config.json").read_text(encoding="utf-8"))
    wanted = stored.pop("model")
    config = TrainConfig.from_dict(stored)
    check_device(device or config.device)
    folds = len(json.loads((path / METRICS).read_text(encoding="utf-8"))["folds"])
    folders = tuple(path / "folds" / str(fold) for fold in range(folds))
    return Run(path, replace(config, device=device or config.device), wanted, folders)


def _check_drop(drop: Sequence[str], names: Sequence[str]) -> None:
    unknown = [name for name in drop if name not in names]
    if unknown or set(drop) == set(names):
        raise InputError(f"Cannot drop {', '.join(drop)}: the run uses {', '.join(names)}; name some of them, not all.")
