"""Methods side by side on the same folds, by combination of modalities (the paper's Table 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from ...scores.measures import KINDS, PRIMARY, Measure, of_kind
from ...scores.metrics import mean_defined
from ...words import listing, together
from ..cell import Cell, Measurement, Scope
from ..finished import FinishedCell, FinishedStudy, compare, estimate, pooled, sd_over_seeds
from ..results import Column, Estimate, Item, Note, ResultFigure, ResultTable, Series, Value
from .base import INTERVAL, REFERENCE, SPREAD, Experiment, difference_table

PAPER = ("concat", "sum", "se-gate", "g-blend", "ogm-ge", "pmr", "medfuse", "dwfuse")


@dataclass(frozen=True)
class FusionMethods(Experiment):
    """Every method on every combination, and its difference to a reference."""

    kind: ClassVar[str] = "methods"
    heading: ClassVar[str] = "Fusion methods"

    methods: tuple[str, ...] = PAPER
    """Methods, as NAME or NAME:PRESET."""
    modalities: str = "several"
    """Combinations of modalities: all, each, several, or named."""
    reference: str = REFERENCE
    """The method that the others are compared with."""

    @property
    def fewest_modalities(self) -> int:
        """Return one where all are trained on together: methods without fusion can be compared, too."""
        return 1 if self.modalities == "all" else 2

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield a cell for every method, combination and seed."""
        for names in scope.modality_sets(self.modalities):
            for method in dict.fromkeys((*self.methods, self.reference)):
                for cell in self.cells(scope, method, names):
                    yield cell, ()

    def items(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield the table by combination, then scores and differences on the largest combination."""
        sets = study.scope.modality_sets(self.modalities)
        runs = {(method, names): self._runs(study, method, names) for method in self.methods for names in sets}
        rows: tuple[tuple[Value, ...], ...] = tuple(
            (method, *(estimate(runs[method, names]) for names in sets)) for method in self.methods
        )
        title = study.measure.title
        if len(sets) > 1:  # of one combination the next table says the same
            yield ResultTable(
                f"{self.kind}-{title.lower()}",
                f"{study.heading} by combination of modalities",
                f"Mean over folds and seeds. {SPREAD}",
                (Column("method"), *(Column(together(names)) for names in sets)),
                rows,
            )
        largest = max(sets, key=len)
        means = [(method, pooled(runs[method, largest], study)) for method in self.methods]
        yield _figure(means, study.heading, together(largest))
        if not self._ranked(study, largest):
            reference = self._runs(study, self.reference, largest)
            others = [method for method in self.methods if method != self.reference]
            yield difference_table(
                f"{self.kind}-differences",
                f"Difference to {self.reference}, {together(largest)}",
                "method",
                [(method, compare(runs[method, largest], reference, study)) for method in others],
                study,
            )
        yield _scores([(method, runs[method, largest]) for method in self.methods], together(largest), study)
        yield Note(
            "Every method had the same encoders, folds, epochs and seeds; none was tuned unless the settings of the "
            "study name a search."
        )

    def _ranked(self, study: FinishedStudy, names: tuple[str, ...]) -> bool:
        """Return whether the first table of the report has the same differences: p-values are adjusted once."""
        return (names, self.reference, self.settings) == (study.scope.modalities, REFERENCE, ())

    def _runs(self, study: FinishedStudy, method: str, names: tuple[str, ...]) -> list[FinishedCell]:
        return study.find_all(self.cells(study.scope, method, names))


def _figure(means: list[tuple[str, Estimate]], title: str, combination: str) -> ResultFigure:
    return ResultFigure(
        "methods-intervals",
        f"{title} with 95 % intervals, {combination}",
        f"{INTERVAL} The methods were tested on the same patients: whether they differ is told by their "
        "differences, not by overlapping intervals.",
        title,
        "",
        tuple(
            Series(method, (), (mean.value,), (mean.low,), (mean.high,))
            for method, mean in means
            if mean.value is not None and mean.low is not None and mean.high is not None
        ),
        "intervals",
    )


def _scores(rows: list[tuple[str, list[FinishedCell]]], combination: str, study: FinishedStudy) -> ResultTable:
    """Return discrimination and calibration of each method on one combination."""
    kind = next((run.metrics.kind for _, runs in rows for run in runs), "binary")  # if nothing is finished
    measures, primary = of_kind(kind), PRIMARY[kind]
    first = measures.pop(primary).title
    lower = listing([measure.title for measure in measures.values() if not measure.higher_is_better])
    more = [Column(title) for title in (*(measure.title for measure in measures.values()), *CALIBRATION)]
    perfect = "Calibration slope 1, intercept 0 and expected calibration error 0 are perfect." if kind in KINDS else ""
    return ResultTable(
        "methods-scores",
        f"{'Discrimination and calibration' if kind in KINDS else 'Every measure'}, {combination}",
        f"Mean over folds and seeds. {INTERVAL} Sd over seeds is that of the {first}, and ± that of a measure without "
        f"an interval; where it is not said there was one training. {lower[:1].upper()}{lower[1:]}: lower is better. "
        f"{perfect}".rstrip(),
        (Column("method"), Column(first), Column("sd over seeds", decimals=4), *more),
        tuple((method, *_score_cells(runs, study, measures)) for method, runs in rows),
        folded=True,
    )


CALIBRATION = ("slope", "intercept", "ECE")


def _score_cells(runs: list[FinishedCell], study: FinishedStudy, others: Mapping[str, Measure]) -> tuple[Value, ...]:
    """Return the primary measure with its sd over seeds, the others, and calibration."""
    calibration = [run.metrics.calibration for run in runs]
    return (
        pooled(runs, study),
        sd_over_seeds(runs),
        *(pooled(runs, study, name) if one.resampled else estimate(runs, name) for name, one in others.items()),
        *(mean_defined([found.measured(name.lower()).value for found in calibration if found]) for name in CALIBRATION),
    )
