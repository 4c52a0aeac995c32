"""A training from cache to run folder, and a run folder back to predictions."""

from __future__ import annotations

import json
import logging
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from ..cache_schema import FeatureCache, InputError, MissingInputError
from . import methods, training
from .answer import Answer, answer, trained_ranges
from .batches import Cohort
from .config import TrainConfig
from .device import check_device
from .folds import FoldResult, train_folds, train_stored_folds
from .loading import default_limit, load, select
from .missingness import draw_hidden
from .model import Model, check_inputs, demands, task_view
from .predictions import Predicted, frame, mean_prediction
from .preparation import prepare
from .splits import Split, k_folds, split_frame, strata, supplied
from .summary import summarise

VALIDATION, VALIDATION_OF_SEARCH = 0.1, 0.2
"""Share of the training subjects that validate where the method chooses by them, and where settings are searched."""

BYTES_OF_A_PROCESS = 1 << 30
"""What a process that trains takes beside the rows, about: torch, statistics of 10,000 stays, a model."""

logger = logging.getLogger(__name__)

TOOLS = ("omnifuse", "torch", "numpy", "polars", "scikit-learn", "zarr")


def train(
    cache_path: str | Path,
    config: TrainConfig,
    run_dir: str | Path,
    workers: int = 1,
    memory_limit: int | None = None,
) -> dict[str, Any]:
    """Train and test a method by cross-validation, or on the cache's own split, and write a run folder.

    Up to ``workers`` folds are trained at once. Rows for which there is no room in ``memory_limit`` bytes, those of all
    processes together, stay on disk; by default rows get half of the memory that is available. Both change the time and
    nothing else. The folder appears
    under its name when everything in it is complete; a failed or interrupted training leaves at most
    ``<run_dir>.partial``. Each test part is predicted by the model of its fold alone, after training has ended.

    Returns
    -------
    The content of metrics.json.

    Raises
    ------
    InputError
        For an unknown task, modality or split, a run folder that already exists, or too few subjects.
    """
    started, run_dir = time.perf_counter(), Path(run_dir)
    check_device(config.device)
    if run_dir.exists():
        raise InputError(f"{run_dir} already exists. Name another run folder or remove it.")
    cache = FeatureCache.open(cache_path)
    selection = select(cache, config.task or first_task(cache), config.modalities)
    cohort = selection.cohort
    methods.get(config.method).check(cohort.modalities)
    share = _validation_share(config)
    config = replace(config, task=cohort.task.name, modalities=cohort.modalities, validation=share)
    hidden = draw_hidden(config.missing, cohort.presence, cohort.modalities)
    if config.missing.protocol == "train-and-test":
        selection = selection.hiding(hidden)
        cohort = selection.cohort
    splits, notes = _splits(cache, cohort, config, share)
    workers = min(workers, len(splits))
    partial = run_dir.with_name(run_dir.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "folds").mkdir(parents=True)
    _write_json(partial / "config.json", {**config.to_dict(), "model": demands(cache, cohort)})
    _write_json(partial / "environment.json", environment(config, workers))
    split_frame(splits, cohort.sample_id).write_parquet(partial / "splits.parquet")
    room = default_limit() if memory_limit is None else memory_limit - workers * BYTES_OF_A_PROCESS
    large = selection.bytes > room
    if workers == 1 and not large:
        folds = train_folds(selection.read(selection.bytes), splits, config, partial / "folds")
    else:
        stored = selection.store(partial / "rows")
        if large:
            logger.info("rows take %.1f GB: they stay on disk and are read as batches need them", selection.bytes / 1e9)
        try:
            folds = train_stored_folds(stored, splits, config, partial / "folds", workers)
        finally:
            stored.remove()
    _write_tables(folds, partial)
    summary = {
        "run": run_dir.name,
        **summarise(cohort, config, folds, hidden, notes),
        "cache": {"path": str(cache.path), "digest": cache.digest, "dataset": cache.dataset},
        "recipes": {name: cache.modality_spec(name).recipe for name in cohort.modalities},
        "seconds": round(time.perf_counter() - started, 2),
    }
    _write_json(partial / "metrics.json", summary)
    partial.rename(run_dir)
    return summary


def first_task(cache: FeatureCache) -> str:
    """Return the first task of a cache that has one prediction a sample.

    Raises
    ------
    InputError
        If there is none.
    """
    trainable = (name for name in cache.tasks if not cache.task(name).long)
    if name := next(trainable, None):
        return name
    raise InputError(f"{cache.path} has no task to train on; labels with one prediction a sample are needed.")


def _validation_share(config: TrainConfig) -> float:
    """Return the share of the training subjects to set aside: the given one, or as little as the choices need."""
    if config.validation is not None:
        return config.validation
    if config.search.trials:
        return VALIDATION_OF_SEARCH
    return VALIDATION if methods.get(config.method).chooses else 0.0


