"""What missing modalities cost, and what imputation gives back (the paper's Figs 4 to 6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from ...scores.intervals import TAILS
from ...words import together
from ..cell import Cell, Measurement, Scope
from ..finished import FinishedCell, FinishedStudy, estimate, over_seeds, primary
from ..results import Column, Estimate, Item, Note, ResultFigure, ResultTable, Series, Value
from .base import SPREAD, WITHOUT, WITHOUT_MEANS, Experiment

RANDOM = "random"
BAND = "Band: where 95 % of the draws of who loses what, and of the seeds, lie; other patients are not in it."


@dataclass(frozen=True)
class Missing(Experiment):
    """Some share of those who can loses a modality, in the test alone or in training and test."""

    kind: ClassVar[str] = "missing"
    heading: ClassVar[str] = "Missing modalities"

    methods: tuple[str, ...] = ("omnifuse:table4-c", "omnifuse", "concat:modality-dropout", "late:ridge")
    """Methods; the first is that without imputation, the second that with it."""
    modalities: str = "all"
    """Combinations of modalities: all, several, or named."""
    rates: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    """Shares that lose a modality."""
    draws: int = 5
    """Draws of who loses what, in the test alone, for each seed."""
    retrained: bool = False
    """Lose modalities in training and test: a training for each rate and seed, one draw each."""

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield one cell for each method and combination, asked under every rate; or one for each rate."""
        for names in scope.modality_sets(self.modalities):
            for method in self.methods:
                if not self.retrained:
                    yield from ((cell, (self._curves,)) for cell in self.cells(scope, method, names))
                    continue
                for rate in self.rates:
                    yield from ((cell, ()) for cell in self.cells_losing(scope, method, names, rate))

    def items(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield a figure and a table for each combination, and by which modality is lost."""
        where = "in training and test" if self.retrained else "in the test alone"
        yield Note(
            f"Modalities are lost {where}. A share of the patients who have two modalities or more loses one that they "
            "have; nobody loses the last. Whoever loses one at some rate loses the same at every higher rate, and all "
            "methods lose the same." + (f" {WITHOUT_MEANS}" if WITHOUT in self.methods else "")
        )
        tables, title = [], study.measure.title
        for names in study.scope.modality_sets(self.modalities):
            curves = {method: self._random(study, method, names) for method in self.methods}
            series = tuple(_series(method, curve) for method, curve in curves.items() if curve)
            label = together(names)
            name = f"missing-{'+'.join(names)}" + ("-retrained" if self.retrained else "")
            yield ResultFigure(
                name, f"{study.heading} by share that lost one modality, {label}",
                f"Any modality, {where}. " + ("" if self.retrained else BAND),
                "share that lost a modality", title, series,
            )  # fmt: skip
            rows: tuple[tuple[Value, ...], ...] = tuple(
                (method, *(_spread(curve, rate) for rate in self.rates)) for method, curve in curves.items()
            )
            columns = (Column("method"), *(Column(f"{rate:.0%}") for rate in self.rates))
            reading = (
                f"Mean over folds, {'' if self.retrained else 'draws '}and seeds; modalities lost {where}. {SPREAD}"
            )
            heading = f"{study.heading} by share that lost one modality, {label}"
            tables.append(ResultTable(name, heading, reading, columns, rows, folded=True))
        if not self.retrained:
            yield from self._by_modality(study)
        yield from tables

    @property
    def _curves(self) -> Measurement:
        return Measurement("missing_curves", (("rates", self.rates), ("draws", self.draws)))

    def _random(self, study: FinishedStudy, method: str, names: tuple[str, ...]) -> dict[float, Estimate]:
        """Return the primary measure by rate when any modality is lost."""
        if not self.retrained:
            return self._asked(study.find_all(self.cells(study.scope, method, names)), RANDOM)
        found = {rate: self.cells_losing(study.scope, method, names, rate) for rate in self.rates}
        return {rate: estimate(runs) for rate, cells in found.items() if (runs := study.find_all(cells))}

    def _asked(self, runs: list[FinishedCell], hidden: str) -> dict[float, Estimate]:
        """Return the primary measure by rate of runs whose test has lost a modality, with 95 % of draws and seeds."""
        tables = [table for run in runs if (table := run.measured(self._curves)) is not None]
        lines = [table.filter((pl.col("hidden") == hidden) | (pl.col("rate") == 0)) for table in tables]
        found = {}
        for rate in self.rates:
            drawn = [line.filter(rate=rate)[primary(runs)].drop_nulls().to_numpy() for line in lines]
            drawn = [areas for areas in drawn if len(areas)]
            if drawn:
                low, high = np.quantile(np.concatenate(drawn), TAILS)
                mean = over_seeds([float(areas.mean()) for areas in drawn])
                found[rate] = Estimate(mean.value, float(low), float(high), mean.sd)
        return found

    def _by_modality(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield one figure for each of the first two methods, a line for each modality that is lost."""
        title = study.measure.title
        for method in self.methods[:2]:
            runs = study.find_all(self.cells(study.scope, method, study.scope.modalities))
            lines = {f"{name} lost": self._asked(runs, name) for name in study.scope.modalities}
            lines["any one lost"] = self._asked(runs, RANDOM)
            yield ResultFigure(
                f"missing-by-modality-{method.replace(':', '-')}",
                f"{study.heading} by modality that is lost: {method}",
                f"In the test alone. {BAND}", "share that lost it", title,
                tuple(_series(label, curve) for label, curve in lines.items() if curve),
            )  # fmt: skip


def _spread(curve: dict[float, Estimate], rate: float) -> Estimate:
    """Return the value of a curve with what seeds differ by."""
    return Estimate(curve[rate].value, sd=curve[rate].sd) if rate in curve else Estimate(None)


def _series(name: str, curve: dict[float, Estimate]) -> Series:
    """Return a line over rates, with its band where there is one."""
    rates = sorted(rate for rate, area in curve.items() if area.value is not None)
    y, low, high = (tuple(getattr(curve[rate], part) for rate in rates) for part in ("value", "low", "high"))
    banded = None not in low
    return Series(name, tuple(rates), y, low if banded else (), high if banded else ())
