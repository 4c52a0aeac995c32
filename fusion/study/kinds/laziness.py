"""Does a combination beat its best modality, and what does each modality add (the paper's Table 2, and beyond it)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from ...explain.combinations import AVAILABLE, COMPLETE, shapley
from ...scores.measures import GUESSING, PRIMARY
from ...words import combination_words, listing, together
from ..cell import Cell, Measurement, Scope
from ..finished import FinishedStudy, best, compare, estimate, mean_table
from ..results import Column, Item, Note, ResultTable
from .base import DIFFERENCE, SPREAD, Experiment, comparison_cells, reading

COMBINATIONS = Measurement("combinations")
LAZINESS = "laziness"
"""The table in which a method tells which combination was the lazy one after every epoch."""
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

    def items(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield combination against dominant modality, then each model with less than it knows, and its laziness."""
        yield self._dominant(study)
        runs = {
            method: study.find_all(self.cells(study.scope, method, study.scope.modalities)) for method in self.explained
        }
        asked = {method: mean_table(of_one, COMBINATIONS, COMBINATION) for method, of_one in runs.items()}
        yield from _explained(asked, study)
        for method, of_one in runs.items():
            traces = [run.tables[LAZINESS] for run in of_one if LAZINESS in run.tables]
            if traces:
                yield _trace(method, pl.concat(traces))

    def _dominant(self, study: FinishedStudy) -> ResultTable:
        """Return each combination beside the best of its modalities alone."""
        scope = study.scope
        alone = {names: study.find_all(self.cells(scope, self.method, names)) for names in scope.modality_sets("each")}
        rows, found = [], []
        for names in scope.modality_sets("several"):
            runs = study.find_all(self.cells(scope, self.method, names))
            dominant = best({name: alone[name,] for name in names})
            found.append(compare(runs, alone[dominant,], study))
            rows.append((together(names), estimate(runs), dominant, estimate(alone[dominant,])))
        title, worse = study.measure.title, "Below" if study.measure.higher_is_better else "Above"
        return ResultTable(
            "laziness-dominant",
            f"Combinations and their dominant modality, {self.method}",
            f"{worse} 0, the combination is worse than its best modality alone: laziness. The dominant modality is "
            f"chosen by these same results, which favours it. Both {title}s are over whoever has any of the "
            f"modalities; the difference is over those whom both models tested. {SPREAD} {reading(found, study)}",
            (Column("combination"), Column(title), Column("dominant"), Column(f"{title} alone"), *DIFFERENCE),
            tuple((*row, *cells) for row, cells in zip(rows, comparison_cells(found, study.margin), strict=True)),
        )


def _explained(measured: dict[str, pl.DataFrame | None], study: FinishedStudy) -> Iterator[Item]:
    """Yield what the models of some methods predict without some modalities, and Shapley values."""
    tables = {method: table for method, table in measured.items() if table is not None}
    if absent := measured.keys() - tables.keys():
        yield Note(f"{listing(sorted(absent))} could not be asked without some of the modalities.")
    if not tables:
        return
    yield _without(tables, study)
    primary = PRIMARY[study.kind]
    complete = {m: table for m, table in tables.items() if not table.filter(among=COMPLETE)[primary].null_count()}
    if absent := tables.keys() - complete.keys():
        yield Note(f"No Shapley values of {listing(sorted(absent))}: too few patients have all modalities.")
    if complete:
        yield _shapley(complete, study)


def _without(tables: dict[str, pl.DataFrame], study: FinishedStudy) -> ResultTable:
    """Return a row for each combination, of all methods and both groups of patients."""
    shown = next(iter(tables.values()))["combination"].unique(maintain_order=True)
    columns, cells = [], []
    for among, group in ((COMPLETE, "all modalities"), (AVAILABLE, "these modalities")):
        parts = [_by_combination(table.filter(among=among), PRIMARY[study.kind]) for table in tables.values()]
        columns += [*(f"{method}, of who has {group}" for method in tables), f"samples with {group}"]
        cells += [[part[name][0] for name in shown] for part in parts] + [[parts[0][name][1] for name in shown]]
    return ResultTable(
        "laziness-combinations",
        "Models of all modalities, shown some of them",
        f"Mean {study.measure.title} over folds and seeds of the models that were trained on everything. Of who has "
        "all modalities: the rows can be compared; of who has these: other patients in each row.",
        (Column("shown"), *map(Column, columns)),
        tuple(zip(map(combination_words, shown), *cells, strict=True)),
    )


def _by_combination(table: pl.DataFrame, measure: str) -> dict[str, tuple[float | None, int]]:
    """Return a measure and the number of samples of each combination."""
    return {
        name: (mean, samples) for name, mean, samples in table.select("combination", measure, "samples").iter_rows()
    }


def _shapley(tables: dict[str, pl.DataFrame], study: FinishedStudy) -> ResultTable:
    guessing = GUESSING if study.guessing is None else study.guessing
    values = {method: shapley(table, PRIMARY[study.kind], guessing) for method, table in tables.items()}
    modalities, side = next(iter(values.values())), "above" if study.measure.higher_is_better else "below"
    return ResultTable(
        "laziness-shapley",
        "Shapley value of each modality",
        f"How much of the {study.measure.title} {side} {guessing:.3g} on complete patients each modality is worth, "
        "averaged over all orders of adding it; together they make the whole. Predictions of the test parts, looked at "
        "and not chosen by.",
        (Column("modality"), *(Column(method, signed=True) for method in values)),
        tuple((name, *(of_one[name] for of_one in values.values())) for name in modalities),
        folded=True,
    )


def _trace(method: str, trace: pl.DataFrame) -> ResultTable:
    """Return how often each combination was called lazy, and how far it was behind."""
    found = (
        trace.group_by("combination")
        .agg(pl.mean("chosen").alias("share"), pl.mean("excess").alias("excess"), pl.mean("distance").alias("distance"))
        .sort("share", "excess", "combination", descending=[True, True, False])
    )
    rows = tuple(
        (combination_words(row["combination"]), row["share"], row["excess"], row["distance"])
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
        folded=True,
    )
