"""How well anybody can do on a synthetic cohort, so that a method is measured against that and not against 1.

"Best possible" is the AUROC of P(y | everything that a sample's raw files show, availability included), not of
P(y | z): nobody sees the latent causes. Small loss by rendering (rounded values, counted words) is not included.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit

from ...cache_schema.errors import MissingInputError
from .law import MODALITIES, UNIFORMS, BoolArray, Draw, FloatArray, IntArray, Law, sample
from .posterior import modality_combinations, posterior, risk
from .write import LAW_FILE, TRUTH_FILE

REPLICATES, REPLICATE_SIZE = 5, 4096
"""Independent quasi-random draws from the law; their spread is the Monte-Carlo error."""
RESAMPLES = 500
FOLDS = 5
Folds = list[tuple[IntArray, IntArray]]


@dataclass(frozen=True)
class Reference:
    """The best possible AUROC with one combination of modalities (or, for the oracle, with the latent causes)."""

    combination: str
    """Sorted names joined by ``+``; ``latent`` for the oracle."""
    auroc: float
    """In the population of the law."""
    monte_carlo_error: float
    """Standard error of `auroc` from the finite draw."""
    auroc_cohort: float
    """Of the same predictions on the cohort's own samples; NaN with fewer than five deaths or survivals, as below."""
    interval: tuple[float, float]
    """95 % bootstrap interval of `auroc_cohort` over patients."""
    auroc_fitted: float | None
    """Out-of-fold AUROC of a model that knows how the modalities show the causes and learns only the six weights of
    the label from the cohort's own samples; None for the oracle."""


@dataclass(frozen=True)
class Acceptance:
    """What must hold before the cohort can support a claim about methods."""

    gain_over_best_single: float
    """Best possible AUROC of all modalities minus that of the best single one; at least .05."""
    dominant: str
    """The best single modality."""
    gain_of_dominant: float
    """Best possible AUROC of all modalities minus that without the dominant one; at least .05."""
    void_rate: Mapping[str, float]
    missing_rate: Mapping[str, float]
    """Share of the cohort's samples."""
    explained_by_others: Mapping[str, float]
    """R^2 of the modality's planted statistic (both numbers, sign known) from those of the others."""


@dataclass(frozen=True)
class BestPossible:
    """All references of one cohort."""

    samples: int
    deaths: int
    prevalence: float
    """In the population of the law."""
    oracle: Reference
    references: tuple[Reference, ...]
    """Every combination of the modalities that the cohort has, small ones first."""
    acceptance: Acceptance | None
    """None for a cohort of one modality."""


def best_possible(raw: Path) -> BestPossible:
    """Return the best possible AUROCs of the cohort that `write_cohort` wrote into `raw`; see `references_of`.

    Raises
    ------
    MissingInputError
        `raw` is no synthetic cohort.
    """
    law, truth = _read(raw)
    subjects = truth["subject_id"].rank("dense").to_numpy().astype(np.int64) - 1
    return references_of(law, _as_draw(truth), subjects)


def references_of(law: Law, cohort: Draw, subjects: IntArray) -> BestPossible:
    """Return the best possible AUROCs under a law and on a cohort drawn from it; takes some 10 s.

    A combination sees the planted statistics of its modalities where they are there, and which of them are there;
    every sample counts, also one of which the combination sees nothing.

    Parameters
    ----------
    law: the law with the share of items that were kept.
    cohort: n samples.
    subjects: patient of each sample as 0, 1, ..., [n].
    """
    population = [sample(law, _spread_points(replicate)) for replicate in range(REPLICATES)]
    enough = min(cohort.label.sum(), (~cohort.label).sum()) >= FOLDS
    folds = _folds(cohort, subjects) if enough else []
    resamples = _resample(subjects)

    def reference(name: str, predict: Callable[[Draw], FloatArray], fitted: float | None = None) -> Reference:
        """Score one way of predicting in the population and on the cohort."""
        by_replicate = [_calibrated_auroc(predict(draw)) for draw in population]
        p = predict(cohort)
        return Reference(
            name,
            auroc=float(np.mean(by_replicate)),
            monte_carlo_error=float(np.std(by_replicate, ddof=1) / np.sqrt(REPLICATES)),
            auroc_cohort=float(weighted_auroc(p, cohort.label, ~cohort.label)) if enough else np.nan,
            interval=_interval(p, cohort.label, resamples) if enough else (np.nan, np.nan),
            auroc_fitted=fitted,
        )

    references = []
    for names in modality_combinations(law):
        fitted = _fitted_auroc(law, cohort, names, folds) if enough else np.nan
        references.append(reference("+".join(names), partial(risk, law, combination=names), fitted))
    return BestPossible(
        samples=len(cohort.label),
        deaths=int(cohort.label.sum()),
        prevalence=float(np.mean([expit(law.log_odds(draw.latent)) for draw in population])),
        oracle=reference("latent", lambda draw: np.asarray(expit(law.log_odds(draw.latent)))),
        references=tuple(references),
        acceptance=_acceptance(law, cohort, population[0], references),
    )


