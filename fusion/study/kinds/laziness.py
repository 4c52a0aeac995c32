"""Does a combination beat its best modality, and what does each modality add (the paper's Table 2, and beyond it)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from ...combinations import AVAILABLE, COMPLETE, shapley
from ...files import read_table
from ..cell import Cell, Measurement, Scope
from ..finished import FinishedCell, Study, best, compare, estimate, mean_table
from ..results import Column, Item, Note, ResultTable
from .base import DIFFERENCE, SPREAD, Experiment, comparison_cells, reading, together

COMBINATIONS = Measurement("combinations")
COMBINATION = ("combination", "among")
"""What names a row of its table."""


@dataclass(frozen=True)
class Laziness(Experiment):
    """Modalities alone against together, and what models that know all of them say without some."""

    kind: ClassVar[str] = "laziness"
    heading: ClassVar[str] = "What each modality adds, and which are lazy"

    method: str = "concat"
    """The method whose models of single modalities and of combinations are compared."""
    explained: tuple[str, ...] = ("concat", "omnifuse")
    """Methods whose models of all modalities are asked without some."""

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield modalities alone and together, and the models that are asked without some."""
        for names in (*scope.modality_sets("each"), *scope.modality_sets("several")):
            for cell in self.cells(scope, self.method, names):
                yield cell, ()
        for method in self.explained:
            yield from ((cell, (COMBINATIONS,)) for cell in self.cells(scope, method, scope.modalities))

    def items(self, study: Study) -> Iterator[Item]:
        """Yield combination against dominant modality, then each model with less than it knows, and its laziness."""
        yield self._dominant(study)
        for method in self.explained:
            runs = study.find_all(self.cells(study.scope, method, study.scope.modalities))
            if runs:
                yield from _explained(method, runs)

    def _dominant(self, study: Study) -> ResultTable:
        """Return each combination beside the best of its modalities alone."""
        scope = study.scope
        alone = {names: study.find_all(self.cells(scope, self.method, names)) for names in scope.modality_sets("each")}
        rows, found = [], []
        for names in scope.modality_sets("several"):
            runs = study.find_all(self.cells(scope, self.method, names))
            dominant = best({name: alone[name,] for name in names})
            found.append(compare(runs, alone[dominant,], study))
            rows.append((together(names), estimate(runs), dominant, estimate(alone[dominant,])))
        return ResultTable(
            "laziness-dominant",
            f"Combinations and their dominant modality, {self.method}",
            "Below 0, the combination is worse than its best modality alone: laziness. The dominant modality is chosen "
            "by these same results, which favours it. Both AUROCs are over whoever has any of the modalities; the "
            f"difference is over those whom both models tested. {SPREAD} {reading(found, scope.margin)}",
            (Column("combination"), Column("AUROC"), Column("dominant"), Column("AUROC alone"), *DIFFERENCE),
            tuple((*row, *cells) for row, cells in zip(rows, comparison_cells(found, scope.margin), strict=True)),
        )


def _explained(method: str, runs: list[FinishedCell]) -> Iterator[Item]:
    """Yield what a method's models predict without some modalities, Shapley values, and the laziness trace."""
    table = mean_table(runs, COMBINATIONS, COMBINATION)
    if table is None:
        yield Note(f"{method} could not be asked without some of its modalities.")
    else:
        yield _without(method, table)
        if table.filter(among=COMPLETE)["auroc"].null_count():
            yield Note(f"No Shapley values of {method}: too few patients have all modalities.")
        else:
            yield _shapley(method, table)
    traces = [path for run in runs if (path := run.path / "laziness.parquet").is_file()]
    if traces:
        yield _trace(method, pl.concat(map(read_table, traces)))


def _without(method: str, table: pl.DataFrame) -> ResultTable:
    return ResultTable(
        f"laziness-combinations-{method}",
        f"One model of all modalities, shown some of them: {method}",
        "Mean AUROC over folds and seeds of the models that were trained on everything. Complete: only patients who "
        "have all modalities, so that the rows can be compared; available: all who have the combination, which are "
        "other patients in each row.",
        tuple(map(Column, ("shown", "complete", "samples", "available", "samples available"))),
        tuple(
            (combination.replace("+", " + "), *_area(complete), *_area(available))
            for combination in table["combination"].unique(maintain_order=True)
            for complete, available in [
                [
                    table.filter(combination=combination, among=among).row(0, named=True)
                    for among in (COMPLETE, AVAILABLE)
                ]
            ]
        ),
    )


def _area(row: dict[str, Any]) -> tuple[float | None, int]:
    return row["auroc"], row["samples"]


def _shapley(method: str, table: pl.DataFrame) -> ResultTable:
    values = shapley(table)
    return ResultTable(
        f"laziness-shapley-{method}",
        f"Shapley value of each modality: {method}",
        "How much of the AUROC above 0.5 on complete patients each modality is worth, averaged over all orders of "
        "adding it; together they make the whole. Predictions of the test parts, looked at and not chosen by.",
        (Column("modality"), Column("Shapley value", signed=True)),
        tuple((name, value) for name, value in values.items()),
    )


def _trace(method: str, trace: pl.DataFrame) -> ResultTable:
    """Return how often each combination was called lazy, and how far it was behind."""
    found = (
        trace.group_by("combination")
        .agg(pl.mean("chosen").alias("share"), pl.mean("excess").alias("excess"), pl.mean("distance").alias("distance"))
        .sort("share", "excess", descending=True)
    )
    rows = tuple(
        (row["combination"].replace("+", " + "), row["share"], row["excess"], row["distance"])
        for row in found.iter_rows(named=True)
    )
    always = rows and rows[0][1] == 1.0
    reading = (
        "Share of epochs, folds and seeds in which a combination was the lazy one, its mean excess over what its best "
        "part reaches alone, and its mean distance, on the training part."
    )
    if always:
        reading += f" The choice never changed: TLA was a constant extra weight on {rows[0][0]}."
    return ResultTable(
        f"laziness-trace-{method}",
        f"Traceable laziness activation: {method}",
        reading,
        (Column("combination"), Column("chosen"), Column("excess", signed=True), Column("distance")),
        rows,
    )
