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

from ..files import read_table
from ..runs.folder import RunFolder
from ..runs.run import Run
from ..scores import paired
from ..scores.measures import MEASURES, PRIMARY
from .cell import Cell, Measurement, Scope
from .results import Estimate

FloatArray = npt.NDArray[np.floating[Any]]

Key = TypeVar("Key")

CELLS = "cells"
"""Folder of the cells in that of the study."""


@dataclass(frozen=True)
class Answers:
    """What models say of n samples that they were not trained on, in D versions of the samples.

    ``sample_id`` [n], ``y`` [n, K] binary labels (NaN: unknown), ``p`` [D, n, K], ``fold`` [n].
    """

    sample_id: npt.NDArray[Any]
    y: FloatArray
    p: FloatArray
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
            return Answers(self.sample_id, said.y, said.p[None], said.fold)
        table = self.measured(asked)
        if table is None:
            return None
        known = pl.DataFrame({"sample_id": self.sample_id}).with_row_index("place")
        drawn = table.join(known, on="sample_id").sort("draw", "place")
        p = drawn.select(pl.exclude("draw", "sample_id", "place")).to_numpy()
        return Answers(self.sample_id, said.y, p.reshape(-1, *said.p.shape), said.fold)


@dataclass(frozen=True)
class FinishedStudy:
    """All finished cells of a study; ``subject`` maps sample ids to numbers of patients."""

    folder: Path
    scope: Scope
    subject: pl.DataFrame

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
        return paired.patient_weights(self.subject["subject"].n_unique())

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
            area = MEASURES.get(measure).area
            assert area is not None, f"{measure} is no area"
            self._areas[key] = paired.area_draws(
                area, said.y[rows], said.p[:, rows], said.fold[rows], self._weights[:, patients]
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
    """Return the mean of an area over seeds and folds, with its interval for other patients and trainings.

    By default of the primary measure. With one seed the interval is for these models: other patients alone.
    """
    if not runs:
        return Estimate(None)
    found = paired.over_trainings(np.array([study.areas(run, run.sample_id, measure or primary(runs)) for run in runs]))
    return Estimate(None) if found is None else Estimate(found.mean, max(0.0, found.low), min(1.0, found.high))


def mean_table(runs: Sequence[FinishedCell], asked: Measurement, keys: Sequence[str]) -> pl.DataFrame | None:
    """Return the table of a measurement, its numbers averaged over seeds; None if no run has it."""
    tables = [table for run in runs if (table := run.measured(asked)) is not None]
    if not tables:
        return None
    return pl.concat(tables).group_by(keys, maintain_order=True).agg(cs.float().mean(), (~cs.float()).first())


def best(runs: Mapping[Key, Sequence[FinishedCell]]) -> Key:
    """Return the key of the runs with the highest mean of the primary measure, the first of several."""
    return max(runs, key=lambda key: estimate(runs[key]).value or 0.0)


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

    ``difference`` is the mean over seeds and folds, with its interval for other patients and other trainings and the
    standard deviation of the difference over seeds; ``p`` is two-sided, ``equivalence`` that of a difference as large
    as the study's margin (see `paired.over_trainings`). With one of ``trainings`` all of them are for these models:
    what another seed would change is unknown. ``paired_t`` over folds of the first seed is as in the paper, too small
    because folds share training patients; ``delong`` of the first seed where one model tested everybody, else None.
    """

    difference: Estimate
    p: float
    equivalence: float
    trainings: int
    paired_t: float | None
    delong: float | None


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
    found = paired.over_trainings(np.array(values), study.scope.margin) if values else None
    if found is None:
        return None
    simple, delong = (None, None) if asked else _of_one_seed(*pairs[0], study.scope)
    sd = over_seeds([float(each[0]) for each in values]).sd
    return Comparison(
        Estimate(found.mean, found.low, found.high, sd), found.p, found.p_equivalence, len(values), simple, delong
    )


def _of_one_seed(first: FinishedCell, second: FinishedCell, scope: Scope) -> tuple[float | None, float | None]:
    """Return the p-values of the paired t-test over folds, and of DeLong's test where there are no folds."""
    _, rows, others = np.intersect1d(first.sample_id, second.sample_id, return_indices=True)
    y, fold = first.tested.y[rows], first.tested.fold[rows]
    scores = first.tested.p[rows], second.tested.p[others]
    if scope.folds == 1:
        test = paired.delong(y[:, 0], scores[0][:, 0], scores[1][:, 0]) if y.shape[1] == 1 else None
        return None, test.p if test else None
    test = paired.paired_t(_differences(primary([first]), y, *scores, fold))
    return test.p if test else None, None


def _differences(measure: str, y: FloatArray, first: FloatArray, second: FloatArray, folds: FloatArray) -> FloatArray:
    """Return the differences of a measure [F] in the folds where both have one."""
    value, values = MEASURES.get(measure).value, []
    for number in np.unique(folds):
        here = folds == number
        areas = [value(y[here], p[here]) for p in (first, second)]
        if areas[0] is not None and areas[1] is not None:
            values.append(areas[0] - areas[1])
    return np.array(values)
