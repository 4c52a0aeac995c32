"""How long a study may take, from a short training and what methods cost beside it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ..config import make_config
from ..methods import get
from ..run import train
from .cell import Cell
from .run import Plan

PROBE = "concat"
"""The method that costs are relative to."""
PROBED_FOLDS = 2
PROBED_EPOCHS = (1, 4)
"""Two lengths of training, whose difference is the time of epochs alone."""


@dataclass(frozen=True)
class Seconds:
    """What takes how long: a cell beside its folds, a fold beside its epochs, an epoch."""

    cell: float
    fold: float
    epoch: float


def expected_seconds(plan: Plan, workers: int) -> float:
    """Train concatenation twice for a moment, and return how long the open cells may take.

    A rough figure: methods are taken to cost what `Method.cost` says, and every set of modalities the same.
    """
    if not plan.open:
        return 0.0
    found = _probe(plan)
    cells = [found.cell + cell.folds * (found.fold + _epochs(cell) * found.epoch) for cell in plan.open]
    return sum(cells) / min(workers, len(cells))


def _epochs(cell: Cell) -> float:
    """Return how many epochs of the probed method a fold of a cell is worth."""
    return get(cell.config.method).cost * cell.config.fit.epochs


def _probe(plan: Plan) -> Seconds:
    few, more = PROBED_EPOCHS
    whole, short = _train(plan, few)
    _, long = _train(plan, more)
    share = (1 - 1 / plan.scope.folds) / (1 - 1 / PROBED_FOLDS)
    epoch = max(0.0, long - short) / (more - few)
    return Seconds(whole - PROBED_FOLDS * short, share * max(0.0, short - few * epoch), share * epoch)


def _train(plan: Plan, epochs: int) -> tuple[float, float]:
    """Return the seconds of a training of some epochs, and those of one of its folds."""
    settings = (*plan.scope.settings, f"fit.epochs={epochs}", "search.trials=0")
    what = {"task": plan.scope.task, "modalities": plan.scope.modalities, "folds": PROBED_FOLDS}
    config = make_config(PROBE, "default", settings, **what)
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        metrics = train(plan.cache.path, config, Path(folder) / "probe")
        seconds = time.perf_counter() - started
    return seconds, sum(fold["seconds"] for fold in metrics["folds"]) / PROBED_FOLDS
