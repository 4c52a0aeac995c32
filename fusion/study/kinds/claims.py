"""What the paper claims, and what these data say about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from ..cell import Cell, Measurement, Scope
from ..finished import FinishedCell, Study, best, compare
from ..results import Column, Estimate, Item, Note, ResultTable
from .base import Experiment
from .fusion_methods import PAPER
from .missing import RANDOM

WITHOUT, WITH = "omnifuse:table4-c", "omnifuse"
"""The same method without and with imputation."""
INACTIVE = "options.lambda3=0"
"""Without the loss of laziness activation, but with modalities hidden in training all the same: row b of the ablation
lacks both, so that its difference to row c is not that of the activation alone."""
RATE = 0.5


@dataclass(frozen=True)
class Claims(Experiment):
    """Each claim as one difference with its interval, and whether that interval agrees with it."""

    kind: ClassVar[str] = "claims"
    heading: ClassVar[str] = "Do the paper's claims hold on these data?"

    draws: int = 20
    """Draws of who loses a modality."""

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield what the differences are made of, first seed."""
        for names in scope.modality_sets("each"):
            yield self._cell(scope, "concat", names), ()
        for method in PAPER:
            yield self._cell(scope, method, scope.modalities), ()
        yield self._cell(scope, WITHOUT, scope.modalities, INACTIVE), ()
        for method in (WITHOUT, WITH):
            yield self._cell(scope, method, scope.modalities), (self._curves,)

    def items(self, study: Study) -> Iterator[Item]:
        """Yield the table of claims."""
        rows = [
            ("A combination is worse than its dominant modality", *self._laziness(study)),
            ("DWFuse is better than every other fusion method", *self._dynamic_weighting(study)),
            ("Laziness activation helps", "with − without its loss, no imputation", self._activation(study), 1),
            (
                f"Imputation helps when {RATE:.0%} lack a modality in the test",
                "with − without imputation",
                self._imputation(study),
                1,
            ),
            ("The whole is better than concatenation", "omnifuse − concat", self._whole(study), 1),
        ]
        yield ResultTable(
            "claims",
            "Claims, each as a difference of the AUROC",
            "A claim holds if its 95 % interval lies on the claimed side of 0, fails if it lies on the other, and is "
            "not shown otherwise. Intervals are for these models and this cohort: a paired bootstrap of the patients "
            "of each fold; for imputation 95 % of the draws of who loses what, which leaves the patients as they are.",
            (Column("claim"), Column("measured as"), Column("difference", signed=True), Column("verdict")),
            tuple((claim, how, difference, verdict(difference, sign)) for claim, how, difference, sign in rows),
        )
        yield Note(
            "The dominant modality and the best other method are the best by these very results, which makes the first "
            "claim easier and the second harder to hold."
        )

    @property
    def _curves(self) -> Measurement:
        return Measurement("missing_curves", (("rates", (RATE,)), ("draws", self.draws)))

    def _cell(self, scope: Scope, method: str, modalities: tuple[str, ...], *settings: str) -> Cell:
        return self.cells(scope, method, modalities, *settings)[0]

    def _find(self, study: Study, method: str, *settings: str) -> list[FinishedCell]:
        return study.find_all([self._cell(study.scope, method, study.scope.modalities, *settings)])

    def _whole(self, study: Study) -> Estimate:
        return _difference(self._find(study, WITH), self._find(study, "concat"), study)

    def _activation(self, study: Study) -> Estimate:
        return _difference(self._find(study, WITHOUT), self._find(study, WITHOUT, INACTIVE), study)

    def _laziness(self, study: Study) -> tuple[str, Estimate, int]:
        alone = {
            names[0]: study.find_all([self._cell(study.scope, "concat", names)])
            for names in study.scope.modality_sets("each")
        }
        dominant = best(alone)
        return f"concat − {dominant} alone", _difference(self._find(study, "concat"), alone[dominant], study), -1

    def _dynamic_weighting(self, study: Study) -> tuple[str, Estimate, int]:
        others = {method: self._find(study, method) for method in PAPER if method != "dwfuse"}
        rival = best(others)
        return f"dwfuse − {rival}", _difference(self._find(study, "dwfuse"), others[rival], study), 1

    def _imputation(self, study: Study) -> Estimate:
        tables = [run.measured(self._curves) for method in (WITH, WITHOUT) for run in self._find(study, method)]
        if len(tables) < 2 or any(table is None for table in tables):
            return Estimate(None)
        areas = [
            table.filter(pl.col("hidden") == RANDOM).sort("draw")["auroc"] for table in tables if table is not None
        ]
        differences = (areas[0] - areas[1]).drop_nulls().to_numpy()
        if not len(differences):
            return Estimate(None)
        low, high = np.quantile(differences, (0.025, 0.975))
        return Estimate(float(differences.mean()), float(low), float(high))


def _difference(first: Sequence[FinishedCell], second: Sequence[FinishedCell], study: Study) -> Estimate:
    found = compare(first, second, study)
    return Estimate(None) if found is None else found.difference


def verdict(difference: Estimate, sign: int) -> str:
    """Return in a word whether an interval agrees with a difference of this sign."""
    if difference.low is None or difference.high is None:
        return "not measured"
    low, high = sorted((sign * difference.low, sign * difference.high))
    return "holds" if low > 0 else "fails" if high < 0 else "not shown"
