"""A publication beside its reproduction: what was counted there and here, what was found, and what is not compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ....cache_schema import InputError
from ....reproductions.comparison import PAIRED, PARTIAL, Beside, Count, release_words
from ....reproductions.reproduction import Published as Number
from ....reproductions.reproduction import Reproduction, read_reproduction
from ...scores import paired
from ...scores.measures import MEASURES
from ..cell import Cell, Measurement, Scope
from ..finished import FinishedCell, FinishedStudy
from ..results import Column, Estimate, Item, Note, ResultTable, Value
from .base import Experiment

MEASURED = ("auroc", "auprc")

COUNTS = (
    "Expected are published numbers of the release that the tables are of; those of another release are not shown. "
    "Second-hand: not read where it was published."
)
RESULTS = (
    "Published values with their 95 % intervals, if any. Here: folds or the split of this cache, with 95 % intervals "
    "for other patients and, with several seeds, other trainings. No difference is tested: the patients differ."
)


@dataclass(frozen=True)
class Published(Experiment):
    """The cohort and the results of a publication beside those of the study."""

    kind: ClassVar[str] = "published"
    heading: ClassVar[str] = "Beside the published number"

    reproduction: str = ""
    """Name of what is known of the publication."""
    methods: tuple[str, ...] = ("logistic", "concat", "omnifuse")
    """Methods whose results stand beside those published, as NAME or NAME:PRESET."""

    def __post_init__(self) -> None:
        read_reproduction(self.reproduction)

    @property
    def fewest_modalities(self) -> int:
        """Return one: nothing here is about fusion."""
        return 1

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield the cells of the methods on all modalities."""
        for method in self.methods:
            for cell in self.cells(scope, method, scope.modalities):
                yield cell, ()

    def items(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield what it is, the counts, the results by cohort, and what is not compared."""
        of = read_reproduction(self.reproduction)
        counted = study.beside
        if counted is None or counted.name != of.name:
            raise InputError(f"{study.folder} does not say how its cohort stands beside {of.name}; start it again.")
        yield Note(f"{of.title}: {of.paper}. Here {release_words(counted.release)}.")
        yield _definition(of)
        yield _counts(counted)
        for cohort in (PARTIAL, PAIRED) if len(of.modalities) > 1 else (PARTIAL,):
            yield self._results(study, of, cohort, counted.release)
        for words, lines in (
            ("Not compared", of.not_compared),
            ("Kept of the original, though it is an error", of.bugs_kept),
            ("Mended", of.bugs_mended),
        ):
            if lines:
                yield Note(f"{words}: {' '.join(line if line.endswith('.') else f'{line}.' for line in lines)}")

    def _results(self, study: FinishedStudy, of: Reproduction, cohort: str, release: str) -> ResultTable:
        numbers = [one for one in of.published if one.task == study.scope.task and one.cohort == cohort]
        rows = [*_published(numbers), *(self._own(study, method, cohort) for method in self.methods)]
        warning = "" if release in of.releases else " The published values are of another release than these tables."
        return ResultTable(
            f"published-{cohort}", f"Published and here, {_words(cohort, of)}", RESULTS + warning,
            (
                Column("method"), Column("where"), Column("samples"),
                *(Column(MEASURES.get(name).title) for name in MEASURED), Column("known from"),
            ),
            tuple(rows),
        )  # fmt: skip

    def _own(self, study: FinishedStudy, method: str, cohort: str) -> tuple[Value, ...]:
        runs = study.find_all(self.cells(study.scope, method, study.scope.modalities))
        if not runs:
            return method, "here, failed", None, None, None, ""
        ids = runs[0].sample_id
        if cohort == PAIRED:
            ids = ids[runs[0].tested.combinations == "+".join(sorted(study.scope.modalities))]
        return method, "here", len(ids), *(_estimate(study, runs, ids, name) for name in MEASURED), "this study"


def _estimate(study: FinishedStudy, runs: Sequence[FinishedCell], ids: npt.NDArray[Any], name: str) -> Estimate:
    if study.kind not in MEASURES.get(name).kinds or not len(ids):
        return Estimate(None)
    drawn = [study.areas(run, ids, name) for run in runs]
    if any(one is None for one in drawn):
        return Estimate(None)
    found = paired.over_trainings(np.array(drawn, dtype=np.float64))
    return Estimate(None) if found is None else Estimate(found.mean, found.low, found.high)


def _published(numbers: list[Number]) -> Iterator[tuple[Value, ...]]:
    """Yield a row for each published method, in their order."""
    for method in dict.fromkeys(one.method for one in numbers):
        by_measure = {one.measure: one for one in numbers if one.method == method}
        values = [by_measure.get(name) for name in MEASURED]
        any_one = next(iter(by_measure.values()))
        yield (
            method, "published", None,
            *(None if one is None else Estimate(one.value, one.low, one.high) for one in values),
            f"{any_one.known}: {any_one.source}",
        )  # fmt: skip


def _definition(of: Reproduction) -> ResultTable:
    return ResultTable(
        "published-definition", "As published and here", "What is the same, and what is not.",
        (Column("aspect"), Column("as published"), Column("here")), of.definition,
    )  # fmt: skip


def _counts(counted: Beside) -> ResultTable:
    columns = Column("count"), Column("found"), Column("expected"), Column("agrees"), Column("known from")
    rows = tuple(map(_counted, counted.counts))
    return ResultTable("published-counts", "The cohort after every step", COUNTS, columns, rows)


def _counted(one: Count) -> tuple[Value, ...]:
    if one.expected is None:
        return one.what, one.found, "not published", "", ""
    return one.what, one.found, f"{one.expected:,}", _verdict(one.expected, one.found), f"{one.known}: {one.source}"


def _verdict(expected: int, found: int) -> str:
    return "yes" if expected == found else f"no, {found - expected:+,}"


def _words(cohort: str, of: Reproduction) -> str:
    if len(of.modalities) == 1:
        return "all samples"
    return "all samples (partial)" if cohort == PARTIAL else f"samples with {' and '.join(of.modalities)} (paired)"
