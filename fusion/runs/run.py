"""A finished training: what it left, and what its models say of a cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import torch

from ...cache_schema import FeatureCache, InputError
from ...device import check_device
from ..files import read_json, read_table
from ..inputs.batches import Cohort
from ..inputs.loading import load
from ..inputs.preparation import prepare
from ..methods import METHODS
from ..methods.base import Prediction
from ..parts.encoders import ENCODERS
from ..training.config import TrainConfig
from ..training.folds import COLUMNS_FILE, HISTORY_FILE, torch_threads
from ..training.model import Model, check_inputs, task_view
from ..training.predictions import Predicted, frame, mean_prediction
from .answer import Answer, answer, trained_ranges
from .folder import RunFolder
from .metrics import RunMetrics
from .prediction_sets import set_columns
from .stored_predictions import Predictions, predictions_of
from .unseen import Asked, refuse_renamed, who_answers

MODEL = "model"
"""Entry of config.json beside the settings: what the models demand of a cache."""

HISTORY_COLUMNS = {"epoch", "part", "term", "value"}


@dataclass(frozen=True)
class Run:
    """A finished training in the folder ``path``, which predicts on ``device``, by default that of the training.

    Everything is read when it is first asked for; before that the files are compared with their checksums, and
    `InputError` is raised for one that is damaged, or of another version.
    """

    path: Path
    device: str | None = None

    @cached_property
    def files(self) -> RunFolder:
        """Where everything lies; the files are whole."""
        files = RunFolder(self.path)
        files.check()
        return files

    @cached_property
    def metrics(self) -> RunMetrics:
        """What it found, all of metrics.json: ``measures`` by name with ``mean``, ``sd`` and ``ci``, and much more.

        ``auroc`` and ``auprc`` are attributes, too; what else there is, `RunMetrics` says.
        """
        file = self.files.metrics
        return RunMetrics.from_json(read_json(file), str(file))

    @property
    def name(self) -> str:
        """The run's name, as recorded."""
        return self.metrics.run

    @cached_property
    def stored_config(self) -> Mapping[str, Any]:
        """The settings as they are written down; unlike `config` they can be read without the method's package."""
        return {name: value for name, value in read_json(self.files.config).items() if name != MODEL}

    @cached_property
    def config(self) -> TrainConfig:
        """The settings, on the device of this run; raises `InputError` if the method is not installed."""
        if absent := self.absent_package:
            raise InputError(absent)
        config = TrainConfig.from_dict(self.stored_config)
        return replace(config, device=self.device or config.device)

    @cached_property
    def absent_package(self) -> str | None:
        """What is needed before the models can be used, in a sentence; None if everything is installed."""
        metrics = self.metrics
        encoders = [ENCODERS.absence(name, package) for name, package in metrics.encoder_packages.items()]
        absent = next(filter(None, [METHODS.absence(metrics.method, metrics.package), *encoders]), None)
        return absent and f"{self.path} was trained with {absent}"

    @cached_property
    def demands(self) -> Mapping[str, Any]:
        """What the models demand of a cache: ``task`` and ``inputs``."""
        demands: Mapping[str, Any] = read_json(self.files.config, {MODEL: dict})[MODEL]
        return demands

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        """Versions and machine."""
        return read_json(self.files.environment)

    @property
    def version(self) -> str:
        """The version of OmniFuse that made it."""
        return str(read_json(self.files.environment, {"versions": dict})["versions"]["omnifuse"])

    @cached_property
    def predictions(self) -> pl.DataFrame:
        """What was predicted of every tested sample: sample_id, fold, labels, predictions, explanations."""
        return read_table(self.files.predictions, {"sample_id", "fold"})

    @cached_property
    def splits(self) -> pl.DataFrame:
        """Who was in which part of each fold: sample_id, subject_id, fold, part."""
        return read_table(self.files.splits, {"sample_id", "subject_id", "fold", "part"})

    @cached_property
    def tested(self) -> Predictions:
        """Labels and predictions of `predictions` as arrays."""
        metrics = self.metrics
        return predictions_of(self.predictions, metrics.kind, metrics.modalities, self.files.predictions)

    @cached_property
    def history(self) -> pl.DataFrame | None:
        """The terms of all folds over epochs: fold, epoch, part, term, value; None if none was written."""
        tables = [
            read_table(file, HISTORY_COLUMNS).with_columns(fold=pl.lit(file.parent.name))
            for file in self.files.of_folds(HISTORY_FILE)
        ]
        return pl.concat(tables) if tables else None

    @cached_property
    def columns(self) -> pl.DataFrame | None:
        """What the training rows looked like, see `describe_columns`, as the mean over folds; None of older runs."""
        files = self.files.of_folds(COLUMNS_FILE)
        if not files:
            return None
        named = ["modality", "column", "unit"]
        tables = pl.concat(read_table(file, named) for file in files)
        return tables.group_by(named, maintain_order=True).agg(pl.exclude(named).mean())

    @cached_property
    def tables(self) -> Mapping[str, pl.DataFrame]:
        """The tables that the method left, by name, each over all folds with a column ``fold``."""
        return {name: read_table(self.files.table(name), {"fold"}) for name in self.files.tables}

    def predict(self, cache: FeatureCache | str | Path, drop: Sequence[str] = ()) -> pl.DataFrame:
        """Predict every sample of a cache that has any of the modalities, by models that have not seen its subject.

        For a subject that a fold tested that is the model of the fold: asked about the cache that it was trained on,
        a run repeats its out-of-fold predictions, to the last digit unless modalities were hidden on purpose. All
        others are predicted by the mean of the folds' models. ``drop`` names modalities to hide. Labels are copied to
        the result if the cache has them, and not used. Columns as in `predictions`, with ``fold`` null for a mean, and
        ``models``: who answered, in the words of `fusion.unseen`.

        Raises
        ------
        InputError
            If the cache was made by another recipe than the models were trained on (the difference is named), or if
            ``drop`` names something else than modalities of the run, or all of them.
        """
        return self.answer(cache, drop).table

    def answer(self, cache: FeatureCache | str | Path, drop: Sequence[str] = ()) -> Answer:
        """Do as `predict`, and say what should be known of the predictions."""
        return self.ask(cache, drop)[0]

    def ask(
        self,
        cache: FeatureCache | str | Path,
        drop: Sequence[str] = (),
        times: Callable[[Cohort], Sequence[float]] | None = None,
    ) -> tuple[Answer, Cohort]:
        """Do as `answer`, and return the samples that were asked about, too, those without a label among them.

        Survival is predicted at the ``times`` that are right for them, by default those of the run.
        """
        check_device(self.config.device)
        cache = cache if isinstance(cache, FeatureCache) else FeatureCache.open(cache)
        config, names = self.config, tuple(self.demands["inputs"])
        _check_drop(drop, names)
        check_inputs(cache, self.demands["inputs"])
        refuse_renamed(self.metrics.cache, cache)
        cohort = load(cache, task_view(cache, self.demands["task"]), names, labelled=False)
        at = self.metrics.times if times is None else times(cohort)
        prepared = prepare(cohort, config.encoder)
        folds = [fold.fold for fold in self.metrics.folds]
        asked = who_answers(self.files, cohort, folds)
        predictions: list[list[Prediction]] = [[] for _ in asked]
        ranges = []
        with torch_threads(config.threads):
            for fold in folds:
                model = Model.load(self.files.fold(fold), config, cohort.task, prepared)
                inputs = model.inputs(cohort, prepared).without(drop)
                for one, said in zip(asked, predictions, strict=True):
                    if fold in one.folds:
                        samples = torch.from_numpy(one.samples).to(config.device)
                        said.append(model.ask(inputs, samples, at))
                ranges.append(trained_ranges(cohort, model.normaliser))
        table = _answers(cohort, asked, [mean_prediction(said) for said in predictions], drop, at)
        other = cache.digest != self.metrics.cache.digest
        trained = self.tested.y if other else None
        sets = set_columns(self.metrics, predictions_of(table, cohort.task.kind, names, cache.path))
        answered = answer(self.files, table, cohort, ranges, other_cache=other, trained=trained, drop=drop, sets=sets)
        return answered, cohort


