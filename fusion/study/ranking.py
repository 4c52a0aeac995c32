"""What a study says at first sight: every method by its score, and the conclusion that is best supported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..scores.measures import Measure
from ..scores.paired import holm
from ..words import SPACE, interval, listing, number, together
from .finished import Comparison, FinishedCell, FinishedStudy, compare, pooled, sd_over_seeds
from .kinds.base import DIFFERENCE, REFERENCE, comparison_cells, reading
from .results import Column, Estimate, ResultTable, Value
from .verdict import EQUIVALENT, NOT_SHOWN, ORDERED, verdict

BETTER, WORSE = ORDERED


@dataclass(frozen=True)
class Ranked:
    """A method with its score and how it differs from the reference, of which it has None."""

    method: str
    mean: Estimate
    sd: float | None
    found: Comparison | None = None
    holm: float | None = None
    verdict: str = ""

    def cells(self) -> tuple[Value, ...]:
        """Return its row in the table."""
        difference = self.found.difference if self.found else Estimate(None)
        return (
            self.method,
            self.mean,
            self.sd,
            Estimate(difference.value, difference.low, difference.high),
            self.holm,
            self.verdict or "reference",
        )


@dataclass(frozen=True)
class Ranking:
    """The methods of a study on the same modalities and settings, the best score first."""

    study: FinishedStudy
    modalities: tuple[str, ...]
    reference: str
    rows: tuple[Ranked, ...]

    @property
    def table(self) -> ResultTable:
        """The first table of the report."""
        compared = [row.found for row in self.rows if row.method != self.reference]
        title = self._measure.title
        return ResultTable(
            "ranking",
            f"Every method on {together(self.modalities)}, the {self._extreme} {title} first",
            f"{self.study.heading} with its 95 % interval; the difference is to {self.reference}, on the same "
            f"patients. {reading(compared, self.study)}",
            (
                Column("method"),
                Column(title),
                Column("sd over seeds", decimals=4),
                Column(f"difference to {self.reference}", signed=True),
                Column("p, Holm"),
                Column("verdict"),
            ),
            tuple(row.cells() for row in self.rows),
        )

    @property
    def tests(self) -> ResultTable:
        """Every test behind it: the same differences, p-values and verdicts with those of other tests."""
        others = [row for row in self.rows if row.method != self.reference]
        found = [row.found for row in others]
        cells = comparison_cells(found, self.study.margin)
        return ResultTable(
            "ranking-tests",
            f"Differences to {self.reference}, by every test",
            reading(found, self.study),
            (Column("method"), *DIFFERENCE),
            tuple((row.method, *values) for row, values in zip(others, cells, strict=True)),
            folded=True,
        )

    @property
    def answer(self) -> str:
        """The conclusion that is best supported, in a few sentences."""
        if len(self.rows) == 1:
            title = self._measure.title
            article = "an" if title in ("AUROC", "MAE") else "a"
            return f"{self.reference} has {article} {title} of {_score(self.rows[0])}; nothing was compared with it."
        parts = [self._best(), self._highest()]
        for word, names in (
            ("Worse", self._called(WORSE)),
            (f"Equivalent within {self.study.margin:g}", self._called(EQUIVALENT)),
        ):
            if names:
                parts.append(f"{word}: {listing(names)}.")
        if self._one_training:
            parts.append("One training each: another could turn this around.")
        return " ".join(parts)

    @property
    def _one_training(self) -> bool:
        """Whether nothing is known of other trainings: then models are compared, and not methods."""
        return all(row.found is None or row.found.trainings == 1 for row in self.rows)

    def _best(self) -> str:
        """Say what is better than the reference."""
        better = self._called(BETTER)
        reference = f"{self.reference} ({self._measure.title} {_score(self._reference)})"
        if self._one_training:
            subject = (
                f"The model of {listing(better)} is" if len(better) == 1 else f"The models of {listing(better)} are"
            )
            return f"{subject if better else 'No model is shown to be'} better than that of {reference}."
        subject = f"{listing(better)} {'is' if len(better) == 1 else 'are'}"
        return f"{subject if better else 'No method is shown to be'} better than {reference}."

    def _highest(self) -> str:
        first, what = self.rows[0], "score" if self._measure.higher_is_better else self._measure.title
        if first is self._reference:
            return f"{first.method} has the {self._extreme} {what}."
        return f"The {self._extreme} {what} is that of {first.method}, {_score(first)}: {_distance(first)}."

    @property
    def _measure(self) -> Measure:
        return self.study.measure

    @property
    def _extreme(self) -> str:
        return "highest" if self._measure.higher_is_better else "lowest"

    @property
    def _reference(self) -> Ranked:
        return next(row for row in self.rows if row.method == self.reference)

    def _called(self, word: str) -> list[str]:
        return [row.method for row in self.rows if row.verdict.startswith(word)]


def _score(row: Ranked) -> str:
    return number(row.mean.value)


def _distance(row: Ranked) -> str:
    """Return ``+0.013, 95 % interval [−0.002, 0.028]; a difference is not shown (p 0.120, …)``."""
    if row.found is None:
        return row.verdict
    difference = row.found.difference
    bounds = interval((difference.low, difference.high))
    corrected = f" (p {number(row.holm)}, corrected for the number of rows)"
    judged = f"a difference is {NOT_SHOWN}{corrected}" if row.verdict == NOT_SHOWN else row.verdict
    return f"{number(difference.value, signed=True)}, 95{SPACE}% interval {bounds}; {judged}"


def rank(study: FinishedStudy, runs: Mapping[str, Sequence[FinishedCell]], modalities: tuple[str, ...]) -> Ranking:
    """Rank methods, each with a run for every seed, on the modalities and settings that they share."""
    # without the usual reference, the first method of the study
    reference = REFERENCE if REFERENCE in runs else next(iter(runs))
    others = [method for method in runs if method != reference]
    found = [compare(runs[method], runs[reference], study) for method in others]
    adjusted = holm([one.p if one else None for one in found])
    rows = [_ranked(study, reference, runs[reference])]
    for method, one, p in zip(others, found, adjusted, strict=True):
        row = _ranked(study, method, runs[method])
        rows.append(replace(row, found=one, holm=p, verdict=verdict(one, p, study.margin)))
    sign, nothing = (-1, 0.0) if study.measure.higher_is_better else (1, float("inf"))
    rows.sort(key=lambda row: sign * (nothing if row.mean.value is None else row.mean.value))
    return Ranking(study, modalities, reference, tuple(rows))


def _ranked(study: FinishedStudy, method: str, runs: Sequence[FinishedCell]) -> Ranked:
    return Ranked(method, pooled(runs, study), sd_over_seeds(runs))
