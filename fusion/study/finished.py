"""Finished cells of a study, read back to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
import polars.selectors as cs

from ...reproductions.comparison import Beside
from ..files import read_json, read_table
from ..runs.folder import RunFolder
from ..runs.run import Run
from ..scores import paired, resampling
from ..scores.measures import KINDS, MEASURES, PRIMARY, Measure
from ..scores.resampling import Predicted
from ..scores.survival import as_predicted
from .cell import Cell, Measurement, Scope
from .results import Estimate

FloatArray = npt.NDArray[np.floating[Any]]

Key = TypeVar("Key")

CELLS = "cells"
"""Folder of the cells in that of the study."""
REPRODUCTION = "reproduction.json"
"""File of how its cohort stands beside a published one."""


@dataclass(frozen=True)
class Answers:
    """What models say of n samples that they were not trained on, in D versions of the samples.

    ``sample_id`` [n], ``y`` [n, K] outcomes, binary labels of classes (NaN: unknown), ``versions`` [D] of what was
    predicted, each of n samples as measures take it, ``fold`` [n].
    """

    sample_id: npt.NDArray[Any]
    y: FloatArray
    versions: list[Predicted]
    fold: FloatArray


@dataclass(frozen=True)
class FinishedCell(Run):
    """The run of a cell."""

    cell: Cell = field(kw_only=True)

    @cached_property
    def sample_id(self) -> npt.NDArray[Any]:
        """[N] ids of the tested samples."""
        return self.predictions["sample_id"].to_numpy()

    def over_folds(self, measure: str) -> list[float | None]:
        """Return a measure of each fold's test part; None where it is not defined."""
        return [fold.measures.get(measure) for fold in self.metrics.folds]

    def measured(self, measurement: Measurement) -> pl.DataFrame | None:
        """Return the table of a measurement; None if it could not be made."""
        path = self.path / measurement.file
        return read_table(path) if path.is_file() else None

    def answers(self, asked: Measurement | None = None) -> Answers | None:
        """Return what its models say of the tested samples, or of each draw of a drawn measurement; None without it."""
        said = self.tested
        if asked is None:
            return Answers(self.sample_id, said.y, [said.predicted], said.fold)
        table = self.measured(asked)
        if table is None:
            return None
        known = pl.DataFrame({"sample_id": self.sample_id}).with_row_index("place")
        drawn = table.join(known, on="sample_id").sort("draw", "place")
        p = drawn.select(pl.exclude("draw", "sample_id", "place")).to_numpy().reshape(-1, *said.p.shape)
        return Answers(self.sample_id, said.y, [as_predicted(said.kind, one, said.times) for one in p], said.fold)


