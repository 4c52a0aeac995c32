"""What an experiment is: the cells that it looks at, and the chapter that it makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from ...paired import holm
from ..cell import Cell, Measurement, Scope
from ..finished import Comparison, Study
from ..results import Chapter, Column, Estimate, Item, Note, ResultTable, Value


@dataclass(frozen=True)
class Experiment:
    """Base of all kinds; the fields of a subclass are what a grid can set, all with defaults."""

    kind: ClassVar[str]
    heading: ClassVar[str]
    """Title of the chapter unless the grid gives another."""

    title: str = ""
    """Title of its chapter."""
    seeds: tuple[int, ...] = ()
    """Seeds of this experiment; those of the study by default."""
    settings: tuple[str, ...] = ()
    """Settings of its trainings beside those of the study."""

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield the cells that it looks at, and what is to be measured of each after the training."""
        raise NotImplementedError

    def items(self, study: Study) -> Iterator[Item]:
        """Yield the parts of its chapter in reading order."""
        raise NotImplementedError

    def chapter(self, study: Study, number: int = 1) -> Chapter:
        """Return its chapter; ``number`` counts the experiments of its kind and keeps the names of tables apart."""
        suffix = "" if number == 1 else f"-{number}"
        items = [
            item if isinstance(item, Note) else replace(item, name=f"{item.name}{suffix}") for item in self.items(study)
        ]
        return Chapter(f"{self.kind}{suffix}", self.title or self.heading, tuple(items))

    def seeds_of(self, scope: Scope) -> tuple[int, ...]:
        """Return its seeds, or those of the study."""
        return self.seeds or scope.seeds

    def cells(self, scope: Scope, method: str, modalities: tuple[str, ...], *settings: str) -> list[Cell]:
        """Return the cells of a method on some modalities, one for each seed."""
        return [
            Cell(method, modalities, scope.task, scope.folds, seed, (*scope.settings, *self.settings, *settings))
            for seed in self.seeds_of(scope)
        ]


def together(modalities: Sequence[str]) -> str:
    """Return a set of modalities as a reader sees it."""
    return " + ".join(modalities)


DIFFERENCE = (
    Column("difference", signed=True),
    Column("p, bootstrap"),
    Column("p, paired t"),
    Column("p, DeLong"),
    Column("p, corrected t"),
    Column("p, Holm"),
)
READING = (
    "Differences of the AUROC. With one seed the 95 % interval is that of a paired bootstrap of the patients in each "
    "fold, and is for these models; with several it is that of the corrected resampled t-test over folds and seeds, "
    "and speaks of the procedure. The paired t-test over folds is the paper's; its p-values are too small, because "
    "folds share training patients; where one model tested everybody, DeLong's test takes its place. Bootstrap, paired "
    "t and DeLong are of the first seed. Holm: the corrected t, or without it the bootstrap, adjusted for all rows of "
    "the table."
)


def comparison_cells(found: Comparison | None, holm: float | None) -> tuple[Value, ...]:
    """Return the columns `DIFFERENCE` of a row."""
    if found is None:
        return (Estimate(None), *[None] * (len(DIFFERENCE) - 1))
    return (found.difference, found.bootstrap, found.paired_t, found.delong, found.corrected_t, holm)


def main_p(found: Comparison | None) -> float | None:
    """Return the p-value that is adjusted: of the procedure where there is one, else of these models."""
    if found is None:
        return None
    return found.bootstrap if found.corrected_t is None else found.corrected_t


def difference_table(name: str, title: str, first: str, rows: Sequence[tuple[str, Comparison | None]]) -> ResultTable:
    """Return a table of differences, each row named, with p-values adjusted over the rows."""
    adjusted = holm([main_p(found) for _, found in rows])
    body = tuple((label, *comparison_cells(found, p)) for (label, found), p in zip(rows, adjusted, strict=True))
    return ResultTable(name, title, READING, (Column(first), *DIFFERENCE), body)
