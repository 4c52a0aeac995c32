"""How the validation part is predicted while training goes on (the paper's Fig. 2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from ...scores.measures import PRIMARY
from ..cell import Cell, Measurement, Scope
from ..finished import FinishedCell, FinishedStudy
from ..results import Item, Note, ResultFigure, Series
from .base import FIRST_SEED, Experiment

VALIDATED = "validation=0.1"
LEARNT = {
    "regression": " Of quantities as they are learnt, in standard deviations of the training part.",
    "survival": " Of times as they are learnt, counted in intervals.",
}


@dataclass(frozen=True)
class Learning(Experiment):
    """Modalities alone and methods that fuse them, by the AUROC of a validation part after each epoch."""

    kind: ClassVar[str] = "learning"
    heading: ClassVar[str] = "How training goes"

    alone: str = "concat"
    """Method whose models of single modalities are shown."""
    methods: tuple[str, ...] = ("concat", "dwfuse")
    """Methods that fuse all modalities."""

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield a cell with a validation part for every curve, first seed."""
        for cell in self._curves(scope).values():
            yield cell, ()

    def items(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield the figure."""
        found = {label: study.find(cell) for label, cell in self._curves(study.scope).items()}
        if len(self.seeds_of(study.scope)) > 1:
            yield Note(FIRST_SEED)
        series = [_curve(label, run) for label, run in found.items() if run is not None]
        yield ResultFigure(
            "learning-curves",
            f"{study.heading} of the validation part over epochs",
            "Mean over folds; a tenth of the training patients of each fold validates and chooses nothing."
            f"{LEARNT.get(study.kind, '')}",
            "epoch",
            study.measure.title,
            tuple(line for line in series if line is not None),
        )
        yield Note(
            "Single modalities are dashed. A combination below its dominant modality at the end is lazy; one that "
            "falls after a peak is trained too long."
            if study.measure.higher_is_better
            else "Single modalities are dashed; lower is better. A combination above its dominant modality at the end "
            "is lazy; one that rises after its lowest point is trained too long."
        )

    def _curves(self, scope: Scope) -> dict[str, Cell]:
        single = {names[0]: self.cells(scope, self.alone, names, VALIDATED)[0] for names in scope.modality_sets("each")}
        return single | {m: self.cells(scope, m, scope.modalities, VALIDATED)[0] for m in self.methods}


def _curve(label: str, run: FinishedCell) -> Series | None:
    if run.history is None:
        return None
    areas = run.history.filter(term=PRIMARY[run.metrics.kind], part="validation")
    if areas.is_empty():
        return None
    mean = areas.group_by("epoch").agg(pl.mean("value")).sort("epoch")
    alone = len(run.cell.modalities) == 1
    epochs = (mean["epoch"] + 1).cast(pl.Float64)
    return Series(label, tuple(epochs), tuple(mean["value"]), dashed=alone)