@dataclass(frozen=True)
class FinishedStudy:
    """All finished cells of a study; ``subject`` maps sample ids to numbers of patients."""

    folder: Path
    scope: Scope
    subject: pl.DataFrame

    @cached_property
    def beside(self) -> Beside | None:
        """How the cohort stands beside a published one; None unless the study reproduces one."""
        file = self.folder / REPRODUCTION
        return Beside.from_json(read_json(file)) if file.is_file() else None

    @cached_property
    def kind(self) -> str:
        """The kind of its task; binary before anything is finished."""
        return "binary" if self._example is None else self._example.metrics.kind

    @property
    def measure(self) -> Measure:
        """The primary measure of its task."""
        return MEASURES.get(PRIMARY[self.kind])

    @property
    def heading(self) -> str:
        """The title of the primary measure as a sentence begins with it."""
        title = self.measure.title
        return title[0].upper() + title[1:]

    @cached_property
    def guessing(self) -> float | None:
        """What whoever guesses reaches by the primary measure."""
        return None if self._example is None else self.measure.guessing(self._example.tested.y)

    @cached_property
    def margin(self) -> float:
        """Differences of the primary measure smaller than this are of no consequence.

        That of the scope; of a measure in the unit of the outcome it is that share of what guessing reaches.
        """
        if not self.measure.in_units or self.guessing is None:
            return self.scope.margin
        return float(f"{self.scope.margin * self.guessing:.2g}")

    @cached_property
    def _example(self) -> Run | None:
        """Any finished run: all have the same task."""
        paths = sorted((self.folder / CELLS).glob("*"))
        return next((Run(path) for path in paths if RunFolder(path).is_finished), None)

    def find(self, cell: Cell) -> FinishedCell | None:
        """Return a cell's run; None if it has failed."""
        path = self.folder / CELLS / cell.id
        if path not in self._found and RunFolder(path).is_finished:
            self._found[path] = FinishedCell(path, cell=cell)
        return self._found.get(path)

    def find_all(self, cells: Sequence[Cell]) -> list[FinishedCell]:
        """Return the runs of those cells that have not failed."""
        return [found for cell in cells if (found := self.find(cell))]

    @cached_property
    def _found(self) -> dict[Path, FinishedCell]:
        """Runs that were found before: most are looked at by several experiments."""
        return {}

    @cached_property
    def _weights(self) -> npt.NDArray[np.uint8]:
        """How often each patient counts, [1 + B, P]: the same draws in every comparison."""
        return resampling.patient_weights(self.subject["subject"].n_unique())

    @cached_property
    def _areas(self) -> dict[Any, FloatArray]:
        """Areas that were drawn before: most runs are compared with several others."""
        return {}

    def areas(
        self, run: FinishedCell, ids: npt.NDArray[Any], measure: str, asked: Measurement | None = None
    ) -> FloatArray | None:
        """Return the area of a run on some of the samples that it tested, [1 + B]: of all patients, then of each draw.

        Mean over folds, and over the draws of a measurement; None if that could not be made.
        """
        key = run.path, hash(tuple(ids.tolist())), measure, asked
        if key not in self._areas:
            said = run.answers(asked)
            if said is None:
                return None
            rows = np.flatnonzero(np.isin(said.sample_id, ids))
            numbers = np.unique(self.subject["subject"].to_numpy())
            patients = np.searchsorted(numbers, self.subjects(said.sample_id[rows]))
            resampled = MEASURES.get(measure).resampled
            assert resampled is not None, f"{measure} cannot be resampled"
            self._areas[key] = resampling.mean_over_folds(
                resampled, said.y[rows], [one[rows] for one in said.versions], said.fold[rows], patients, self._weights
            )
        return self._areas[key]

    def subjects(self, sample_id: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the patient of each sample, [N] numbers."""
        samples = pl.DataFrame({"sample_id": sample_id})
        return samples.join(self.subject, on="sample_id", how="left", maintain_order="left")["subject"].to_numpy()


def primary(runs: Sequence[FinishedCell]) -> str:
    """Return the primary measure of the task of some runs, at least one."""
    return PRIMARY[runs[0].metrics.kind]


def estimate(runs: Sequence[FinishedCell], measure: str | None = None) -> Estimate:
    """Return the mean of a measure over seeds and folds; of several seeds with the standard deviation over them.

    By default of the primary measure.
    """
    values = _table_of_folds(runs, measure)
    if values is None:
        return Estimate(None)
    return Estimate(float(np.mean(values)), sd=paired.sd_of_means(values))


def over_seeds(values: Sequence[float | None]) -> Estimate:
    """Return the mean of one value a seed, without None, and of several the standard deviation over seeds."""
    known = [value for value in values if value is not None]
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return Estimate(float(np.mean(known)) if known else None, sd=sd)


def pooled(runs: Sequence[FinishedCell], study: FinishedStudy, measure: str | None = None) -> Estimate:
    """Return the mean of a measure over seeds and folds, with its interval for other patients and trainings.

    By default of the primary measure. With one seed the interval is for these models: other patients alone.
    """
    if not runs:
        return Estimate(None)
    name = measure or primary(runs)
    found = paired.over_trainings(np.array([study.areas(run, run.sample_id, name) for run in runs]))
    low, high = MEASURES.get(name).bounds
    return Estimate(None) if found is None else Estimate(found.mean, max(low, found.low), min(high, found.high))


def mean_table(runs: Sequence[FinishedCell], asked: Measurement, keys: Sequence[str]) -> pl.DataFrame | None:
    """Return the table of a measurement, its numbers averaged over seeds; None if no run has it."""
    tables = [table for run in runs if (table := run.measured(asked)) is not None]
    if not tables:
        return None
    return pl.concat(tables).group_by(keys, maintain_order=True).agg(cs.float().mean(), (~cs.float()).first())


def best(runs: Mapping[Key, Sequence[FinishedCell]]) -> Key:
    """Return the key of the runs with the best mean of the primary measure, the first of several."""

    def goodness(key: Key) -> float:
        value = estimate(runs[key]).value
        if value is None:
            return -np.inf
        return value if MEASURES.get(primary(runs[key])).higher_is_better else -value

    return max(runs, key=goodness)


def sd_over_seeds(runs: Sequence[FinishedCell]) -> float | None:
    """Return the standard deviation over seeds of the mean over folds of the primary measure; None with one seed."""
    return estimate(runs).sd


def _table_of_folds(runs: Sequence[FinishedCell], measure: str | None) -> FloatArray | None:
    """Return a measure of every seed and fold, [S, F], without folds that lack it; None if nothing is left."""
    if not runs:
        return None
    values = np.array([run.over_folds(measure or primary(runs)) for run in runs], dtype=float)
    values = values[:, ~np.isnan(values).any(axis=0)]
    return values if values.size else None


@dataclass(frozen=True)
class Comparison:
    """How much better a method is than another on the same patients, by the primary measure.

    Where lower is better, the better one has a ``difference`` below 0. It is the mean over seeds and folds, with
    its interval for other patients and other trainings and the standard deviation of the difference over seeds;
    ``p`` is two-sided, ``equivalence`` that of a difference as large as the study's margin (see
    `paired.over_trainings`). With one of ``trainings`` all of them are for these models: what another seed would
    change is unknown. ``paired_t`` over folds of the first seed is as in the paper, too small because folds share
    training patients; ``delong`` of the first seed where one model tested everybody, else None.
    """

    difference: Estimate
    p: float
    equivalence: float
    trainings: int
    paired_t: float | None
    delong: float | None
    higher_is_better: bool = True

    @property
    def is_worse(self) -> bool:
        """Whether the first method has the worse mean."""
        value = self.difference.value or 0.0
        return value < 0 if self.higher_is_better else value > 0


def compare(
    first: Sequence[FinishedCell],
    second: Sequence[FinishedCell],
    study: FinishedStudy,
    asked: Measurement | None = None,
) -> Comparison | None:
    """Compare two methods, each with a run for every seed, on the patients that both have tested.

    With a drawn measurement, by the mean over its draws.
    """
    by_seed = [{run.cell.seed: run for run in reversed(runs)} for runs in (first, second)]
    pairs = [(by_seed[0][seed], by_seed[1][seed]) for seed in sorted(by_seed[0].keys() & by_seed[1].keys())]
    values = []
    for a, b in pairs:
        both = np.intersect1d(a.sample_id, b.sample_id)
        areas = [study.areas(run, both, primary([a]), asked) for run in (a, b)]
        if areas[0] is not None and areas[1] is not None:
            values.append(areas[0] - areas[1])
    found = paired.over_trainings(np.array(values), study.margin) if values else None
    if found is None:
        return None
    simple, delong = (None, None) if asked else _of_one_seed(*pairs[0], study.scope)
    sd = over_seeds([float(each[0]) for each in values]).sd
    difference = Estimate(found.mean, found.low, found.high, sd)
    higher = MEASURES.get(primary(first)).higher_is_better
    return Comparison(difference, found.p, found.p_equivalence, len(values), simple, delong, higher)


def _of_one_seed(first: FinishedCell, second: FinishedCell, scope: Scope) -> tuple[float | None, float | None]:
    """Return the p-values of the paired t-test over folds, and of DeLong's test where there are no folds."""
    _, rows, others = np.intersect1d(first.sample_id, second.sample_id, return_indices=True)
    y, fold = first.tested.y[rows], first.tested.fold[rows]
    if scope.folds == 1:
        one_label = first.metrics.kind in KINDS and y.shape[1] == 1
        chances = first.tested.p[rows, 0], second.tested.p[others, 0]
        test = paired.delong(y[:, 0], *chances) if one_label else None
        return None, test.p if test else None
    predicted = first.tested.predicted[rows], second.tested.predicted[others]
    test = paired.paired_t(_differences(primary([first]), y, *predicted, fold))
    return test.p if test else None, None


def _differences(measure: str, y: FloatArray, first: Predicted, second: Predicted, folds: FloatArray) -> FloatArray:
    """Return the differences of a measure [F] in the folds where both have one."""
    value, values = MEASURES.get(measure).value, []
    for number in np.unique(folds):
        here = folds == number
        areas = [value(y[here], p[here]) for p in (first, second)]
        if areas[0] is not None and areas[1] is not None:
            values.append(areas[0] - areas[1])
    return np.array(values)
