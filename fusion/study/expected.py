"""How long a study may take, from a short training and what methods cost beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import nan
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from ...cache_schema import InputError
from ...processes import results
from ..methods.fitting import FitConfig
from ..runs.train import train
from ..training.config import TrainConfig, make_config
from .cell import Measurement, Scope
from .measure import measure
from .run import Plan, cell_workers

PROBE = "concat"
"""The method that costs are relative to."""
PROBED_FOLDS = 2
PROBED_EPOCHS = (1, 4)
"""Two lengths of training, whose difference is the time of epochs alone."""

REPORT_SHARE = 0.5
"""What the report of the study takes for each cell, of what the cell takes beside its folds: its own summary."""


class Seconds(NamedTuple):
    """What takes how long: the first training beside what it takes later, a cell beside its folds, a fold, an epoch.

    A fold is counted beside its epochs. ``asked`` are the measurements, in order, for each fold.
    """

    first: float
    cell: float
    fold: float
    epoch: float
    asked: tuple[float, ...]


def expected_seconds(plan: Plan, workers: int) -> float:
    """Train concatenation for a moment, in as many processes as will train; return how long a study may take.

    A rough figure: methods are taken to cost what `Method.cost` says, in training and in what is asked of them,
    modalities all the same, and what concatenation cannot be asked as much as the dearest of what it can.
    """
    if not plan.open:
        return 0.0
    at_once = min(workers, len(plan.open))
    asked = tuple(dict.fromkeys(measurement for wanted in plan.open.values() for measurement in wanted))
    began = time.perf_counter()
    with cell_workers(at_once) as pool:
        probe = (str(plan.cache.path.absolute()), plan.scope, asked)
        found, probing = zip(*results([pool.submit(timed_probe, *probe) for _ in range(at_once)]), strict=True)
    start = time.perf_counter() - began - mean(probing)
    return float(start + added_up(plan, at_once, mean_seconds(found)))


def added_up(plan: Plan, at_once: int, seconds: Seconds) -> float:
    """Return how long the open cells and the report take once the processes have started."""
    asked = dict.fromkeys(measurement for wanted in plan.open.values() for measurement in wanted)
    cost = dict(zip(asked, seconds.asked, strict=True))
    untrained = set(plan.untrained)
    cells = [
        seconds.cell
        + plan.scope.folds * (cell in untrained) * fold_seconds(cell.config, plan.scope, seconds)
        + plan.scope.folds * cell.config.method_class.cost * sum(cost[measurement] for measurement in wanted)
        for cell, wanted in plan.open.items()
    ]
    report = REPORT_SHARE * seconds.cell * len(plan.cells)
    return float(seconds.first + max(sum(cells) / at_once, *cells) + report)


def fold_seconds(config: TrainConfig, scope: Scope, seconds: Seconds) -> float:
    """Return how long a fold of a method takes; one that does not go down a gradient knows no number of epochs."""
    method = config.method_class
    share = len(config.modalities or scope.modalities) / len(scope.modalities)
    if method.by_gradient:
        return share * (seconds.fold + method.cost * config.fit.members * config.fit.epochs * seconds.epoch)
    return share * method.cost * (seconds.fold + FitConfig().epochs * seconds.epoch)


def mean_seconds(found: Sequence[Seconds]) -> Seconds:
    """Return the mean over processes."""
    asked = np.mean([one.asked for one in found], axis=0)  # [measurements], NaN where there was no answer
    dearest = np.nanmax(asked, initial=0.0)
    first, cell, fold, epoch = np.mean([one[:-1] for one in found], axis=0).tolist()
    return Seconds(first, cell, fold, epoch, tuple(np.nan_to_num(asked, nan=dearest).tolist()))


def timed_probe(cache: str, scope: Scope, asked: Sequence[Measurement]) -> tuple[Seconds, float]:
    """Return what takes how long on this machine, as busy as it is, and how long it took to find out."""
    began = time.perf_counter()
    few, more = PROBED_EPOCHS
    share = (1 - 1 / scope.folds) / (1 - 1 / PROBED_FOLDS) if scope.folds > 1 else 1.0
    with TemporaryDirectory() as folder:
        first, _ = _train(cache, scope, few, Path(folder) / "first")
        whole, short = _train(cache, scope, few, Path(folder) / "short")
        _, long = _train(cache, scope, more, Path(folder) / "long")
        epoch = max(0.0, mean(long) - mean(short)) / (more - few)
        answers = tuple(_measure(Path(folder) / "long", cache, measurement) / PROBED_FOLDS for measurement in asked)
    fold = max(0.0, mean(short) - few * epoch)
    seconds = Seconds(max(0.0, first - whole), whole - sum(short), share * fold, share * epoch, answers)
    return seconds, time.perf_counter() - began


def _train(cache: str, scope: Scope, epochs: int, run: Path) -> tuple[float, list[float]]:
    """Return the seconds of a training of some epochs, and those of each of its folds."""
    settings = (*scope.settings, f"fit.epochs={epochs}", "search.trials=0")
    what = {"task": scope.task, "modalities": scope.modalities, "folds": PROBED_FOLDS}
    config = make_config(PROBE, "default", settings, **what)
    started = time.perf_counter()
    trained = train(cache, config, run)
    return time.perf_counter() - started, [fold.seconds for fold in trained.metrics.folds]


def _measure(run: Path, cache: str, measurement: Measurement) -> float:
    """Return the seconds of a measurement, NaN for one that this method has no answer to."""
    started = time.perf_counter()
    try:
        measure(run, Path(cache), measurement)
    except InputError:
        return nan
    return time.perf_counter() - started
