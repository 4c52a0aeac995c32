"""Finished cells of a study, read back to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import metrics, paired
from ..files import read_json, read_table
from ..report.predictions import Predictions, read_predictions
from ..sealed import SEAL, check_seal
from .cell import Cell, Measurement, Scope
from .results import Estimate

FloatArray = npt.NDArray[np.floating[Any]]

Key = TypeVar("Key")

METRICS = "metrics.json"
CELLS = "cells"
"""Folder of the cells in that of the study."""


@dataclass(frozen=True)
class FinishedCell:
    """The run folder of a cell."""

    cell: Cell
    path: Path

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Content of metrics.json; raises `InputError` if a file of the run is damaged."""
        if (self.path / SEAL).is_file():
            check_seal(self.path)
        return read_json(self.path / METRICS)

    @property
    def cache_digest(self) -> str | None:
        """Digest of the cache that it was trained on."""
        digest: str | None = self.metrics.get("cache", {}).get("digest")
        return digest

    @cached_property
    def sample_id(self) -> npt.NDArray[Any]:
        """[N] ids of the tested samples."""
        return read_table(self.path / "predictions.parquet", columns=["sample_id"])["sample_id"].to_numpy()

    @cached_property
    def predictions(self) -> Predictions:
        """Labels and probabilities of the tested samples, one column a label or class."""
        modalities = tuple(self.metrics["modalities"])
        return read_predictions(self.path / "predictions.parquet", self.metrics["kind"], modalities)

    def over_folds(self, measure: str) -> list[float | None]:
        """Return a measure of each fold's test part; None where it is not defined."""
        return [fold[measure] for fold in self.metrics["folds"]]

    def measured(self, measurement: Measurement) -> pl.DataFrame | None:
        """Return the table of a measurement; None if it could not be made."""
        path = self.path / measurement.file
        return read_table(path) if path.is_file() else None

    def history(self) -> pl.DataFrame:
        """Return the terms of all folds over epochs: fold, epoch, part, term, value."""
        files = sorted(self.path.glob("folds/*/history.parquet"))
        return pl.concat(read_table(file).with_columns(fold=pl.lit(file.parent.name)) for file in files)


@dataclass(frozen=True)
class Study:
    """All finished cells of a study; ``subject`` maps sample ids to numbers of patients."""

    folder: Path
    scope: Scope
    subject: pl.DataFrame

    def find(self, cell: Cell) -> FinishedCell | None:
        """Return a cell's run; None if it has failed."""
        path = self.folder / CELLS / cell.id
        return FinishedCell(cell, path) if (path / METRICS).is_file() else None

    def find_all(self, cells: Sequence[Cell]) -> list[FinishedCell]:
        """Return the runs of those cells that have not failed."""
        return [found for cell in cells if (found := self.find(cell))]

    def subjects(self, sample_id: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the patient of each sample, [N] numbers."""
        samples = pl.DataFrame({"sample_id": sample_id})
        return samples.join(self.subject, on="sample_id", how="left", maintain_order="left")["subject"].to_numpy()


def estimate(runs: Sequence[FinishedCell], measure: str = "auroc") -> Estimate:
    """Return the mean of a measure over seeds and folds, with the standard deviation over folds."""
    values = _table_of_folds(runs, measure)
    if values is None:
        return Estimate(None)
    return Estimate(float(np.mean(values)), sd=paired.spread(values)[1])


def pooled(runs: Sequence[FinishedCell], measure: str = "auroc") -> Estimate:
    """Return the mean of a measure over seeds and folds, with the interval of the first seed's mean over folds.

    The interval is moved to the mean over seeds, which differs a little.
    """
    mean = estimate(runs, measure).value
    interval = runs[0].metrics[measure].get("ci") if runs else None
    if mean is None or interval is None:
        return Estimate(mean)
    shift = mean - runs[0].metrics[measure]["mean"]
    return Estimate(mean, *(bound + shift for bound in interval))


def best(runs: Mapping[Key, Sequence[FinishedCell]]) -> Key:
    """Return the key of the runs with the highest mean AUROC, the first of several."""
    return max(runs, key=lambda key: estimate(runs[key]).value or 0.0)


def sd_over_seeds(runs: Sequence[FinishedCell], measure: str = "auroc") -> float | None:
    """Return the standard deviation over seeds of the mean over folds; None with one seed."""
    values = _table_of_folds(runs, measure)
    return None if values is None else paired.spread(values)[0]


def _table_of_folds(runs: Sequence[FinishedCell], measure: str) -> FloatArray | None:
    """Return a measure of every seed and fold, [S, F], without folds that lack it; None if nothing is left."""
    values = np.array([run.over_folds(measure) for run in runs], dtype=float)
    if not values.size:
        return None
    values = values[:, ~np.isnan(values).any(axis=0)]
    return values if values.size else None


@dataclass(frozen=True)
class Comparison:
    """How much better a method is than another on the same patients, by AUROC.

    ``difference`` is the mean over seeds and folds. With one seed its interval is that of a paired bootstrap of the
    patients inside each fold (these models); with several that of the corrected resampled t-test over folds and seeds
    (the procedure). Two-sided p-values: ``bootstrap`` of the first seed; ``paired_t`` over folds of the first seed, as
    in the paper, too small because folds share training patients; ``delong`` of the first seed where one model tested
    everybody, None for folds; ``corrected_t``, None with one seed or without folds.
    """

    difference: Estimate
    bootstrap: float | None
    paired_t: float | None
    delong: float | None
    corrected_t: float | None


def compare(first: Sequence[FinishedCell], second: Sequence[FinishedCell], study: Study) -> Comparison | None:
    """Compare two methods, each with a run for every seed, on the patients that both have tested."""
    seeds = sorted({run.cell.seed for run in first} & {run.cell.seed for run in second})
    pairs = [next((a, b) for a in first for b in second if a.cell.seed == b.cell.seed == seed) for seed in seeds]
    if not pairs:
        return None
    shared = [_tested_by_both(*pair, study) for pair in pairs]
    both, folds = shared[0], study.scope.folds
    drawn = paired.paired_bootstrap(both)
    if drawn is None:
        return None
    differences = [_differences(both) for both in shared]
    simple, corrected, delong = paired.paired_t(differences[0]), None, None
    if folds > 1 and len(pairs) > 1:
        corrected = paired.corrected_resampled_t(np.concatenate(differences), 1 / folds)
    if folds == 1 and both.y.shape[1] == 1:
        delong = paired.delong(both.y[:, 0], both.first[:, 0], both.second[:, 0])
    found = corrected or drawn
    return Comparison(
        Estimate(found.mean, found.low, found.high),
        drawn.p,
        *(test.p if test else None for test in (simple, delong, corrected)),
    )


def _tested_by_both(first: FinishedCell, second: FinishedCell, study: Study) -> paired.Pair:
    """Return what two runs say of the samples that both have tested, in the folds of the first."""
    ids, rows, others = np.intersect1d(first.sample_id, second.sample_id, return_indices=True)
    a, b = first.predictions, second.predictions
    return paired.Pair(a.y[rows], a.p[rows], b.p[others], study.subjects(ids), a.fold[rows])


def _differences(both: paired.Pair) -> FloatArray:
    """Return the AUROC differences [F] of the folds where both have one."""
    values = []
    for number in np.unique(both.folds):
        here = both.folds == number
        first, second = (metrics.score(both.y[here], p[here]).auroc for p in (both.first, both.second))
        if first is not None and second is not None:
            values.append(first - second)
    return np.array(values)
