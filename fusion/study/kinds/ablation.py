"""The parts of OmniFuse taken away one by one (the paper's Table 4), under two protocols that must not be mixed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...explain.combinations import AVAILABLE
from ...scores import metrics
from ...scores.measures import MEASURES, PRIMARY
from ...words import together
from ..cell import Cell, Measurement, Scope
from ..finished import FinishedCell, FinishedStudy, compare, estimate, over_seeds
from ..results import Column, Estimate, Item, Note, ResultTable, Value
from .base import SPREAD, Experiment, difference_table
from .laziness import COMBINATIONS

ROWS = {
    "omnifuse:table4-a": "a: concatenation",
    "omnifuse:table4-b": "b: dynamic weighted fuse",
    "omnifuse:table4-c": "c: b + laziness activation",
    "omnifuse:table4-d": "d: c + forward imputation",
    "omnifuse:table4-e": "e: b + cycle imputation",
    "omnifuse": "f: everything",
}
STEPS = (("b", "a"), ("c", "b"), ("d", "c"), ("f", "d"), ("e", "b"), ("f", "e"), ("f", "a"))
"""Rows that differ in one part, and the whole against nothing."""


@dataclass(frozen=True)
class Ablation(Experiment):
    """Six rows; combinations of fewer modalities are trained alone, or asked of models that know all modalities."""

    kind: ClassVar[str] = "ablation"
    heading: ClassVar[str] = "Ablation of OmniFuse"

    modalities: str = "several"
    """Combinations of modalities: all, several, or named."""

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield every row on every combination; the models of all modalities are asked without some."""
        for names in scope.modality_sets(self.modalities):
            asked = (COMBINATIONS,) if names == scope.modalities else ()
            for row in ROWS:
                for cell in self.cells(scope, row, names):
                    yield cell, asked

    def items(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield both protocols and the steps between rows."""
        sets = study.scope.modality_sets(self.modalities)
        runs = {(row, names): study.find_all(self.cells(study.scope, row, names)) for row in ROWS for names in sets}
        yield Note(
            "The paper's Table 4 compares rows that were trained on two modalities with rows that had the third in "
            "training. Here they are two tables, because they do not use the same information."
        )
        yield ResultTable(
            "ablation-trained-alone",
            "Trained and tested on the combination alone",
            f"{study.heading} over whoever has any of the modalities, mean over folds and seeds. {SPREAD}",
            (Column("row"), *(Column(together(names)) for names in sets)),
            tuple((label, *(estimate(runs[row, names]) for names in sets)) for row, label in ROWS.items()),
        )
        everything = study.scope.modalities
        fewer = [names for names in sets if names != everything]
        if fewer and everything in sets:
            yield self._asked_of_the_whole(runs, fewer, everything, study)
        largest = max(sets, key=len)
        by_letter = {label[0]: runs[row, largest] for row, label in ROWS.items()}
        yield difference_table(
            "ablation-steps",
            f"What each part changes, {together(largest)}",
            "rows",
            [(f"{a} − {b}", compare(by_letter[a], by_letter[b], study)) for a, b in STEPS],
            study,
        )

    def _asked_of_the_whole(
        self,
        runs: dict[tuple[str, tuple[str, ...]], list[FinishedCell]],
        fewer: list[tuple[str, ...]],
        everything: tuple[str, ...],
        study: FinishedStudy,
    ) -> ResultTable:
        """Return how good models of all modalities are that are shown a combination, beside models of it alone."""
        rows: list[tuple[Value, ...]] = []
        for row, label in ROWS.items():
            cells: list[Estimate] = []
            for names in fewer:
                cells.append(over_seeds([_on_complete(run, names) for run in runs[row, names]]))
                cells.append(over_seeds([_shown(run, names) for run in runs[row, everything]]))
            rows.append((label, *cells))
        headings = [
            heading for names in fewer for heading in (f"{together(names)}, alone", f"{together(names)}, of all")
        ]
        better = "above" if study.measure.higher_is_better else "below"
        return ResultTable(
            "ablation-asked-of-all",
            "Trained on the combination alone, and trained on all modalities but shown the combination",
            f"{study.heading} over whoever has the whole combination, mean over folds and seeds. Where imputation "
            f"helps, the second column of a pair should be {better} the first: the hidden modality was known in "
            f"training. {SPREAD}",
            (Column("row"), *map(Column, headings)),
            tuple(rows),
        )


def _on_complete(run: FinishedCell, names: tuple[str, ...]) -> float | None:
    """Return the fold mean of the primary measure of a run over samples that have all of some modalities."""
    said = run.tested
    complete = np.all([said.modalities[name].present for name in names], axis=0)
    measure = MEASURES.get(PRIMARY[run.metrics.kind])
    areas = [
        measure.value(said.y[rows], said.predicted[rows])
        for fold in np.unique(said.fold)
        for rows in [complete & (said.fold == fold)]
    ]
    return metrics.mean_defined(areas)


def _shown(run: FinishedCell, names: tuple[str, ...]) -> float | None:
    """Return the fold mean of the primary measure of a run when shown some modalities, where it has them all."""
    table = run.measured(COMBINATIONS)
    if table is None:
        return None
    available = table.filter(among=AVAILABLE)
    found = dict(zip(available["combination"], available[PRIMARY[run.metrics.kind]], strict=True))
    return found.get("+".join(sorted(names)))
