"""What an experiment is: the cells that it looks at, and the chapter that it makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from ...scores.intervals import LEVEL
from ...scores.paired import holm
from ..cell import Cell, Measurement, Scope
from ..finished import Comparison, FinishedStudy
from ..measure import DRAWN
from ..results import Chapter, Column, Estimate, Item, Note, ResultTable, Value
from ..verdict import ORDERED, verdict


@dataclass(frozen=True)
class Experiment:
    """Base of all kinds; the fields of a subclass are what a grid can set, all with defaults."""

    kind: ClassVar[str]
    heading: ClassVar[str]
    """Title of the chapter unless the grid gives another."""

    @property
    def fewest_modalities(self) -> int:
        """How many modalities it takes to make sense of it."""
        return 2

    title: str = ""
    """Title of its chapter."""
    seeds: tuple[int, ...] = ()
    """Seeds of this experiment; those of the study by default."""
    settings: tuple[str, ...] = ()
    """Settings of its trainings beside those of the study."""

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield the cells that it looks at, and what is to be measured of each after the training."""
        raise NotImplementedError

    def items(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield the parts of its chapter in reading order."""
        raise NotImplementedError

    def chapter(self, study: FinishedStudy, number: int = 1) -> Chapter:
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
        return [self.cell(scope, method, modalities, seed, *settings) for seed in self.seeds_of(scope)]

    def cell(self, scope: Scope, method: str, modalities: tuple[str, ...], seed: int, *settings: str) -> Cell:
        """Return the cell of one seed."""
        return Cell(method, modalities, scope.task, scope.folds, seed, (*scope.settings, *self.settings, *settings))

    def cells_losing(self, scope: Scope, method: str, modalities: tuple[str, ...], rate: float) -> list[Cell]:
        """Return the cells of a method that lack a modality in training and test, each seed with a draw of its own."""
        losing = f"missing.rate={rate}", "missing.protocol=train-and-test"
        return [
            self.cell(scope, method, modalities, seed, *((*losing, f"missing.seed={seed}") if rate else ()))
            for seed in self.seeds_of(scope)
        ]


def drawn(rate: float, draws: int) -> Measurement:
    """Return the measurement of what models say when some draw of the samples lacks a modality in the test."""
    return Measurement(DRAWN, (("rate", rate), ("draws", draws)))


REFERENCE = "concat"
"""The method that others are compared with."""
WITHOUT = "omnifuse:table4-c"
"""OmniFuse without imputation."""
WITHOUT_MEANS = f"{WITHOUT} is omnifuse without imputation, row c of the paper's Table 4."

SPREAD = "±: standard deviation over seeds; without it there was one training, and what another would give is unknown."
FIRST_SEED = "What follows is of the models of the first seed; others differ a little."
INTERVAL = "95 % intervals are for other patients and, with several seeds, other trainings."

DIFFERENCE = (
    Column("difference", signed=True),
    Column("sd over seeds", decimals=4),
    Column("p"),
    Column("p, Holm"),
    Column("p, equivalence"),
    Column("verdict"),
    Column("p, paired t"),
    Column("p, DeLong"),
)
SEVERAL = (
    "Differences of the {measure}, mean over folds and seeds. The 95 % interval and p are for other patients and other "
    "trainings: the same patients are drawn for both methods and all seeds, and what seeds differ by is added."
)
ONE = (
    "Differences of the {measure}, mean over folds. Each method was trained with one seed: what another training would "
    "change is unknown and in no interval or p-value here. These are for other patients and these models alone."
)
VERDICT = (
    "Better, worse: p after Holm, over all rows of the table, is below {level:g}. Equivalent: the 90 % interval of the "
    "row lies within ± {margin:g}, which is two one-sided tests at 5 % (p, equivalence). Not shown: neither."
)
OLDER = (
    "The paired t-test over folds is the paper's, of the first seed; its p is too small, because folds share training "
    "patients."
)
OF_ONE_MODEL = "Where one model tested everybody, DeLong's test, of the first seed, takes its place."


LOWER = "Lower is better: a difference below 0 is in favour of the first method."


def reading(found: Sequence[Comparison | None], study: FinishedStudy) -> str:
    """Return how to read the columns `DIFFERENCE`."""
    several = any(one is not None and one.trainings > 1 for one in found)
    what = (SEVERAL if several else ONE).format(measure=study.measure.title)
    lower = [] if study.measure.higher_is_better else [LOWER]
    delong = [OF_ONE_MODEL] if study.measure.area is not None else []
    return " ".join([what, *lower, VERDICT.format(level=LEVEL, margin=study.margin), OLDER, *delong])


def comparison_cells(
    found: Sequence[Comparison | None],
    margin: float,
    words: Sequence[tuple[str, str]] | None = None,
    trainings: int = 1,
) -> list[tuple[Value, ...]]:
    """Return the columns `DIFFERENCE` of all rows; ``words``, for each row, and ``trainings`` as in `verdict`."""
    adjusted = holm([one.p if one else None for one in found])
    called = [ORDERED] * len(found) if words is None else words
    return [
        _cells(one, p, verdict(one, p, margin, pair, trainings))
        for one, p, pair in zip(found, adjusted, called, strict=True)
    ]


def _cells(found: Comparison | None, adjusted: float | None, word: str) -> tuple[Value, ...]:
    if found is None:
        return (Estimate(None), None, None, None, None, word, None, None)
    difference = replace(found.difference, sd=None)
    return (
        difference,
        found.difference.sd,
        found.p,
        adjusted,
        found.equivalence,
        word,
        found.paired_t,
        found.delong,
    )


def difference_table(
    name: str,
    title: str,
    first: str,
    rows: Sequence[tuple[str, Comparison | None]],
    study: FinishedStudy,
    trainings: int = 1,
) -> ResultTable:
    """Return a table of differences, each row named, with p-values adjusted over the rows."""
    found = [comparison for _, comparison in rows]
    cells = comparison_cells(found, study.margin, trainings=trainings)
    body = tuple((label, *values) for (label, _), values in zip(rows, cells, strict=True))
    return ResultTable(name, title, reading(found, study), (Column(first), *DIFFERENCE), body)
