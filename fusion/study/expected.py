"""How long a study may take, from a short training and what methods cost beside it."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from ...processes import results
from ..config import make_config
from ..methods import get
from ..run import train
from .cell import Scope
from .run import Plan, cell_workers

PROBE = "concat"
"""The method that costs are relative to."""
PROBED_FOLDS = 2
PROBED_EPOCHS = (1, 4)
"""Two lengths of training, whose difference is the time of epochs alone."""


class Seconds(NamedTuple):
    """What takes how long: a cell beside its folds, a fold beside its epochs, an epoch."""

    cell: float
    fold: float
    epoch: float


def expected_seconds(plan: Plan, workers: int) -> float:
    """Train concatenation twice for a moment, in as many processes as will train; return how long open cells may take.

    A rough figure: methods are taken to cost what `Method.cost` says, every set of modalities the same, and what is
    measured after a training nothing.
    """
    if not plan.open:
        return 0.0
    at_once = min(workers, len(plan.open))
    with cell_workers(at_once) as pool:
        probe = (str(plan.cache.path.absolute()), plan.scope)
        found = results([pool.submit(probe_seconds, *probe) for _ in range(at_once)])
    cell, fold, epoch = np.mean(found, axis=0)
    epochs = [get(one.config.method).cost * one.config.fit.epochs for one in plan.untrained]
    folds = plan.scope.folds * (fold * len(epochs) + epoch * sum(epochs))
    return float(cell * len(plan.open) + folds) / at_once


def probe_seconds(cache: str, scope: Scope) -> Seconds:
    """Return how long the parts of a cell take on this machine, as busy as it is."""
    few, more = PROBED_EPOCHS
    whole, short = _train(cache, scope, few)
    _, long = _train(cache, scope, more)
    share = (1 - 1 / scope.folds) / (1 - 1 / PROBED_FOLDS) if scope.folds > 1 else 1.0
    epoch = max(0.0, mean(long) - mean(short)) / (more - few)
    return Seconds(whole - sum(short), share * max(0.0, mean(short) - few * epoch), share * epoch)


def _train(cache: str, scope: Scope, epochs: int) -> tuple[float, list[float]]:
    """Return the seconds of a training of some epochs, and those of each of its folds."""
    settings = (*scope.settings, f"fit.epochs={epochs}", "search.trials=0")
    what = {"task": scope.task, "modalities": scope.modalities, "folds": PROBED_FOLDS}
    config = make_config(PROBE, "default", settings, **what)
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        metrics = train(cache, config, Path(folder) / "probe")
        seconds = time.perf_counter() - started
    return seconds, [fold["seconds"] for fold in metrics["folds"]]