def _splits(cache: FeatureCache, cohort: Cohort, config: TrainConfig, share: float) -> tuple[list[Split], list[str]]:
    """Return the folds, or the cache's own split as the only fold with a note that says so."""
    name = split_used(cache, config)
    if name is None:
        return _folds(cache, cohort, config, share), []
    split = supplied(cache.splits[name], cohort, strata(cohort.y, cohort.task.kind), share, config.seed)
    return [split], [f"Trained and tested on the supplied split {name!r} instead of folds."]


def split_used(cache: FeatureCache, config: TrainConfig) -> str | None:
    """Return the name of the cache's split that takes the place of folds; None if folds are made.

    Raises
    ------
    InputError
        If the cache has no such split, or several and none is named.
    """
    known = cache.splits
    name = next(iter(known), None) if config.split == "supplied" and len(known) < 2 else config.split
    if name is not None and name not in known:
        raise InputError(
            f"split = {name!r}; {cache.path} has the splits: {', '.join(known) or '(none)'}; `none` makes folds."
        )
    return name


def _folds(cache: FeatureCache, cohort: Cohort, config: TrainConfig, share: float) -> list[Split]:
    """Cut the folds over everybody with a label: a patient is in the same one whatever modalities are trained on."""
    labelled = ~np.isnan(cohort.task.y).all(axis=1)
    samples = cache.samples.filter(pl.Series(labelled))
    labels = strata(cohort.task.y[labelled], cohort.task.kind)
    splits = k_folds(samples["subject_id"].to_numpy(), labels, config.folds, share, config.seed)
    kept = np.isin(samples["sample_id"].to_numpy(), cohort.sample_id)
    return [split.among(kept) for split in splits]


def _write_tables(results: Sequence[FoldResult], folder: Path) -> None:
    """Write predictions.parquet and the tables of the method, each over all folds."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for fold, result in enumerate(results):
        for name, rows in result.tables.items():
            tables.setdefault(name, []).extend({"fold": fold, **row} for row in rows)
    for name, rows in tables.items():
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(folder / f"{name}.parquet")
    pl.concat(result.rows for result in results).sort("sample_id").write_parquet(folder / "predictions.parquet")


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
        """Predict every sample of a cache that has any of the modalities, with the mean of the folds' models.

        ``drop`` names modalities to hide. Labels are copied to the result if the cache has them, and not used.
        Columns as in predictions.parquet, with ``fold`` null.

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
        everyone = torch.arange(len(cohort), device=self.config.device)
        predictions, ranges = [], []
        for folder in self.folders:
            model = Model.load(folder, self.config, cohort.task, prepared)
            inputs = model.inputs(cohort, prepared).without(drop)
            predictions.append(training.predict(model.method, inputs, everyone))
            ranges.append(trained_ranges(cohort, model.normaliser))
        presence = cohort.presence & [name not in drop for name in names]
        predicted = Predicted(cohort.sample_id, cohort.y, presence, mean_prediction(predictions), None)
        return answer(self.path, frame(predicted, cohort.task, names), cohort, ranges, drop)


def load_run(path: str | Path, device: str | None = None) -> Run:
    """Open a run folder for prediction, on another device than it was trained on if wanted.

    Raises
    ------
    MissingInputError
        If the folder is not that of a finished run.
    InputError
        If this machine has not got the device.
    """
    path = Path(path)
    for name in ("metrics.json", "config.json"):
        if not (path / name).is_file():
            raise MissingInputError(f"{path} is no finished run: {name} is missing. Give the folder that `train` made.")
    stored = json.loads((path / "config.json").read_text(encoding="utf-8"))
    wanted = stored.pop("model")
    config = TrainConfig.from_dict(stored)
    check_device(device or config.device)
    folds = len(json.loads((path / "metrics.json").read_text(encoding="utf-8"))["folds"])
    folders = tuple(path / "folds" / str(fold) for fold in range(folds))
    return Run(path, replace(config, device=device or config.device), wanted, folders)


def _check_drop(drop: Sequence[str], names: Sequence[str]) -> None:
    unknown = [name for name in drop if name not in names]
    if unknown or set(drop) == set(names):
        raise InputError(f"Cannot drop {', '.join(drop)}: the run uses {', '.join(names)}; name some of them, not all.")


def environment(config: TrainConfig, workers: int) -> dict[str, Any]:
    """Return versions, platform, device and threads, which decide the digits of a result, and the number of workers."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": config.device,
        "threads": config.threads,
        "workers": workers,
        "versions": {tool: version(tool) for tool in TOOLS},
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
