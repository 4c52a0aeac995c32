"""Leave one site out: what methods are worth where none of their patients come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from ....cache_schema import InputError
from ...scores import paired
from ...settings import as_overrides
from ..cell import Cell, Measurement, Scope
from ..finished import FinishedCell, FinishedStudy, primary
from ..results import Column, Estimate, Item, Note, ResultFigure, ResultTable, Series, Value
from .base import Experiment

METHOD = (
    "Each site is tested by models that were trained on others and on no patient of it; beside it the same "
    "patients in the cross-validation, by models that have seen others of their site. The difference is what it costs "
    "to come from elsewhere; another number of training patients is part of it."
)
READING = (
    "With 95 % intervals for other patients and, with several seeds, other trainings. Difference: trained elsewhere "
    "minus trained here too, on the same patients."
)


@dataclass(frozen=True)
class Sites(Experiment):
    """The primary measure at every site, trained elsewhere and, beside it, trained here too."""

    kind: ClassVar[str] = "sites"
    heading: ClassVar[str] = "Leave one site out"

    column: str = ""
    """Column of the cohort whose values are the sites, such as icu_type."""
    test_on: tuple[str, ...] = ()
    """Sites that are tested; all by default."""
    train_on: tuple[str, ...] = ()
    """Sites whose patients are trained on, without those of the tested one; all others by default."""
    methods: tuple[str, ...] = ("logistic", "boosting", "concat", "omnifuse")
    """Methods, as NAME or NAME:PRESET."""

    def __post_init__(self) -> None:
        if not self.column:
            raise InputError("sites.column: name the column of the cohort whose values are the sites.")

    @property
    def fewest_modalities(self) -> int:
        """Return one: nothing here is about fusion."""
        return 1

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield for every method and seed the cross-validation and the cell that leaves sites out."""
        for method in self.methods:
            for cell in (*self._within(scope, method), *self._elsewhere(scope, method)):
                yield cell, ()

    def items(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield a figure of all sites and a table for each method."""
        yield Note(METHOD)
        tables, series = [], []
        for method in self.methods:
            pairs = [
                (away, home)
                for away, home in zip(
                    map(study.find, self._elsewhere(study.scope, method)),
                    map(study.find, self._within(study.scope, method)),
                    strict=True,
                )
                if away is not None and home is not None
            ]
            if not pairs:
                continue
            rows = [_row(study, site, pairs) for site in pairs[0][0].metrics.sites]
            tables.append(_table(study, method, self.column, rows))
            series += [_bar(f"{method}, {row[0]}", row[2]) for row in rows]
        yield ResultFigure(
            "sites", f"{study.heading} of each site, trained on all others",
            "With 95 % intervals for other patients and, with several seeds, other trainings.",
            study.measure.title, "", tuple(one for one in series if one is not None), "intervals",
        )  # fmt: skip
        yield from tables

    def _within(self, scope: Scope, method: str) -> list[Cell]:
        return self.cells(scope, method, scope.modalities)

    def _elsewhere(self, scope: Scope, method: str) -> list[Cell]:
        named = {"folds_by": self.column, "test_on": self.test_on, "train_on": self.train_on}
        return self.cells(scope, method, scope.modalities, *as_overrides({k: v for k, v in named.items() if v}))


def _row(study: FinishedStudy, site: str, pairs: list[tuple[FinishedCell, FinishedCell]]) -> tuple[Value, ...]:
    """Return the row of a site: its name and samples, both measures and their difference."""
    measure = primary([pairs[0][0]])
    values = []
    for away, home in pairs:
        fold = away.metrics.sites.index(site)
        ids = away.predictions.filter(pl.col("fold") == fold)["sample_id"].to_numpy()
        values.append([study.areas(run, ids, measure) for run in (away, home)])
    drawn = np.array(values, dtype=float)  # [S, 2, 1 + B]
    away_values, home_values = drawn[:, 0], drawn[:, 1]
    found = [paired.over_trainings(one) for one in (away_values, home_values, away_values - home_values)]
    return site, len(ids), *(Estimate(None) if one is None else Estimate(one.mean, one.low, one.high) for one in found)


def _table(study: FinishedStudy, method: str, column: str, rows: list[tuple[Value, ...]]) -> ResultTable:
    return ResultTable(
        f"sites-{method.replace(':', '-')}", f"{study.heading} by {column.replace('_', ' ')}: {method}", READING,
        (
            Column(column.replace("_", " ")), Column("samples"), Column("trained elsewhere"),
            Column("trained here too"), Column("difference", signed=True),
        ),
        tuple(rows),
    )  # fmt: skip


def _bar(name: str, found: Value) -> Series | None:
    if not isinstance(found, Estimate) or found.value is None or found.low is None or found.high is None:
        return None
    return Series(name, (), (found.value,), (found.low,), (found.high,))
