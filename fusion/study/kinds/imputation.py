"""How close imputed embeddings come to the real ones (the paper's Figs 7 and 8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from ..cell import Cell, Measurement, Scope
from ..finished import FinishedStudy
from ..results import Column, Item, Note, ResultFigure, ResultTable, Series
from .base import FIRST_SEED, Experiment

MAP = Measurement("embedding_map")
TABLE = "imputation"
"""The table in which a method tells how well it imputes after every epoch."""


@dataclass(frozen=True)
class Imputation(Experiment):
    """Similarity and AUROC over epochs, and original and imputed embeddings of test patients in a plane."""

    kind: ClassVar[str] = "imputation"
    heading: ClassVar[str] = "What imputation finds"

    method: str = "omnifuse"
    """The method that imputes."""

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield one cell on all modalities."""
        yield self._cell(scope), (MAP,)

    def items(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield the curves over epochs, the map, and how similar the embeddings end."""
        run = study.find(self._cell(study.scope))
        if run is None:
            return
        if len(self.seeds_of(study.scope)) > 1:
            yield Note(FIRST_SEED)
        if TABLE in run.tables:
            yield _over_epochs(run.tables[TABLE])
        found = run.measured(MAP)
        if found is None:
            yield Note("There is no map of the embeddings.")
            return
        yield from (_map(name, part) for (name,), part in found.group_by("modality", maintain_order=True))
        yield ResultTable(
            "imputation-similarity",
            "Similarity of imputed to original embeddings",
            "Mean cosine over test patients of the first fold, each modality imputed from all others. Centred: after "
            "taking the mean embedding away, which alone can make any two embeddings look alike.",
            (Column("modality"), Column("cosine"), Column("cosine, centred")),
            tuple(
                (row["modality"], row["cosine"], row["centred_cosine"])
                for row in found.group_by("modality", maintain_order=True)
                .agg(pl.first("cosine"), pl.first("centred_cosine"))
                .iter_rows(named=True)
            ),
        )

    def _cell(self, scope: Scope) -> Cell:
        return self.cells(scope, self.method, scope.modalities)[0]


def _over_epochs(table: pl.DataFrame) -> ResultFigure:
    """Return the similarity of each modality and the AUROC over epochs, mean over folds."""
    train = table.filter(part="train")
    series = []
    for (name,), part in train.group_by("modality", maintain_order=True):
        mean = part.group_by("epoch").agg(pl.mean("centred_cosine")).sort("epoch")
        series.append(Series(f"{name}, cosine", *_points(mean, "centred_cosine")))
    area = train.group_by("epoch").agg(pl.mean("auroc")).sort("epoch").drop_nulls()
    known = not area.is_empty()  # of classes alone
    series += [Series("AUROC", *_points(area, "auroc"), dashed=True)] if known else []
    return ResultFigure(
        "imputation-epochs",
        f"Similarity of imputed embeddings{' and AUROC' if known else ''} over epochs",
        "Centred cosine between imputed and original embeddings of modalities hidden on purpose"
        f"{', and the AUROC, both' if known else ','} on the training part, mean over folds.",
        "epoch",
        f"cosine{' or AUROC' if known else ''}",
        tuple(series),
    )


def _points(table: pl.DataFrame, column: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple((table["epoch"] + 1).cast(pl.Float64)), tuple(table[column])


def _map(name: str, part: pl.DataFrame) -> ResultFigure:
    groups = [(kind, part.filter(kind=kind)) for kind in ("encoded", "imputed")]
    return ResultFigure(
        f"imputation-map-{name}",
        f"Original and imputed embeddings: {name}",
        "t-SNE of test patients of the first fold. Clouds that lie apart show that imputed embeddings are not like "
        "real ones; a t-SNE shows neighbours, not distances.",
        "",
        "",
        tuple(Series(kind, tuple(points["x"]), tuple(points["y"]), group=kind) for kind, points in groups),
        "points",
    )
