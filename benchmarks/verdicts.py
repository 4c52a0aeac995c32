"""How often a verdict on two methods is wrong, and how often an interval holds the truth, by simulation.

    python benchmarks/verdicts.py [--cohorts 1000] [--only scores|learners]
    python benchmarks/verdicts.py --cache CACHE [--seeds 3] [--pairs 10] [--set KEY=VALUE]

Without a cache, two laws whose truth is known. *Scores*: what a model says of a patient is the sum of what the patient
is like, what the method makes of him, what this training makes of him, how well the training of this fold turned out,
and, where he lacks a modality in a draw, a loss; the AUROC has a closed form. *Learners*: ridge regressions on random
features, as many as a method has, really trained by cross-validation on a cohort that is drawn anew every time; the
truth is their mean over all cohorts. "Now" is what studies do (`paired.over_trainings`). Beside it stand the interval
of the patients for the first seed alone, that of draws of who loses what (95 % of them, first seed), and the corrected
resampled t-test over seeds and folds. A right 95 % interval misses the truth in 5 % of cohorts, and where a method is
compared with itself that is how often it is called better or worse; ± is two binomial standard errors. The last column
counts "equivalent" where the true difference is as large as the margin.

With a cache, concatenation is trained with ``seeds`` times ``pairs`` times two seeds and compared with itself.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from omnifuse.fusion.scores import paired
from omnifuse.fusion.scores.areas import AUROC
from omnifuse.fusion.scores.intervals import TAILS
from omnifuse.fusion.scores.paired import Difference, over_trainings
from omnifuse.fusion.scores.resampling import mean_over_folds, patient_weights
from omnifuse.fusion.study.finished import FinishedCell, compare
from omnifuse.fusion.study.grid import make_grid
from omnifuse.fusion.study.run import plan_study, run_study
from omnifuse.fusion.study.verdict import verdict
from scipy.optimize import brentq
from scipy.stats import norm

Floats = npt.NDArray[np.floating[Any]]
FOLDS, DRAWS = 5, 200


def auroc_draws(y: Floats, p: Floats, fold: Floats, weights: Floats) -> Floats:
    """Return AUROCs [S], means over folds and versions p [D, n, 1], under weights [S, n]."""
    return mean_over_folds(AUROC.over_labels, y, p, fold, np.arange(len(y)), weights)


@dataclass(frozen=True)
class Drawn:
    """What one simulated study gives: values [S, 1 + B] as in `over_trainings`, and its parts.

    ``folds`` [S, F] differences of each fold, ``draws`` [D] those of the draws of who loses what, first seed.
    """

    values: Floats
    folds: Floats
    draws: Floats


Simulation = Callable[[np.random.Generator, int], Drawn]
"""Simulates a cohort and the trainings of two methods with a number of seeds."""


@dataclass(frozen=True)
class ScoreLaw:
    """How scores of two methods come about; spreads are in units of that between patients."""

    patients: int = 500
    prevalence: float = 0.2
    separation: tuple[float, float] = (1.5, 1.5)
    """Of positive from negative patients, by each method."""
    method: float = 0.0
    """Spread of what a method makes of a patient: 0 where a method is compared with itself."""
    training: float = 0.3
    """Spread of what a training makes of a patient."""
    fold: float = 0.15
    """Spread of how well the training of a fold separates."""
    lost: float = 0.6
    """Share of the separation that is lost with a modality."""
    rate: float = 0.0
    """Share of the patients who lose one."""
    draws: int = 1

    @property
    def truth(self) -> float:
        """Return the expected difference of the AUROC."""
        first, second = (self._area(mu) for mu in self.separation)
        return first - second

    def _area(self, separation: float) -> float:
        spread = np.sqrt(2 * (1 + self.method**2 + self.training**2) + self.fold**2)
        whole, less = (float(norm.cdf(mu / spread)) for mu in (separation, (1 - self.lost) * separation))
        return (1 - self.rate) * whole + self.rate * less

    def __call__(self, rng: np.random.Generator, seeds: int) -> Drawn:
        """Simulate a cohort, tested by two methods."""
        n = self.patients
        y, own = rng.random(n) < self.prevalence, rng.normal(size=n)
        of_method = self.method * rng.normal(size=(2, n))
        weights = patient_weights(n, DRAWS, int(rng.integers(1 << 30)))
        values, folds, draws = [], [], []
        for _ in range(seeds):
            fold = rng.permutation(np.arange(n) % FOLDS)
            lost = rng.random((self.draws, n)) < self.rate
            scores = []
            for mu, made in zip(self.separation, of_method, strict=True):
                said = own + made + self.training * rng.normal(size=n)
                told = mu * (1 - self.lost * lost) + self.fold * rng.normal(size=FOLDS)[fold]
                scores.append((said + told * y)[:, :, None])
            truth = y[:, None].astype(float)
            areas = [auroc_draws(truth, p, fold, weights) for p in scores]
            values.append(areas[0] - areas[1])
            once = weights[:1]
            by_fold = [
                [auroc_draws(truth[fold == f], p[:, fold == f], fold[fold == f], once[:, fold == f])[0] for p in scores]
                for f in range(FOLDS)
            ]
            folds.append(-np.diff(by_fold, axis=1)[:, 0])
            by_draw = [[auroc_draws(truth, p[d : d + 1], fold, once)[0] for p in scores] for d in range(self.draws)]
            draws.append(-np.diff(by_draw, axis=1)[:, 0])
        return Drawn(np.stack(values), np.stack(folds), draws[0])


@dataclass(frozen=True)
class Learners:
    """Two ridge regressions on random features, trained on cohorts of a law with an interaction."""

    features: tuple[int, int]
    patients: int = 400

    def __call__(self, rng: np.random.Generator, seeds: int) -> Drawn:
        """Simulate a cohort and train both by cross-validation, with every seed."""
        n = self.patients
        x = rng.normal(size=(n, 10))
        odds = x[:, 0] + 0.7 * x[:, 1] + 0.5 * x[:, 2] * x[:, 3] - 1.2
        y = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float)
        weights = patient_weights(n, DRAWS, int(rng.integers(1 << 30)))
        values, folds = [], []
        for _ in range(seeds):
            fold = rng.permutation(np.arange(n) % FOLDS)
            p = [self._trained(rng, x, y, fold, width) for width in self.features]
            areas = [auroc_draws(y[:, None], said[None, :, None], fold, weights) for said in p]
            values.append(areas[0] - areas[1])
            parts = [(fold == f)[None].astype(np.uint8) for f in range(FOLDS)]
            whole = np.zeros(n)
            by_fold = [[auroc_draws(y[:, None], said[None, :, None], whole, part)[0] for said in p] for part in parts]
            folds.append(-np.diff(by_fold, axis=1)[:, 0])
        return Drawn(np.stack(values), np.stack(folds), np.array([np.nan]))

    def _trained(self, rng: np.random.Generator, x: Floats, y: Floats, fold: Floats, width: int) -> Floats:
        said = np.empty(len(y))
        for f in range(FOLDS):
            train = fold != f
            hidden = np.maximum(x @ rng.normal(size=(x.shape[1], width)) / np.sqrt(x.shape[1]), 0)
            hidden -= hidden[train].mean(axis=0)
            inner = hidden[train].T @ hidden[train] + 0.005 * train.sum() * np.eye(width)
            weights = np.linalg.solve(inner, hidden[train].T @ (y[train] - y[train].mean()))
            said[~train] = hidden[~train] @ weights
        return said


def judged(drawn: Drawn, margin: float) -> dict[str, Difference | None]:
    """Return the difference by each way to judge."""
    return {
        "now": over_trainings(drawn.values, margin),
        "patients, first seed": over_trainings(drawn.values[:1], margin),
        "draws, first seed": _of_draws(drawn.draws),
        "corrected t": paired.corrected_resampled_t(drawn.folds.ravel(), 1 / FOLDS, margin),
    }


def _of_draws(draws: Floats) -> Difference | None:
    if len(draws) < 2:
        return None
    low, high = np.quantile(draws, TAILS)
    return Difference(float(draws.mean()), float(low), float(high), float(not low <= 0 <= high), 1.0)


def rows(name: str, law: Simulation, truth: float | None, seeds: int, cohorts: int, margin: float) -> Iterator[str]:
    """Yield a row of the table for each way to judge."""
    rng = np.random.default_rng(0)
    studies = [law(rng, seeds) for _ in range(cohorts)]
    if truth is None:
        truth = float(np.mean([drawn.values[:, 0].mean() for drawn in studies]))
    each = [judged(drawn, margin) for drawn in studies]
    for way in each[0]:
        found = [difference for one in each if (difference := one[way]) is not None]
        if not found:
            continue
        missed = [not one.low <= truth <= one.high for one in found]
        width = np.mean([one.high - one.low for one in found])
        equivalent = share([one.p_equivalence < 0.05 for one in found]) if np.isclose(abs(truth), margin) else ""
        yield f"| {name} | {seeds} | {truth:+.3f} | {way} | {share(missed)} | {width:.3f} | {equivalent} |"


def share(hits: list[bool]) -> str:
    """Return how many are hit, with two binomial standard errors."""
    rate = float(np.mean(hits))
    return f"{rate:.1%} ± {2 * np.sqrt(max(rate, 0.05) * (1 - min(rate, 0.95)) / len(hits)):.1%}"


def apart(law: ScoreLaw, difference: float) -> ScoreLaw:
    """Return the law with a first method that is better by a true difference."""
    second = law.separation[1]
    return replace(
        law, separation=(brentq(lambda mu: replace(law, separation=(mu, second)).truth - difference, 0, 5), second)
    )


def scenarios() -> Iterator[tuple[str, Simulation, float | None, int, int, float]]:
    """Yield name, law, truth, seeds, divisor of the number of cohorts, and margin."""
    for seeds in (1, 3, 5):
        law = ScoreLaw()
        yield "scores, a method against itself", law, law.truth, seeds, 1, paired.MARGIN
    half = ScoreLaw(rate=0.5, draws=20)
    yield "the same, half lack a modality, 20 draws", half, half.truth, 5, 4, paired.MARGIN
    for seeds in (3, 5):
        other = ScoreLaw(method=0.6, separation=(1.6, 1.4))
        yield "scores, two methods", other, other.truth, seeds, 1, paired.MARGIN
        edge = apart(ScoreLaw(method=0.4, patients=2000), 0.03)
        yield f"scores, {edge.patients} patients, a difference of the margin", edge, edge.truth, seeds, 2, 0.03
    for seeds in (3, 5):
        yield "learners, 20 features against themselves", Learners((20, 20)), 0.0, seeds, 1, paired.MARGIN
        yield "learners, 20 features against 100", Learners((20, 100)), None, seeds, 1, paired.MARGIN
        yield "learners, 8 features against 30", Learners((8, 30)), None, seeds, 1, paired.MARGIN


def against_itself(cache: Path, seeds: int, pairs: int, overrides: list[str]) -> Iterator[str]:
    """Yield the verdict on concatenation against concatenation with other seeds, once for each pair."""
    content = {
        "settings": overrides,
        "experiments": [
            {"kind": "methods", "methods": ["concat"], "modalities": "all", "seeds": list(range(2 * seeds * pairs))}
        ],
    }
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_study(cache, make_grid("itself", content, "itself"), Path(folder) / "study")
        failed = run_study(plan, 1)
        if failed:
            raise SystemExit(str(failed))
        study = plan.study
        runs = sorted(study.find_all(list(plan.cells)), key=lambda run: run.cell.seed)
        groups = [
            [FinishedCell(replace(run.cell, seed=place), run.path) for place, run in enumerate(group)]
            for group in (runs[first : first + seeds] for first in range(0, len(runs), seeds))
        ]
        for first, second in zip(groups[::2], groups[1::2], strict=True):
            cells = []
            for count in (1, seeds):
                found = compare(first[:count], second[:count], study)
                assert found is not None
                d = found.difference
                word = verdict(found, found.p, study.scope.margin)
                cells.append(f"{d.value:+.4f} [{d.low:+.4f}, {d.high:+.4f}] | {word}")
            yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohorts", type=int, default=1000)
    parser.add_argument("--only", default="", help="Scenarios whose name begins with this.")
    parser.add_argument("--cache", type=Path, help="Train concat on this cache instead of simulating.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    if options.cache:
        print(f"| one seed | verdict | {options.seeds} seeds | verdict |\n|---|---|---|---|")
        for line in against_itself(options.cache, options.seeds, options.pairs, options.overrides):
            print(line, flush=True)
        return
    print("| what | seeds | true difference | way | misses the truth | width | equivalent at the margin |")
    print("|---|---|---|---|---|---|---|")
    for name, law, truth, seeds, divisor, margin in scenarios():
        if name.startswith(options.only):
            for line in rows(name, law, truth, seeds, options.cohorts // divisor, margin):
                print(line, flush=True)


if __name__ == "__main__":
    main()
