"""What more patients would bring: methods trained on growing shares of the training patients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from ....cache_schema import InputError
from ...scores.intervals import TAILS
from ...scores.learning_law import extrapolated
from ...scores.measures import MEASURES
from ...words import together
from ..cell import Cell, Measurement, Scope
from ..finished import FinishedCell, FinishedStudy, pooled, primary
from ..results import Column, Estimate, Item, Note, ResultFigure, ResultTable, Series, Value
from .base import Experiment

FEWEST_SHARES = 4
"""A law of three numbers passes through three points whatever they are."""
FACTORS = (2.0, 4.0)
"""How many times the patients at most the curve is drawn on to."""

METHOD = (
    "Each fold trains on a share of its training patients and tests all of its test patients. Whoever is trained on at "
    "one share is at every larger one; each seed draws others. Nothing else changes: epochs and settings are those of "
    "the whole."
)
LAW = (
    "Beyond the last point: an inverse power of the number of patients, fitted by least squares. Interval: the same "
    "for draws of the tested patients and of the seeds. That the law goes on is assumed, and no interval knows whether "
    "it does; more patients of the same kind, from the same place, are meant."
)
ONE_SEED = (
    "With one seed, chance in who is trained on is in no interval here; three or more seeds make the curves worth "
    "reading on."
)

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class LearningCurve(Experiment):
    """The primary measure by number of training patients, and where its law leads."""

    kind: ClassVar[str] = "learning-curve"
    heading: ClassVar[str] = "What more patients would bring"

    methods: tuple[str, ...] = ("logistic", "boosting", "concat", "omnifuse")
    """Methods, as NAME or NAME:PRESET."""
    shares: tuple[float, ...] = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
    """Shares of the training patients."""

    def __post_init__(self) -> None:
        if len(set(self.shares)) < FEWEST_SHARES or not all(0 < share <= 1 for share in self.shares):
            raise InputError(
                f"learning-curve.shares = {self.shares}; expected {FEWEST_SHARES} different shares or more, each above "
                "0 and at most 1."
            )

    @property
    def fewest_modalities(self) -> int:
        """Return one: nothing here is about fusion."""
        return 1

    def wanted(self, scope: Scope) -> Iterator[tuple[Cell, tuple[Measurement, ...]]]:
        """Yield a cell for every method, share and seed."""
        for method in self.methods:
            for share in sorted(set(self.shares)):
                yield from ((cell, ()) for cell in self._cells(scope, method, share))

    def items(self, study: FinishedStudy) -> Iterator[Item]:
        """Yield the figure, and what twice and four times the patients would bring."""
        yield Note(METHOD)
        if len(self.seeds_of(study.scope)) == 1:
            yield Note(ONE_SEED, warning=True)
        curves = [curve for method in self.methods if (curve := self._curve(study, method))]
        label, title = together(study.scope.modalities), study.measure.title
        yield ResultFigure(
            "learning-curve", f"{study.heading} by number of training patients, {label}",
            f"Points: mean over folds and seeds, with 95 % intervals. Dashed: the law, to {FACTORS[-1]:g} times the "
            "patients.",
            "training patients", title, tuple(line for curve in curves for line in curve.lines()),
        )  # fmt: skip
        ahead = [Column(f"{factor:g} times as many") for factor in FACTORS]
        gained = Column("twice as many bring", decimals=4, signed=True)
        yield ResultTable(
            "learning-curve-ahead", f"{study.heading} with more patients, {label}", LAW,
            (Column("method"), Column("patients"), Column("now"), *ahead, gained),
            tuple(curve.row() for curve in curves),
        )  # fmt: skip

    def _cells(self, scope: Scope, method: str, share: float) -> list[Cell]:
        settings = () if share == 1 else (f"training_share={share}",)
        return self.cells(scope, method, scope.modalities, *settings)

    def _curve(self, study: FinishedStudy, method: str) -> _Curve | None:
        """Return the curve of a method; None unless every share has all of its trainings."""
        runs = [study.find_all(self._cells(study.scope, method, share)) for share in sorted(set(self.shares))]
        if any(len(of_share) < len(self.seeds_of(study.scope)) for of_share in runs):
            return None
        return _Curve.of(method, runs, study)


@dataclass(frozen=True)
class _Curve:
    """A method at P sizes: estimates, and values ``drawn`` [1 + B, P] of all patients and seeds, then of draws."""

    method: str
    sizes: FloatArray
    estimates: tuple[Estimate, ...]
    drawn: FloatArray
    higher_is_better: bool

    @classmethod
    def of(cls, method: str, runs: Sequence[Sequence[FinishedCell]], study: FinishedStudy) -> _Curve:
        """Return the curve of the runs of every share; each draw takes other patients and other seeds."""
        measure = primary(runs[0])
        values = np.array([[study.areas(run, run.sample_id, measure) for run in share] for share in runs], dtype=float)
        _, seeds, draws = values.shape  # [P, S, 1 + B]
        taken = np.random.default_rng(0).integers(seeds, size=(draws, seeds))
        taken[0] = np.arange(seeds)
        drawn = values[:, taken, np.arange(draws)[:, None]].mean(axis=2).T  # [P, 1 + B, S] -> [1 + B, P]
        return cls(
            method,
            np.array([np.mean([training_patients(run) for run in share]) for share in runs]),
            tuple(pooled(share, study) for share in runs),
            drawn[~np.isnan(drawn).any(axis=1)],
            MEASURES.get(measure).higher_is_better,
        )

    def lines(self) -> Iterator[Series]:
        """Yield what was measured, and where the law leads."""
        points = [(size, one) for size, one in zip(self.sizes, self.estimates, strict=True) if one.value is not None]
        low, high = (tuple(getattr(one, end) for _, one in points) for end in ("low", "high"))
        banded = None not in (*low, *high)
        yield Series(
            self.method, tuple(float(size) for size, _ in points), tuple(one.value for _, one in points),  # type: ignore[misc]
            low if banded else (), high if banded else (), group=self.method,
        )  # fmt: skip
        at = self.sizes[-1] * np.linspace(1, FACTORS[-1], 13)
        yield Series(f"{self.method}, its law", tuple(at), tuple(self._ahead(at)[0]), group=self.method, dashed=True)

    def row(self) -> tuple[Value, ...]:
        """Return the row of the table."""
        ahead = self._ahead(self.sizes[-1] * np.array([1.0, *FACTORS]))  # [1 + B, 1 + F]
        gain = ahead[:, 1] - ahead[:, 0]
        later = [_estimate(ahead[:, place]) for place in range(1, ahead.shape[1])]
        return self.method, round(float(self.sizes[-1])), self.estimates[-1], *later, _estimate(gain)

    def _ahead(self, at: FloatArray) -> FloatArray:
        return extrapolated(self.sizes, self.drawn, at, self.higher_is_better)


def _estimate(values: FloatArray) -> Estimate:
    """Return the first of some values with the interval of the others."""
    if not len(values):
        return Estimate(None)
    low, high = np.quantile(values[1:], TAILS) if len(values) > 1 else (np.nan, np.nan)
    return Estimate(float(values[0]), float(low), float(high))


def training_patients(run: FinishedCell) -> float:
    """Return the mean number of patients that a fold of a run was trained on."""
    trained = run.splits.filter(part="train").group_by("fold").agg(pl.col("subject_id").n_unique())
    return float(np.mean(trained["subject_id"].to_numpy()))
