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

from ...cache_schema import InputError, shown
from ...registry import Registry
from . import areas, metrics
from .areas import Area
from .metrics import FloatArray, mean_defined

LOG = logging.getLogger(__name__)

Value = Callable[[FloatArray, FloatArray], float | None]

KINDS = ("binary", "multilabel", "multiclass")
"""Kinds of targets whose predictions are probabilities."""

ALL_KINDS = (*KINDS, "survival", "regression")

PRIMARY = {**dict.fromkeys(KINDS, "auroc"), "survival": "concordance", "regression": "mae"}
"""By what methods are compared and modalities judged, for each kind of target."""

GUESSING = 0.5
"""AUROC of who guesses."""


@dataclass(frozen=True)
class Measure:
    """How good predictions are, in one number.

    ``title`` is what a reader calls it. ``value`` takes labels y [N, K] of 0 and 1 (NaN: unknown) and probabilities
    [N, K]; of several classes y [N, 1] holds the index. It returns None where it is not defined, such as on one class
    alone. ``kinds`` are the targets it is for.

    ``guessing`` of y is what whoever guesses reaches, None where that is not one number. ``area`` is what an interval
    takes, for a measure that is the mean of an area over labels. ``brief``: whether it is shown where there is room for
    a few. ``words`` say more than the title, where a reader needs it.
    """

    title: str
    value: Value
    higher_is_better: bool
    kinds: tuple[str, ...] = KINDS
    guessing: Callable[[FloatArray], float | None] = lambda _: None
    area: Area | None = None
    brief: bool = True
    words: str = ""


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


def _mae(y: Any, predicted: Any) -> float | None:
    return None if np.isnan(y).all() else float(np.nanmean(np.abs(predicted - y)))


def _concordance(y: Any, curves: Any) -> float | None:
    time, event, risk = y[:, 0], y[:, 1], 1 - curves.survival[:, -1]
    first = (event[:, None] == 1) & ((time[:, None] < time) | ((time[:, None] == time) & (event == 0)))
    right = (risk[:, None] > risk) + 0.5 * (risk[:, None] == risk)
    return float(right[first].mean()) if first.any() else None


MAE = Measure("MAE", _mae, higher_is_better=False, kinds=("regression",))
CONCORDANCE = Measure("concordance", _concordance, higher_is_better=True, kinds=("survival",))
LOG_LOSS = Measure("log loss", metrics.log_loss, higher_is_better=False, brief=False)
BRIER = Measure("Brier score", metrics.brier, higher_is_better=False, brief=False)

OWN = {
    "auroc": "fusion.scores.measures:AUROC",
    "auprc": "fusion.scores.measures:AUPRC",
    "log_loss": "fusion.scores.measures:LOG_LOSS",
    "brier": "fusion.scores.measures:BRIER",
    "mae": "fusion.scores.measures:MAE",
    "concordance": "fusion.scores.measures:CONCORDANCE",
}

TAKEN = frozenset({
    *("run", "format", "task", "method", "package", "kind", "labels", "titles", "modalities", "seed", "samples"),
    *("positives", "folds", "calibration", "reliability", "alert", "per_subgroup", "per_label", "per_pattern"),
    *("cohort", "presence", "missing", "notes", "method_details", "method_words", "cache", "recipes", "finished"),
    *("times", "unit", "events", "patients"),
    *("seconds", "fold", "rows", "epochs", "search", "encoder_packages"),
    *("label", *(f"{name}_ci" for name in OWN)),
})  # fmt: skip
"""Names in metrics.json that no measure can have: those of the run, of a fold, and of a label."""

EXAMPLES: Mapping[str, tuple[FloatArray, FloatArray]] = {
    "binary": (np.array([[0.0], [1.0], [np.nan], [1.0], [0.0]]), np.array([[0.2], [0.6], [0.5], [0.3], [0.4]])),
    "multilabel": (
        np.array([[0.0, 1.0], [1.0, np.nan], [1.0, 0.0]]), np.array([[0.2, 0.7], [0.6, 0.5], [0.3, 0.4]])
    ),
    "multiclass": (np.array([[0.0], [2.0], [1.0]]), np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4]])),
}  # fmt: skip
"""Labels and probabilities on which a measure from elsewhere is tried before it is trusted with a training."""


def flaw(measure: Measure) -> str | None:
    """Return how a measure breaks its contract on `EXAMPLES` and their first row alone; None if it does not."""
    if not isinstance(measure, Measure):
        return f"it is a {type(measure).__name__}, not a Measure"
    if not isinstance(measure.title, str) or not measure.title.strip() or "\n" in measure.title:
        return f"its title is {shown(measure.title)}, not a text of one line"
    if unknown := set(measure.kinds) - set(KINDS):
        return f"its kinds have {', '.join(sorted(unknown))}; known are {', '.join(KINDS)}"
    for kind in measure.kinds:
        for rows in (slice(None), slice(1)):
            y, probability = (part[rows] for part in EXAMPLES[kind])
            try:
                found = (measure.value(y, probability), measure.guessing(y))
            except Exception as error:  # whatever another author's function may raise
                return f"on {kind} labels it fails: {type(error).__name__}: {error}"
            if any(not isinstance(one, float | None) for one in found):
                return f"on {kind} labels it gives {found}, not a float or None"
    return _flaw_of_area(measure)


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


def in_brief(kind: str, known: Container[str]) -> dict[str, Measure]:
    """Return the measures to show where there is room for a few, of those whose names are known."""
    return {name: measure for name, measure in of_kind(kind).items() if measure.brief and name in known}


def primary_area(kind: str) -> Area:
    """Return the area that is the primary measure of a kind of target."""
    area = MEASURES.get(PRIMARY[kind]).area
    assert area is not None
    return area


@cache
def _left_out(reason: str) -> None:
    LOG.warning("%s It is left out.", reason)


def evaluate(kind: str, y: FloatArray, probability: FloatArray) -> dict[str, float | None]:
    """Return every measure of labels y [N, C] and probabilities [N, K] by name; None where it is not defined."""
    return {name: _asked(name, measure.value, y, probability) for name, measure in of_kind(kind).items()}


def guess(name: str, measure: Measure, y: FloatArray) -> float | None:
    """Return what whoever guesses labels y [N, C] reaches by a measure of this name; None where it is not defined."""
    return _asked(name, measure.guessing, y)


def _asked(name: str, how: Callable[..., float | None], *given: FloatArray) -> float | None:
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
    kind: str, y: FloatArray, probability: FloatArray, folds: npt.NDArray[Any]
) -> dict[str, float | None]:
    """Return the mean of every measure over folds [N], as far as it is defined there (see `metrics.fold_masks`)."""
    each = [evaluate(kind, y[rows], probability[rows]) for rows in metrics.fold_masks(folds)]
    return {name: mean_defined([one[name] for one in each]) for name in of_kind(kind)}
