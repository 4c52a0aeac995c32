"""How often 95 % intervals and sets hold the truth, and how often right probabilities are called wrong.

Patients are drawn from laws whose AUROC, average precision, rates and ratios are known; the samples of a patient are
correlated in what happens and in what is scored. Beside the intervals of ``omnifuse.fusion.scores.intervals`` stand a
percentile bootstrap of patients (inside folds for areas) and the Wilson interval that takes every sample for a patient
of its own.

Usage: OMP_NUM_THREADS=1 python benchmarks/interval_coverage.py [--repeats 1000] [--only areas shares gaps notes sets]

Prints Markdown tables. The binomial standard error of a coverage of .95 is .007 with 1,000 repeats.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from omnifuse.fusion.scores import conformal, intervals
from omnifuse.fusion.scores.areas import AUPRC, AUROC, Area
from omnifuse.fusion.scores.fairness import by_group
from omnifuse.fusion.scores.notes import calibration_notes, group_checks
from omnifuse.fusion.scores.resampling import mean_over_folds
from omnifuse.fusion.scores.subgroups import Outcomes, Samples
from omnifuse.fusion.scores.thresholds import calibrated
from scipy.integrate import quad
from scipy.stats import norm

Array = npt.NDArray[Any]

DRAWS = 300
SCORE = 0.6
"""Correlation of what is known of a sample and its outcome, where probabilities are the true ones."""


@dataclass(frozen=True)
class Setting:
    """Patients with ``samples`` each, the share of positives, and the correlation of a patient's samples."""

    patients: int
    samples: int
    prevalence: float
    correlation: float

    def normal(self, rng: np.random.Generator) -> Array:
        """Return standard normal numbers, one a sample, that correlate within patients."""
        own, shared = rng.normal(size=self.patients * self.samples), rng.normal(size=self.patients)
        within = np.repeat(shared, self.samples)
        return np.sqrt(self.correlation) * within + np.sqrt(1 - self.correlation) * own

    def cells(self) -> list[str]:
        """Return the first cells of a row."""
        return [str(self.patients), str(self.samples), f"{self.prevalence:g}", f"{self.correlation:g}"]


COMPARED = "auroc", "sensitivity"
"""Of the measures whose gaps between groups are given, those whose true gap is known here."""

HEAD = ["patients", "samples each", "prevalence", "correlation"]
AREAS = [
    (Setting(100, 1, 0.3, 0), 0.6, 5), (Setting(100, 1, 0.1, 0), 0.8, 5), (Setting(60, 1, 0.3, 0), 0.95, 3),
    (Setting(1000, 1, 0.12, 0), 0.85, 5), (Setting(40, 1, 0.5, 0), 0.95, 1), (Setting(200, 5, 0.1, 0.8), 0.8, 5),
    (Setting(1000, 5, 0.1, 0.8), 0.85, 5), (Setting(60, 10, 0.3, 0.8), 0.7, 3), (Setting(100, 5, 0.1, 0.5), 0.95, 5),
]  # fmt: skip
SHARES = [
    Setting(50, 1, 0.05, 0), Setting(50, 1, 0.5, 0), Setting(30, 1, 0.95, 0), Setting(300, 1, 0.12, 0),
    Setting(100, 5, 0.1, 0.8), Setting(100, 10, 0.3, 0.9), Setting(40, 10, 0.05, 0.9), Setting(300, 5, 0.9, 0.8),
    Setting(100, 5, 0.01, 0.5),
]  # fmt: skip
NOTES = [
    (Setting(300, 1, 0.12, 0), 1.0), (Setting(1000, 1, 0.12, 0), 1.0), (Setting(4000, 1, 0.12, 0), 1.0),
    (Setting(100, 1, 0.3, 0), 1.0), (Setting(300, 5, 0.1, 0.8), 1.0), (Setting(100, 10, 0.2, 0.9), 1.0),
    (Setting(1000, 1, 0.12, 0), 2.0), (Setting(4000, 1, 0.12, 0), 2.0), (Setting(4000, 1, 0.12, 0), 1.5),
    (Setting(1000, 5, 0.1, 0.8), 2.0),
]  # fmt: skip
GAPS = [
    (Setting(300, 1, 0.12, 0), 0.2, 0.85, 0.85, 5), (Setting(1000, 1, 0.12, 0), 0.2, 0.85, 0.85, 5),
    (Setting(1000, 1, 0.12, 0), 0.2, 0.85, 0.75, 5), (Setting(4000, 1, 0.12, 0), 0.05, 0.85, 0.85, 5),
    (Setting(300, 5, 0.1, 0.8), 0.3, 0.85, 0.85, 5), (Setting(1000, 1, 0.3, 0), 0.4, 0.95, 0.9, 3),
]  # fmt: skip
"""Patients, share of the smaller group, area of the larger and of the smaller group, folds."""


