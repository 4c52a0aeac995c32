"""How long a study may take, from a short training and what methods cost beside it."""

from __future__ import annotations

import time
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


def expected_seconds(plan: Plan, workers: int) -> float:
    """Train two folds of concatenation for one epoch, and return how long the open cells may take.

    A rough figure: methods are taken to cost what `Method.cost` says, and every set of modalities the same.
    """
    if not plan.open:
        return 0.0
    overhead, epoch = _probe(plan)
    cells = [overhead + cell.folds * _epochs(cell) * epoch for cell in plan.open]
    return sum(cells) / min(workers, len(cells))


def _epochs(cell: Cell) -> float:
    """Return how many epochs of the probed method a fold of a cell is worth."""
    return get(cell.config.method).cost * cell.config.fit.epochs


def _probe(plan: Plan) -> tuple[float, float]:
    """Return the seconds that a cell takes beside its training, and those of an epoch of a fold."""
    settings = (*plan.scope.settings, "fit.epochs=1", "search.trials=0")
    what = {"task": plan.scope.task, "modalities": plan.scope.modalities, "folds": PROBED_FOLDS}
    config = make_config(PROBE, "default", settings, **what)
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        metrics = train(plan.cache.path, config, Path(folder) / "probe")
        seconds = time.perf_counter() - started
    trained = sum(fold["seconds"] for fold in metrics["folds"])
    share = (1 - 1 / plan.scope.folds) / (1 - 1 / PROBED_FOLDS)
    return seconds - trained, share * trained / PROBED_FOLDS
