"""The table of measures, over which trainings, intervals, comparisons, texts, reports and studies loop.

Adding a measure is adding one entry here, or in a package of one's own an entry point of the group `omnifuse.measures`
whose name is the key in metrics.json (see `omnifuse.registry`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import CLASS_KINDS, InputError, shown
from ...registry import Registry
from ..words import digits
from . import areas, concordance, errors, horizons, metrics
from .areas import Area
from .metrics import FloatArray, mean_defined
from .resampling import Predicted, Resampled
from .survival import SurvivalCurves

LOG = logging.getLogger(__name__)

Value = Callable[[FloatArray, Any], float | None]

KINDS: tuple[str, ...] = CLASS_KINDS
"""Kinds of targets whose predictions are probabilities."""

ALL_KINDS = (*KINDS, "regression", "survival")

PRIMARY = {**dict.fromkeys(KINDS, "auroc"), "regression": "mae", "survival": "concordance"}
"""By what methods are compared and modalities judged, for each kind of target."""

GUESSING = 0.5
"""AUROC, and share of concordant pairs, of who guesses."""


@dataclass(frozen=True)
class Measure:
    """How good predictions are, in one number.

    ``title`` is what a reader calls it. ``value`` takes labels y [N, K] of 0 and 1 (NaN: unknown) and probabilities
    [N, K]; of several classes y [N, 1] holds the index. Of regression it takes quantities [N, C] and those predicted,
    of survival times and events [N, 2] and `SurvivalCurves`. It returns None where it is not defined, such as on one
    class alone. ``kinds`` are the targets it is for.

    ``guessing`` of y is what whoever guesses reaches, None where that is not one number. ``area`` is what an interval
    takes, for a measure that is the mean of an area over labels; for any other it is ``under_weights``, the measure
    under S sets of sample weights (see `resampling`). ``bounds`` are the least and the largest value of the latter.
    ``in_units``: whether it is in the unit of the outcome, so that only its share of what guessing reaches can be
    judged. ``brief``: whether it is shown where there is room for a few. ``words`` say more than the title, where a
    reader needs it.
    """

    title: str
    value: Value
    higher_is_better: bool
    kinds: tuple[str, ...] = KINDS
    guessing: Callable[[FloatArray], float | None] = lambda _: None
    area: Area | None = None
    brief: bool = True
    words: str = ""
    under_weights: Resampled | None = None
    bounds: tuple[float, float] = (0.0, 1.0)
    in_units: bool = False

    @property
    def resampled(self) -> Resampled | None:
        """The measure under weights of samples, for intervals and comparisons; None for one that has neither.

        Where it is an area, labels are binary: each class against the rest (see `metrics.one_vs_rest`).
        """
        return self.area.over_labels if self.area else self.under_weights


def over_labels(of_label: Value) -> Value:
    """Return the mean over labels, or over classes against the rest, of a measure of binary y, score [N]."""

    def macro(y: FloatArray, probability: FloatArray) -> float | None:
        truth, chance = metrics.one_vs_rest(y, probability)
        return mean_defined([of_label(*column) for column in zip(truth.T, chance.T, strict=True)])

    return macro


def _share_of_one_label(y: FloatArray) -> float | None:
    known = y[~np.isnan(y)]
    return float(known.mean()) if y.shape[1] == 1 and len(known) else None


AUROC = Measure(
    "AUROC", over_labels(metrics.auroc), higher_is_better=True, guessing=lambda _: GUESSING, area=areas.AUROC
)  # fmt: skip
AUPRC = Measure(
    "AUPRC", over_labels(metrics.auprc), higher_is_better=True, guessing=_share_of_one_label, area=areas.AUPRC
)  # fmt: skip
LOG_LOSS = Measure("log loss", metrics.log_loss, higher_is_better=False, brief=False)
BRIER = Measure("Brier score", metrics.brier, higher_is_better=False, brief=False)


def _weighing_all_the_same(under_weights: Resampled) -> Value:
    def value(y: FloatArray, predicted: Predicted) -> float | None:
        found = float(under_weights(y, predicted, np.ones((1, len(y))))[0])
        return found if np.isfinite(found) else None

    return value


def _always_the_mean(value: Value) -> Callable[[FloatArray], float | None]:
    def guessing(y: FloatArray) -> float | None:
        means = np.ma.masked_invalid(y.astype(np.float64)).mean(axis=0).filled(0.0)
        return value(y, np.broadcast_to(means, y.shape))

    return guessing


def _of_quantities(title: str, under_weights: Resampled, words: str) -> Measure:
    value = _weighing_all_the_same(under_weights)
    return Measure(
        title, value, higher_is_better=False, kinds=("regression",), guessing=_always_the_mean(value), words=words,
        under_weights=under_weights, bounds=(0.0, np.inf), in_units=True,
    )  # fmt: skip


def _of_survival(title: str, under_weights: Resampled, words: str, *, ranks: bool = True) -> Measure:
    return Measure(
        title, _weighing_all_the_same(under_weights), higher_is_better=ranks, kinds=("survival",), words=words,
        guessing=lambda _: GUESSING if ranks else None, under_weights=under_weights,
    )  # fmt: skip


MAE = _of_quantities("MAE", errors.mean_absolute_error, "mean absolute error, in the unit of the outcome.")
RMSE = _of_quantities(
    "RMSE", errors.root_mean_squared_error, "root of the mean squared error; large errors count more."
)
R2 = Measure(
    "R²",
    _weighing_all_the_same(errors.explained_variance),
    higher_is_better=True,
    kinds=("regression",),
    guessing=lambda y: 0.0 if (np.ma.masked_invalid(y).std(axis=0).filled(0) > 0).any() else None,
    words="share of the variance that the predictions explain; 0 for who always predicts the mean.",
    under_weights=errors.explained_variance,
    bounds=(-np.inf, 1.0),
)
CONCORDANCE = _of_survival(
    "concordance", concordance.harrell,
    "of two patients of whom one is known to have had the event first, the share in which that one had the higher "
    "predicted risk (Harrell).",
)  # fmt: skip
CONCORDANCE_UNO = _of_survival(
    "concordance (Uno)", concordance.uno,
    "the same, weighted so that it does not depend on how many were censored, and up to the last time of the curves.",
)  # fmt: skip
INTEGRATED_BRIER = _of_survival(
    "integrated Brier score", horizons.integrated_brier,
    "mean squared error of the predicted survival, averaged over time; lower is better.", ranks=False,
)  # fmt: skip
AUROC_HORIZON = _of_survival(
    "AUROC at horizons", horizons.auroc_at_horizons,
    "of who had the event by a time against who was without it longer, mean over three times.",
)  # fmt: skip

OWN = {
    "auroc": "fusion.scores.measures:AUROC",
    "auprc": "fusion.scores.measures:AUPRC",
    "log_loss": "fusion.scores.measures:LOG_LOSS",
    "brier": "fusion.scores.measures:BRIER",
    "mae": "fusion.scores.measures:MAE",
    "rmse": "fusion.scores.measures:RMSE",
    "r2": "fusion.scores.measures:R2",
    "concordance": "fusion.scores.measures:CONCORDANCE",
    "concordance_uno": "fusion.scores.measures:CONCORDANCE_UNO",
    "integrated_brier": "fusion.scores.measures:INTEGRATED_BRIER",
    "auroc_horizon": "fusion.scores.measures:AUROC_HORIZON",
}

TAKEN = frozenset({
    *("run", "format", "task", "method", "package", "kind", "labels", "titles", "modalities", "seed", "samples"),
    *("positives", "folds", "calibration", "reliability", "alert", "per_subgroup", "per_label", "per_pattern"),
    *("cohort", "presence", "missing", "notes", "method_details", "method_words", "cache", "recipes", "finished"),
    *("seconds", "fold", "rows", "epochs", "search", "encoder_packages", "unit", "times", "events", "horizons"),
    *("patients", "conformal", "abstention"),
    *("label", *(f"{name}_ci" for name in OWN)),
})  # fmt: skip
"""Names in metrics.json that no measure can have: those of the run, of a fold, and of a label."""

EXAMPLES: Mapping[str, tuple[FloatArray, Any]] = {
    "binary": (np.array([[0.0], [1.0], [np.nan], [1.0], [0.0]]), np.array([[0.2], [0.6], [0.5], [0.3], [0.4]])),
    "multilabel": (
        np.array([[0.0, 1.0], [1.0, np.nan], [1.0, 0.0]]), np.array([[0.2, 0.7], [0.6, 0.5], [0.3, 0.4]])
    ),
    "multiclass": (np.array([[0.0], [2.0], [1.0]]), np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4]])),
    "regression": (
        np.array([[1.5, 20.0], [np.nan, 10.0], [4.0, 12.0]]), np.array([[2.0, 19.0], [1.0, 12.0], [3.5, 9.0]])
    ),
    "survival": (
        np.array([[1.0, 1.0], [2.0, 0.0], [np.nan, np.nan], [3.0, 1.0], [2.5, 1.0]]),
        SurvivalCurves(
            np.array([1.0, 2.0, 3.0]),
            np.array([[0.7, 0.4, 0.2], [0.9, 0.8, 0.7], [0.9, 0.8, 0.6], [0.9, 0.7, 0.5], [0.8, 0.6, 0.4]]),
        ),
    ),
}  # fmt: skip
"""Outcomes and predictions on which a measure from elsewhere is tried before it is trusted with a training."""


def flaw(measure: Measure) -> str | None:
    """Return how a measure breaks its contract on `EXAMPLES` and their first row alone; None if it does not."""
    if not isinstance(measure, Measure):
        return f"it is a {type(measure).__name__}, not a Measure"
    if not isinstance(measure.title, str) or not measure.title.strip() or "\n" in measure.title:
        return f"its title is {shown(measure.title)}, not a text of one line"
    if unknown := set(measure.kinds) - set(ALL_KINDS):
        return f"its kinds have {', '.join(sorted(unknown))}; known are {', '.join(ALL_KINDS)}"
    for kind in measure.kinds:
        for rows in (slice(None), slice(1)):
            y, probability = (part[rows] for part in EXAMPLES[kind])
            try:
                found = (measure.value(y, probability), measure.guessing(y))
            except Exception as error:  # whatever another author's function may raise
                return f"on {kind} labels it fails: {type(error).__name__}: {error}"
            if any(not isinstance(one, float | None) for one in found):
                return f"on {kind} labels it gives {found}, not a float or None"
    return _flaw_of_area(measure) or _flaw_of_weights(measure)


def _flaw_of_area(measure: Measure) -> str | None:
    if measure.area is None:
        return None
    y, probability = (part[[0, 1, 3, 4]] for part in EXAMPLES["binary"])
    try:
        value, influence = measure.area.influence(y[:, 0], probability[:, 0])
        weighted = measure.area.under_weights(y[:, 0], probability[:, 0], np.ones((2, len(y))))
        measure.area.most_trials(value, 2, 2)
    except Exception as error:  # whatever another author's function may raise
        return f"its area fails: {type(error).__name__}: {error}"
    if influence.shape != (len(y),) or weighted.shape != (2,) or not np.allclose(weighted, value):
        return f"its area is {value} with influences {influence.shape}, and {weighted} under two sets of equal weights"
    return None


def _flaw_of_weights(measure: Measure) -> str | None:
    if measure.under_weights is None:
        return None
    for kind in measure.kinds:
        y, predicted = EXAMPLES[kind]
        try:
            value, weighted = measure.value(y, predicted), measure.under_weights(y, predicted, np.ones((2, len(y))))
        except Exception as error:  # whatever another author's function may raise
            return f"on {kind} labels it fails under weights: {type(error).__name__}: {error}"
        if weighted.shape != (2,) or value is None or not np.allclose(weighted, value):
            return f"on {kind} labels it is {value}, and {weighted} under two sets of equal weights"
    return None


MEASURES = Registry[Measure]("omnifuse.measures", "measure", OWN, flaw, taken=TAKEN)


def of_kind(kind: str) -> dict[str, Measure]:
    """Return the measures for a kind of target by name; of one that cannot be used it is said once why."""
    found: dict[str, Measure] = {}
    titles: dict[str, str] = {}
    for name in MEASURES.names():
        try:
            measure = MEASURES.get(name)
        except InputError as error:
            _left_out(str(error))
            continue
        if (first := titles.setdefault(measure.title, name)) != name:
            _left_out(f"The measure {name!r} has the title {measure.title!r}, which is that of {first!r}.")
        elif kind in measure.kinds:
            found[name] = measure
    return found


def decimals(measure: Measure, value: float | None) -> int:
    """Return with how many decimals values of a measure are shown, by the size of one if they have a unit."""
    return digits(value) if measure.in_units else 3


def in_brief(kind: str, known: Container[str]) -> dict[str, Measure]:
    """Return the measures to show where there is room for a few, of those whose names are known."""
    return {name: measure for name, measure in of_kind(kind).items() if measure.brief and name in known}


def primary_area(kind: str) -> Area:
    """Return the area that is the primary measure of a kind of target whose predictions are probabilities."""
    area = MEASURES.get(PRIMARY[kind]).area
    assert area is not None
    return area


@cache
def _left_out(reason: str) -> None:
    LOG.warning("%s It is left out.", reason)


def evaluate(kind: str, y: FloatArray, predicted: Predicted) -> dict[str, float | None]:
    """Return every measure of labels y [N, C] and what was predicted by name; None where it is not defined."""
    return {name: _asked(name, measure.value, y, predicted) for name, measure in of_kind(kind).items()}


def guess(name: str, measure: Measure, y: FloatArray) -> float | None:
    """Return what whoever guesses labels y [N, C] reaches by a measure of this name; None where it is not defined."""
    return _asked(name, measure.guessing, y)


def _asked(name: str, how: Callable[..., float | None], *given: Predicted) -> float | None:
    """Return what a function of a measure says, None where it is not finite; one from elsewhere stops nothing."""
    try:
        value = how(*given)
        return None if value is None or not np.isfinite(value) else float(value)
    except Exception as error:
        if name in OWN:
            raise
        _left_out(f"The measure {name!r} fails for some samples: {type(error).__name__}: {error}.")
        return None


def evaluate_over_folds(
    kind: str, y: FloatArray, predicted: Predicted, folds: npt.NDArray[Any]
) -> dict[str, float | None]:
    """Return the mean of every measure over folds [N], as far as it is defined there (see `metrics.fold_masks`)."""
    each = [evaluate(kind, y[rows], predicted[rows]) for rows in metrics.fold_masks(folds)]
    return {name: mean_defined([one[name] for one in each]) for name in of_kind(kind)}