SETS = [Setting(200, 1, 0.2, 0), Setting(1000, 1, 0.12, 0), Setting(4000, 1, 0.12, 0), Setting(300, 5, 0.2, 0.8)]
TURNED = 0.05, 0.1


def areas(repeats: int) -> Iterator[list[str]]:
    """Yield coverage and mean width for both areas, binormal scores.

    The average precision of few positives is too high on average. Beside the coverage of what it would be of endless
    patients stands that of its own expectation, for folds of this size, which is what the interval is of.
    """
    yield [*HEAD, "AUROC", "folds", "measure", "coverage", "width", "coverage, bootstrap", "width, bootstrap"]
    for setting, area, folds in AREAS:
        shift = float(norm.ppf(area) * np.sqrt(2))
        truth = {"auroc": (AUROC, area), "auprc": (AUPRC, average_precision(setting.prevalence, shift))}
        subjects = np.repeat(np.arange(setting.patients), setting.samples)
        for name, (measure, true) in truth.items():
            rng, values, found = np.random.default_rng(1), [], []
            for _ in range(repeats):
                y = (setting.normal(rng) < norm.ppf(setting.prevalence)).astype(float)[:, None]
                score = (shift * y[:, 0] + setting.normal(rng))[:, None]
                made = intervals.mean_area(measure, y, score, subjects, subjects % folds)
                drawn = bootstrap_of_folds(measure, y, score, subjects, subjects % folds, rng)
                if made is not None and drawn is not None:
                    values.append(made.value)
                    found.append((made.ci, drawn))
            for what, value in ((name, true), (f"{name} of such folds", float(np.mean(values)))):
                both = [[held(bounds, value) for bounds in pair] for pair in found]
                yield [*setting.cells(), f"{area:g}", str(folds), what, *shown(both)]


def shares(repeats: int) -> Iterator[list[str]]:
    """Yield coverage and mean width for a share and for observed over expected with the true probabilities."""
    yield [*HEAD, "measure", "coverage", "width", "coverage, bootstrap", "width, bootstrap",
           "coverage, Wilson of samples", "width, Wilson of samples"]  # fmt: skip
    for name in ("share", "observed / expected"):
        for setting in SHARES:
            rng, found = np.random.default_rng(2), []
            subjects = np.repeat(np.arange(setting.patients), setting.samples)
            for _ in range(repeats):
                y, p = with_true_probability(setting, rng)
                p = np.ones(len(y)) if name == "share" else p
                truth = setting.prevalence if name == "share" else 1.0
                made = intervals.observed_expected(y, p, subjects)
                samples = [bound * len(y) / p.sum() for bound in intervals.wilson(float(y.mean()), len(y)).ci]
                drawn = bootstrap_of_ratio(y, p, subjects, rng)
                found.append([held(bounds, truth) for bounds in (made.ci, drawn, samples)])
            yield [*setting.cells(), name, *shown(found)]