def load_run(path: str | Path, device: str | None = None) -> Run:
    """Open a run folder, to predict on another device than it was trained on if wanted.

    Raises
    ------
    MissingInputError
        If the folder is not that of a finished run, or a file of it is missing.
    InputError
        If a file of it is damaged or of another version, or this machine has not got the device.
    """
    if device is not None:
        check_device(device)
    run = Run(Path(path), device)
    _ = run.metrics  # so that a run of another version is refused here
    return run


def _answers(
    cohort: Cohort,
    asked: Sequence[Asked],
    predictions: Sequence[Prediction],
    drop: Sequence[str],
    times: Sequence[float],
) -> pl.DataFrame:
    """Return the table of what was said of all samples, in the order of the cohort."""
    presence = cohort.presence & [name not in drop for name in cohort.modalities]
    parts = []
    for one, prediction in zip(asked, predictions, strict=True):
        n = one.samples
        predicted = Predicted.of(cohort, n, presence[n], prediction, one.fold)
        table = frame(predicted, cohort.task, cohort.modalities, times)
        parts.append(table.with_columns(models=pl.lit(one.models), place=pl.Series(n)))
    return pl.concat(parts).sort("place").drop("place")


def _check_drop(drop: Sequence[str], names: Sequence[str]) -> None:
    if isinstance(drop, str):
        raise InputError(f"drop = {drop!r}; expected a list, such as [{drop!r}].")
    unknown = [name for name in drop if name not in names]
    if unknown or set(drop) == set(names):
        raise InputError(f"Cannot drop {', '.join(drop)}: the run uses {', '.join(names)}; name some of them, not all.")