def _read(raw: Path) -> tuple[Law, pl.DataFrame]:
    if not (raw / LAW_FILE).is_file() or not (raw / TRUTH_FILE).is_file():
        files = f"{LAW_FILE} and {TRUTH_FILE}"
        raise MissingInputError(f"{raw} lacks {files}; give a folder that this made: omnifuse synth --out DIR")
    described = json.loads((raw / LAW_FILE).read_text(encoding="utf-8"))
    return Law.from_dict(described["settings"]["law"]), pl.read_parquet((raw / TRUTH_FILE).read_bytes())


def _as_draw(truth: pl.DataFrame) -> Draw:
    def by_modality(what: str) -> NDArray[Any]:
        return truth.select(f"{name}_{what}" for name in MODALITIES).to_numpy()

    return Draw(
        latent=truth.select(f"z{k}" for k in range(4)).to_numpy(),
        informative=by_modality("informative"),
        sign=by_modality("sign"),
        statistic=np.stack([by_modality("shared"), by_modality("own")], axis=-1),
        available=by_modality("available"),
        label=truth["y"].to_numpy(),
    )


def _spread_points(replicate: int) -> FloatArray:
    """Quasi-random points in (0, 1), [REPLICATE_SIZE, UNIFORMS]."""
    from scipy.stats import qmc  # late: seconds to import, and writing a cohort does without

    points = qmc.Sobol(UNIFORMS, seed=replicate).random(REPLICATE_SIZE)
    return np.asarray(points.clip(1e-12, 1 - 1e-12))


def _calibrated_auroc(p: FloatArray) -> float:
    """Return the expected AUROC of true probabilities p [n]: each sample counts as p deaths and 1 - p survivals."""
    return float(weighted_auroc(p, p, 1 - p))


def weighted_auroc(score: FloatArray, positive: NDArray[Any], negative: NDArray[Any]) -> FloatArray:
    """Return the AUROC of score [n] for weights of deaths and of survivals [..., n]; ties count half.

    NaN where all weights of the deaths or of the survivals are zero.
    """
    order = np.argsort(score)
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))  # where the tied groups begin
    deaths, survivals = (
        np.add.reduceat(weight[..., order].astype(np.float64), starts, axis=-1) for weight in (positive, negative)
    )
    below = survivals.cumsum(axis=-1) - survivals / 2
    with np.errstate(invalid="ignore"):
        return np.asarray((deaths * below).sum(axis=-1) / (deaths.sum(axis=-1) * survivals.sum(axis=-1)))


def _resample(subjects: IntArray) -> IntArray:
    """Return how often each sample is in each bootstrap resample of the patients, [RESAMPLES, n]."""
    number = int(subjects.max()) + 1
    counts = np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), RESAMPLES)
    return np.asarray(counts[:, subjects])


def _interval(p: FloatArray, label: BoolArray, resamples: IntArray) -> tuple[float, float]:
    low, high = np.nanquantile(weighted_auroc(p, resamples * label, resamples * ~label), [0.025, 0.975])
    return float(low), float(high)


def _folds(cohort: Draw, subjects: IntArray) -> Folds:
    """Return (training rows, test rows) of five folds by patient."""
    from sklearn.model_selection import StratifiedGroupKFold  # late, as below

    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    return list(folds.split(subjects, cohort.label, groups=subjects))


def _fitted_auroc(law: Law, cohort: Draw, combination: tuple[str, ...], folds: Folds) -> float:
    """Learn the weights of the label from posterior means of the causes; predict patients left out."""
    from sklearn.linear_model import LogisticRegression  # late: seconds to import, and writing a cohort does without

    causes = posterior(law, cohort, combination).causes()
    p = np.empty(len(causes))
    for train, test in folds:
        model = LogisticRegression(solver="newton-cholesky").fit(causes[train], cohort.label[train])
        p[test] = model.predict_proba(causes[test])[:, 1]
    return float(weighted_auroc(p, cohort.label, ~cohort.label))


def _acceptance(law: Law, cohort: Draw, population: Draw, references: list[Reference]) -> Acceptance | None:
    auroc = {reference.combination: reference.auroc for reference in references}
    single = {name: value for name, value in auroc.items() if "+" not in name}
    if len(single) < 2:
        return None
    dominant, everything = max(single, key=single.__getitem__), references[-1].combination
    others = "+".join(name for name in single if name != dominant)
    signals = dict(zip(MODALITIES, law.signals(), strict=True))
    return Acceptance(
        gain_over_best_single=auroc[everything] - single[dominant],
        dominant=dominant,
        gain_of_dominant=auroc[everything] - auroc[others],
        void_rate={name: signals[name].void_rate for name in single},
        missing_rate={name: float(1 - cohort.available[:, MODALITIES.index(name)].mean()) for name in single},
        explained_by_others={name: _explained(population, MODALITIES.index(name)) for name in single},
    )


def _explained(draw: Draw, m: int) -> float:
    """R^2 of modality m's statistic from those of the other modalities, before any is missing."""
    shown = draw.sign[..., None] * draw.statistic  # [n, 3, 2]
    target = shown[:, m] - shown[:, m].mean(axis=0)
    others = np.column_stack([np.ones(len(shown)), np.delete(shown, m, axis=1).reshape(len(shown), -1)])
    rest = target - others @ np.linalg.lstsq(others, target, rcond=None)[0]
    return float(1 - (rest**2).sum() / (target**2).sum())