def gaps(repeats: int) -> Iterator[list[str]]:
    """Yield how often the intervals of gaps between two groups hold the true gap, of repeats in which there is one.

    The threshold of alerts is that at which the larger group's sensitivity is one half.
    """
    yield [*HEAD, "smaller group", "AUROC", "its AUROC", "measure", "repeats with a gap", "coverage", "width"]
    for setting, part, larger, smaller, folds in GAPS:
        rng, found = np.random.default_rng(4), {measure: list[tuple[bool, float]]() for measure in COMPARED}
        subjects = np.repeat(np.arange(setting.patients), setting.samples)
        shift = norm.ppf([larger, smaller]) * np.sqrt(2)
        truth = {"auroc": smaller - larger, "sensitivity": float(norm.sf(shift[0] - shift[1])) - 0.5}
        for _ in range(repeats):
            of_smaller = (rng.random(setting.patients) < part)[subjects]
            y = (setting.normal(rng) < norm.ppf(setting.prevalence)).astype(float)
            score = np.where(of_smaller, shift[1], shift[0]) * y + setting.normal(rng)
            groups = {"group": np.where(of_smaller, "smaller", "larger")}
            who = Samples(subjects, subjects % folds, groups)
            made = by_group("binary", y[:, None], score[:, None], who, float(shift[0]))
            rows = {row["value"]: row for row in made}
            for measure, of_measure in found.items():
                if "smaller" in rows and rows["smaller"][f"{measure}_gap"] is not None:
                    of_measure.append(held(rows["smaller"][f"{measure}_gap_ci"], truth[measure]))
        for measure, of_measure in found.items():
            cells = [f"{part:g}", f"{larger:g}", f"{smaller:g}", measure, str(len(of_measure))]
            yield [*setting.cells(), *cells, *(f"{value:.3f}" for value in np.mean(of_measure, axis=0))]


def notes(repeats: int) -> Iterator[list[str]]:
    """Yield how often any group is called wrong; where one of four is, a fifth of the patients, how often it is found.

    Four groupings of 2, 4, 6 and 5 groups, the rarest of them 1 % of the samples.
    """
    yield [*HEAD, "probabilities of one group too low by", "any note", "that group named"]
    for setting, factor in NOTES:
        rng, found = np.random.default_rng(3), []
        subjects = np.repeat(np.arange(setting.patients), setting.samples)
        for _ in range(repeats):
            y, p = with_true_probability(setting, rng)
            groups = {
                name: np.array([f"{name}{number}" for number in range(len(law))])[
                    rng.choice(len(law), setting.patients, p=law)
                ][subjects]
                for name, law in {
                    "a": [0.5, 0.5], "b": [0.2, 0.3, 0.3, 0.2], "c": [0.4, 0.2, 0.2, 0.1, 0.07, 0.03],
                    "d": [0.6, 0.2, 0.15, 0.04, 0.01],
                }.items()
            }  # fmt: skip
            given = np.where(groups["b"] == "b0", p / factor, p)
            said = calibration_notes(group_checks(groups, Outcomes(y, given, subjects, subjects * 0)))
            found.append((bool(said), any("b0 " in note for note in said)))
        any_note, named = np.mean(found, axis=0)
        yield [*setting.cells(), f"{factor:g}", f"{any_note:.3f}", f"{named:.3f}" if factor != 1 else "-"]


