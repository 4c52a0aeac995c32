"""Folds, each trained and tested on its own: one after the other, or several at once in processes."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from tqdm import tqdm

from ...cache_schema import InputError, OmniFuseError
from ...processes import results, worker_pool
from ...progress import progress
from ..files import write_table
from ..inputs.batches import Cohort, Inputs
from ..inputs.described import describe_columns
from ..inputs.missingness import hidden_in_test
from ..inputs.normalisation import Normaliser
from ..inputs.preparation import Prepared, prepare
from ..inputs.splits import Positions, Split
from ..inputs.stored import StoredCohort
from ..methods import METHODS
from ..methods.base import Method, Prediction
from ..methods.fitting import Progress
from ..sealed_folder import is_sealed, seal
from . import loop as training
from .config import TrainConfig
from .fold_result import BoolArray, FloatArray, FoldResult
from .model import Model, new_method
from .outcome import Outcome, evaluation_times, fit_outcome
from .predictions import Predicted, frame
from .search import Trial, best, fit_searched

HISTORY_FILE = "history.parquet"
COLUMNS_FILE = "columns.parquet"
"""What the training rows looked like, see `describe_columns`."""

Splits = Mapping[int, Split]
"""The folds that are to be trained, by number."""


def default_workers(device: str) -> int:
    """Return how many folds to train at once: one for each core that torch may use, one on any other device.

    A fold gains nothing from a second thread, and loses much if its cores are busy. On a GPU folds are not stacked into
    one model with another axis (`torch.func.vmap`) either: each has batches of its own with another number of rows, so
    that attention over rows, which takes most of the time, would need padding; and a fold would no longer give the
    digits that it gives alone.
    """
    return torch.get_num_threads() if device == "cpu" else 1


def finished_folds(folder: Path) -> set[int]:
    """Return the numbers of the folds that an earlier training finished in a folder, and remove what else is there."""
    finished = set()
    for path in folder.iterdir():
        if path.name.isdecimal() and is_sealed(path):
            finished.add(int(path.name))
        else:
            shutil.rmtree(path, ignore_errors=True)  # cut off while it was written, or damaged
    return finished


def train_folds(cohort: Cohort, splits: Splits, config: TrainConfig, folder: Path) -> None:
    """Train one fold after the other in this process; what they leave goes to ``folder/<fold>``."""
    prepared = prepare(cohort, config.encoder)
    for fold, split in splits.items():
        train_fold(cohort, prepared, split, fold, config, folder)


def train_stored_folds(stored: StoredCohort, splits: Splits, config: TrainConfig, folder: Path, workers: int) -> None:
    """Do the same as `train_folds`, to the last digit, with up to ``workers`` folds at once.

    A fold that fails, or an interrupt, ends all of them. All processes map the same rows, in memory as far as there is
    room; of its own each takes about 0.7 GB for torch and the statistics of 20,000 stays, and its model.

    Raises
    ------
    OmniFuseError
        If a process was killed from outside, or none could import the method; and whatever the first fold that fails
        raises.
    """
    if workers == 1:
        train_folds(stored.open(), splits, config, folder)
        return
    try:
        _refuse_unimportable(config)
        with worker_pool(workers, _begin, get_context("spawn").RLock(), config.method_class) as pool:
            each = splits.items()
            results([pool.submit(_train_stored, stored, split, fold, config, folder) for fold, split in each])
    except BrokenProcessPool as error:
        raise OmniFuseError(
            "A process that trained a fold was killed, most likely because memory ran out. Give the same command with "
            "fewer --workers; finished folds are kept."
        ) from error


def _refuse_unimportable(config: TrainConfig) -> None:
    method = config.method_class
    typed_in = method.__module__ == "__main__" and not hasattr(sys.modules["__main__"], "__file__")
    if typed_in or "<locals>" in method.__qualname__:
        raise InputError(
            f"Worker processes cannot import {method.__qualname__}, the class of the method {config.method!r}: write "
            "it at the top of a module, or train with one worker."
        )


def _begin(lock: Any, _: type[Method]) -> None:
    """Begin a worker, which has imported the method to get this far."""
    tqdm.set_lock(lock)


def _train_stored(stored: StoredCohort, split: Split, fold: int, config: TrainConfig, folder: Path) -> None:
    cohort = stored.open()
    train_fold(cohort, prepare(cohort, config.encoder), split, fold, config, folder, line=fold)


def train_fold(
    cohort: Cohort,
    prepared: Mapping[str, Prepared],
    split: Split,
    fold: int,
    config: TrainConfig,
    folder: Path,
    line: int = 0,
) -> None:
    """Train one fold, predict its test part, leave model and `FoldResult` in ``folder/<fold>``, whole or not at all.

    ``line`` of the terminal shows the progress.
    """
    started = time.perf_counter()
    with torch_threads(config.threads), METHODS.blamed(config.method):
        unit = "epochs" if config.method_class.by_gradient else "steps"
        show = bars(f"{config.method}, fold {fold}", unit, line)
        model, inputs, history, trials = fit_model(cohort, prepared, split, fold, config, show)
        answers = _ask(model, inputs, cohort, split.test, config)
        tables, details = model.method.tables(), model.method.details()
    predicted = Predicted.of(cohort, split.test, answers.presence, answers.prediction, fold)
    alone = answers.prediction.modality_probability
    result = FoldResult(
        tested=split.test,
        presence=answers.presence,
        probability=predicted.probability,
        alone=None if alone is None else alone.numpy(),
        draws=answers.draws,
        complete=answers.complete,
        rows=frame(predicted, cohort.task, cohort.modalities, evaluation_times(cohort.task, cohort.y)),
        tables=tables,
        details=details,
        trials=trials,
        epochs=1 + max(row["epoch"] for row in history),
        seconds=time.perf_counter() - started,
    )
    unfinished = folder / f"{fold}.partial-{os.getpid()}"  # a worker may outlive its killed parent for a moment
    unfinished.mkdir(parents=True)
    model.save(unfinished)
    write_table(unfinished / HISTORY_FILE, pl.DataFrame(history))
    write_table(unfinished / COLUMNS_FILE, describe_columns(cohort.sources, split.train))
    result.save(unfinished)
    seal(unfinished, unfinished.iterdir())
    unfinished.rename(folder / str(fold))


def bars(name: str, unit: str = "items", line: int = 0) -> Progress:
    """Return what shows how far a training is, on a ``line`` of the terminal; each part of it under its own name."""

    def show(items: Iterable[int], /, part: str = "") -> Iterable[int]:
        named = f"{name}, {part}" if part else name
        shown: Iterable[int] = progress(items, named, unit=unit, line=line, leave=False)
        return shown

    return show


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch and scikit-learn compute with a number of threads.

    Sums are split among them, so that it decides the last digits.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="openmp"):
            yield
    finally:
        torch.set_num_threads(before)


def fit_model(
    cohort: Cohort,
    prepared: Mapping[str, Prepared],
    split: Split,
    fold: int,
    config: TrainConfig,
    show: Progress,
) -> tuple[Model, Inputs, training.History, list[Trial]]:
    """Fit the model of a fold to its training part; nothing is fitted on the test part, or on who is in no part.

    Returns the model, the cohort normalised for it, the history of its training, and the trials of a search.
    """
    seed = config.seed * 1000 + fold
    normaliser, outcome = Normaliser.fit(prepared, split.train), fit_outcome(cohort.task, cohort.y[split.train])
    learnt = replace(cohort, y=outcome.learnt(cohort.y))
    inputs = normaliser.apply(learnt, prepared, torch.device(config.device))
    parts = training.Parts(*(torch.from_numpy(part).to(config.device) for part in (split.train, split.validation)))

    def new(config: TrainConfig) -> Method:
        return new_method(config, outcome.target, normaliser.input_specs(prepared), seed)

    method, history, trials = fit_searched(new, config, inputs, parts, seed, show)
    outcome = _after_training(outcome, method, inputs, torch.cat([parts.train, parts.validation]), config, seed)
    model = Model(method, normaliser, outcome, best(trials).overrides if trials else ())
    return model, inputs, history, trials


def _after_training(
    outcome: Outcome, method: Method, inputs: Inputs, samples: Tensor, config: TrainConfig, seed: int
) -> Outcome:
    """Return the outcome with what is fitted to the answers for the training part, ``samples`` [n].

    Of several predictions a sample another draw is asked than what is fitted at once has seen, and learnt by heart.
    """
    asked = training.seen_once(inputs, samples, config.fit, seed + 1)
    labels = inputs.y[asked].cpu().numpy()
    return outcome.after_training(lambda: training.predict(method, inputs, asked).probability.numpy(), labels)


class Answers(NamedTuple):
    """What a model predicts for its n test samples; the fields as in `FoldResult`."""

    presence: BoolArray
    prediction: Prediction
    draws: FloatArray
    complete: FloatArray


def _ask(model: Model, inputs: Inputs, cohort: Cohort, tested: Positions, config: TrainConfig) -> Answers:
    """Predict the test samples from all that they have, and under every draw of what is hidden in the test alone."""
    samples, presence = torch.from_numpy(tested).to(config.device), cohort.presence
    times = evaluation_times(cohort.task, cohort.y)

    def said(shown: Inputs) -> Prediction:
        return model.ask(shown, samples, times)

    complete = said(inputs)
    hidden = hidden_in_test(config.missing, presence, cohort.modalities)  # [S, N, M]
    answers = [said(inputs.hiding(torch.from_numpy(draw))) for draw in hidden]
    draws = np.array([answer.probability.numpy() for answer in answers])
    shown = presence & ~hidden[0] if len(hidden) else presence
    return Answers(shown[tested], answers[0] if answers else complete, draws, complete.probability.numpy())
