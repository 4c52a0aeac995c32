"""What a model is worth that may stay silent: how often it errs if it answers only where it is most certain.

It is certain by the probability of the most probable class, and errs where that is not the true one. Samples are ranked
within their fold, since other folds have other models. (El-Yaniv and Wiener, JMLR 11:1605, 2010.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import intervals
from .intervals import Subjects, entries
from .measures import PRIMARY, primary_area
from .metrics import FloatArray, fold_masks, one_vs_rest

Float64Array = npt.NDArray[np.float64]

KINDS = ("binary", "multiclass")

STEPS = 10
"""The share that is answered falls from all to one step in so many."""

FEWEST = 20
"""Of fewer answered samples nothing is said."""


def abstention(
    kind: str, y: FloatArray, predicted: FloatArray, subjects: Subjects, folds: npt.NDArray[Any]
) -> dict[str, Any] | None:
    """Return what metrics.json says of answering only the most certain samples; None for other kinds, or no label.

    ``y`` [n, C], ``predicted`` [n, K] as measures take them. ``points`` by ``share`` answered, the largest first:
    ``samples``, the share in ``error`` and, of binary labels, ``auroc`` (mean over folds) among the answered, each with
    its 95 % interval ``_ci``. ``area`` is the mean error over all shares, ``random`` that of who stays silent by
    chance, ``best`` that of who stays silent first where it errs.
    """
    if kind not in KINDS:
        return None
    truth, chance = one_vs_rest(y, predicted)
    known = ~np.isnan(truth).any(axis=1) & np.isfinite(chance).all(axis=1)
    if not known.any():
        return None
    truth, chance, subjects, folds = truth[known], chance[known], subjects[known], folds[known]
    wrong, certain = _answers(kind, truth, chance)
    ranked = _Ranked.of(wrong, certain, fold_masks(folds.astype(np.float64)))

    def _points() -> Iterator[dict[str, Any]]:
        for share in (np.arange(STEPS, 0, -1) / STEPS).tolist():
            rows = ranked.place <= share + 1e-9
            if rows.sum() < FEWEST:
                return
            error = intervals.share(ranked.wrong[rows], subjects[rows])
            found = {"share": share, "samples": int(rows.sum()), **entries("error", error)}
            if kind == "binary":
                who = subjects[rows], folds[rows]
                found |= entries(
                    PRIMARY[kind], intervals.mean_area(primary_area(kind), truth[rows], chance[rows], *who)
                )
            yield found

    return {"points": list(_points()), "area": ranked.area, "random": float(wrong.mean()), "best": ranked.best}


def _answers(kind: str, truth: FloatArray, chance: FloatArray) -> tuple[Float64Array, Float64Array]:
    """Return of each sample whether its most probable class is wrong, 0 or 1, and the probability of that class."""
    chance = chance.astype(np.float64)
    if kind == "binary":
        p = chance[:, 0]
        return np.where((p > 0.5) == (truth[:, 0] == 1), 0.0, 1.0), np.maximum(p, 1 - p)
    return 1.0 - truth[np.arange(len(truth)), chance.argmax(axis=1)], chance.max(axis=1)


@dataclass(frozen=True)
class _Ranked:
    """Who is answered when: ``place`` [n] is the share of the fold that is answered with a sample and before it.

    ``wrong`` [n] is whether it errs; of who is equally certain the mean, since their order is chance.
    """

    wrong: Float64Array
    place: Float64Array
    area: float
    best: float

    @classmethod
    def of(cls, wrong: Float64Array, certain: Float64Array, folds: list[npt.NDArray[np.bool_]]) -> _Ranked:
        """Rank samples within each of the folds, masks [n]."""
        expected, place, area, best = np.empty(len(wrong)), np.empty(len(wrong)), 0.0, 0.0
        for fold in folds:
            rows = np.flatnonzero(fold)
            _, tie = np.unique(certain[rows], return_inverse=True)
            expected[rows] = (np.bincount(tie, wrong[rows]) / np.bincount(tie))[tie]
            order = rows[np.argsort(-certain[rows], kind="stable")]
            place[order] = np.arange(1, len(rows) + 1) / len(rows)
            area += _mean_risk(expected[order]) * len(rows) / len(wrong)
            best += _mean_risk(np.sort(wrong[rows])) * len(rows) / len(wrong)
        return cls(expected, place, area, best)


def _mean_risk(wrong: Float64Array) -> float:
    """Return the mean over all shares of the error among the first [m] that are answered."""
    return float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())
