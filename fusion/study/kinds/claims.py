"""What the paper claims, and what these data say about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ..cell import Cell, Measurement, Scope
from ..finished import Comparison, FinishedCell, FinishedStudy, best, compare
from ..results import Column, Item, Note, ResultTable
from ..verdict import SEVERAL
from .base import DIFFERENCE, WITHOUT, Experiment, comparison_cells, drawn, reading
from .fusion_methods import PAPER

WITH = "omnifuse"
"""The same method as `WITHOUT`, with imputation."""
INACTIVE = "options.lambda3=0"
"""Without the loss of laziness activation, but with modalities hidden in training all the same: row b of the ablation
lacks both, so that its difference to row c is not that of the activation alone."""
RATE = 0.5

HOLDS_ABOVE, FAILS_ABOVE = ("holds", "fails"), ("fails", "holds")
"""What a claim does where its difference is in favour of the first method, and where it is against it."""


@dataclass(frozen=True)
class Claims(Experiment):
    """Each claim as one difference with its interval, and whether that agrees with it."""

    kind: ClassVar[str] = "claims"
    heading: ClassVar[str] = "Do the paper's claims hold on these data?"

    draws: int = 20
    """Draws of who loses a modality, for each seed."""

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield what the differences are made of, every seed."""
        asked: tuple[Measurement, ...]
        for names in scope.modality_sets("each"):
            yield from ((cell, ()) for cell in self.cells(scope, "concat", names))
        for method in (*PAPER, WITHOUT, WITH):
            asked = (drawn(RATE, self.draws),) if method in (WITHOUT, WITH) else ()
            yield from ((cell, asked) for cell in self.cells(scope, method, scope.modalities))
        yield from ((cell, ()) for cell in self.cells(scope, WITHOUT, scope.modalities, INACTIVE))

    def items(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield the table of claims."""
        claims = [
            ("A combination is worse than its dominant modality", *self._laziness(study), FAILS_ABOVE),
            ("DWFuse is better than every other fusion method", *self._dynamic_weighting(study), HOLDS_ABOVE),
            (
                "Laziness activation helps",
                "with − without its loss, no imputation",
                compare(self._find(study, WITHOUT), self._find(study, WITHOUT, INACTIVE), study),
                HOLDS_ABOVE,
            ),
            (
                f"Imputation helps when {RATE:.0%} lack a modality in the test",
                "with − without imputation",
                compare(self._find(study, WITH), self._find(study, WITHOUT), study, drawn(RATE, self.draws)),
                HOLDS_ABOVE,
            ),
            (
                "The whole is better than concatenation",
                "omnifuse − concat",
                compare(self._find(study, WITH), self._find(study, "concat"), study),
                HOLDS_ABOVE,
            ),
        ]
        found, words = [claim[2] for claim in claims], [claim[3] for claim in claims]
        cells = comparison_cells(found, study.margin, words, SEVERAL)
        yield ResultTable(
            "claims",
            f"Claims, each as a difference of the {study.measure.title}",
            "Holds: the difference is shown on the claimed side of 0. Fails: on the other side. One training shows "
            f"neither. Imputation: mean over {self.draws} draws of who loses what, other draws for every seed. "
            f"{reading(found, study)}",
            (Column("claim"), Column("measured as"), *DIFFERENCE),
            tuple((claim, how, *values) for (claim, how, *_), values in zip(claims, cells, strict=True)),
        )
        yield Note(
            "The dominant modality and the best other method are the best by these very results, which makes the first "
            "claim easier and the second harder to hold."
        )

    def _find(self, study: FinishedStudy, method: str, *settings: str) -> list[FinishedCell]:
        return study.find_all(self.cells(study.scope, method, study.scope.modalities, *settings))

    def _laziness(self, study: FinishedStudy) -> tuple[str, Comparison | None]:
        alone = {
            names[0]: study.find_all(self.cells(study.scope, "concat", names))
            for names in study.scope.modality_sets("each")
        }
        dominant = best(alone)
        return f"concat − {dominant} alone", compare(self._find(study, "concat"), alone[dominant], study)

    def _dynamic_weighting(self, study: FinishedStudy) -> tuple[str, Comparison | None]:
        others = {method: self._find(study, method) for method in PAPER if method != "dwfuse"}
        rival = best(others)
        return f"dwfuse − {rival}", compare(self._find(study, "dwfuse"), others[rival], study)