def sets(repeats: int) -> Iterator[list[str]]:
    """Yield how often sets that are to hold the truth for 90 % do, and how often it is said that they do not.

    Thresholds come from the other folds, and are judged by as many other patients, whose labels are those of the law
    but for a share that is turned round.
    """
    yield [*HEAD, "covered", "negatives", "positives", "said not to hold", "of others",
           *(f"of others, {turned:.0%} turned" for turned in TURNED)]  # fmt: skip
    for setting in SETS:
        rng, covered, said = np.random.default_rng(5), [], []
        subjects = np.repeat(np.arange(setting.patients), setting.samples)
        for _ in range(repeats):
            y, p = (part[:, None] for part in with_true_probability(setting, rng))
            found = conformal.out_of_fold("binary", ["y"], y, p, Samples(subjects, subjects % 5, {}))
            assert found is not None
            rows = found["coverage"]
            covered.append([row["covered"] for row in rows])
            stored = calibrated("binary", y, p, subjects)
            for turned in (0.0, *TURNED):
                y, p = (part[:, None] for part in with_true_probability(setting, rng))
                y = np.where(rng.random(y.shape) < turned, 1 - y, y)
                rows = [*rows, conformal.coverage("binary", ["y"], stored, y, p, subjects, {})[0]]
            said.append([conformal.verdict(0.9, rows[at]["covered_ci"]) == "does not hold" for at in (0, 3, 4, 5)])
        shares = *np.mean(covered, axis=0), *np.mean(said, axis=0)
        yield [*setting.cells(), *(f"{value:.3f}" for value in shares)]


def with_true_probability(setting: Setting, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return labels and their true probabilities given what is known."""
    known, threshold, rest = setting.normal(rng), norm.ppf(setting.prevalence), np.sqrt(1 - SCORE**2)
    y = (SCORE * known + rest * setting.normal(rng) < threshold).astype(float)
    return y, norm.cdf((threshold - SCORE * known) / rest)


def average_precision(prevalence: float, shift: float) -> float:
    """Return the average precision of normal scores, of positives by ``shift`` higher."""

    def density(score: float) -> float:
        hits, false = prevalence * norm.sf(score - shift), (1 - prevalence) * norm.sf(score)
        return float(norm.pdf(score - shift) * hits / (hits + false))

    return float(quad(density, -10, 12 + shift)[0])


def bootstrap_of_folds(
    measure: Area, y: Array, score: Array, subjects: Array, folds: Array, rng: np.random.Generator
) -> list[float] | None:
    """Return the percentile interval of the mean over folds, patients drawn in each fold."""
    drawn = []
    for fold in np.unique(folds):
        rows = folds == fold
        weights = weights_of_draws(subjects[rows], rng)
        one, patients = np.zeros(rows.sum()), np.arange(rows.sum())
        drawn.append(mean_over_folds(measure.over_labels, y[rows], score[None, rows], one, patients, weights))
    means = np.ma.masked_invalid(np.stack(drawn)).mean(axis=0).compressed()
    return list(np.quantile(means, intervals.TAILS)) if len(means) else None


def bootstrap_of_ratio(y: Array, p: Array, subjects: Array, rng: np.random.Generator) -> list[float]:
    """Return the percentile interval of a ratio of sums."""
    weights = weights_of_draws(subjects, rng)
    return list(np.quantile(weights @ y / (weights @ p), intervals.TAILS))


def weights_of_draws(subjects: Array, rng: np.random.Generator) -> Array:
    """Return how often each sample is drawn with its patient, [draws, n]."""
    _, subject = np.unique(subjects, return_inverse=True)
    patients = subject.max() + 1
    return rng.multinomial(patients, np.full(patients, 1 / patients), size=DRAWS)[:, subject].astype(float)


def held(bounds: list[float], truth: float) -> tuple[bool, float]:
    """Return whether an interval holds the truth, and its width."""
    return bounds[0] <= truth <= bounds[1], bounds[1] - bounds[0]


def shown(found: list[list[tuple[bool, float]]]) -> list[str]:
    """Return coverage and mean width of each kind of interval."""
    return [f"{value:.3f}" for value in np.mean(found, axis=0).reshape(-1)]


PARTS: dict[str, Callable[[int], Iterator[list[str]]]] = {
    "areas": areas, "shares": shares, "gaps": gaps, "notes": notes, "sets": sets,
}  # fmt: skip


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args()
    for name in asked.only:
        for number, row in enumerate(PARTS[name](asked.repeats)):
            print(f"| {' | '.join(row)} |", flush=True)
            if not number:
                print("|---" * len(row) + "|")
        print()


if __name__ == "__main__":
    main()
