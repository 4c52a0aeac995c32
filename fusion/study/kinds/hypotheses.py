"""The two comparisons that were fixed before anything was run: they alone are confirmed, the rest describes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ..cell import Cell, Measurement, Scope
from ..finished import FinishedStudy, compare
from ..results import Item, Note
from ..verdict import SEVERAL
from .base import Experiment, difference_table, drawn

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
    draws: int = 20
    """Draws of who loses what in the test, for each seed."""

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield the three methods, complete and with modalities missing."""
        for method in dict.fromkeys(method for pair in PRIMARY for method in pair):
            yield from ((cell, ()) for cell in self.cells(scope, method, scope.modalities))
            yield from ((cell, (drawn(self.rate, self.draws),)) for cell in self._losing(scope, method))

    def items(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield the four differences."""
        scope = study.scope
        rows = []
        for pair in PRIMARY:
            first, second = (study.find_all(self.cells(scope, method, scope.modalities)) for method in pair)
            rows.append((f"{' − '.join(pair)}, data as they are", compare(first, second, study)))
        for pair in PRIMARY:
            first, second = (study.find_all(self._losing(scope, method)) for method in pair)
            found = compare(first, second, study, drawn(self.rate, self.draws))
            rows.append((f"{' − '.join(pair)}, {self.rate:.0%} missing in training and test", found))
        yield Note(
            "These comparisons are part of the software, so that nobody can choose them after having seen results. "
            "A difference whose interval includes 0 is not shown, in either direction; everything else in this report "
            f"describes and confirms nothing. Who loses a modality in training is drawn anew for every seed; in the "
            f"test, {self.draws} times for every seed."
        )
        title = f"Differences of the {study.measure.title}"
        yield difference_table("hypotheses", title, "hypothesis", rows, study, SEVERAL)

    def _losing(self, scope: Scope, method: str) -> list[Cell]:
        return self.cells_losing(scope, method, scope.modalities, self.rate)
