"""The two comparisons that were fixed before anything was run: they alone are confirmed, the rest describes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ..cell import Cell, Measurement, Scope
from ..finished import Study, compare
from ..results import Item, Note
from .base import Experiment, difference_table

PRIMARY = (("omnifuse", "concat:modality-dropout"), ("omnifuse", "late:ridge"))


@dataclass(frozen=True)
class Hypotheses(Experiment):
    """OmniFuse against concatenation with modality dropout, and against late fusion with ridge imputation.

    Each on the data as they are, and with half of those who can lose a modality having lost one in training and test.
    """

    kind: ClassVar[str] = "hypotheses"
    heading: ClassVar[str] = "The two primary hypotheses"

    rate: float = 0.5
    """Share that loses a modality on purpose, in training and test."""

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield the three methods, complete and with modalities missing."""
        for settings in self._conditions().values():
            for method in dict.fromkeys(method for pair in PRIMARY for method in pair):
                for cell in self.cells(scope, method, scope.modalities, *settings):
                    yield cell, ()

    def items(self, study: Study) -> Iterator[Item]:
        """Yield the four differences."""
        rows = []
        for condition, settings in self._conditions().items():
            for methods in PRIMARY:
                first, second = (
                    study.find_all(self.cells(study.scope, method, study.scope.modalities, *settings))
                    for method in methods
                )
                rows.append((f"{methods[0]} − {methods[1]}, {condition}", compare(first, second, study)))
        yield Note(
            "These comparisons are part of the software, so that nobody can choose them after having seen results. "
            "A difference whose interval includes 0 is not shown, in either direction; everything else in this report "
            "describes and confirms nothing."
        )
        yield difference_table("hypotheses", "Differences of the AUROC", "hypothesis", rows)

    def _conditions(self) -> dict[str, tuple[str, ...]]:
        missing = ("missing.rate=" + str(self.rate), "missing.protocol=train-and-test")
        return {"data as they are": (), f"{self.rate:.0%} missing in training and test": missing}
