"""What a run says beside its predictions: the set of classes that may be true, or from where to where a quantity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ..scores import thresholds
from ..words import digits, number
from .metrics import RunMetrics
from .stored_predictions import Predictions

NONE = "none"
"""The set without an answer."""

SEPARATOR = "|"
"""Between the answers of a set."""

Texts = npt.NDArray[np.object_]


def set_columns(metrics: RunMetrics, said: Predictions) -> pl.DataFrame:
    """Return the columns that go with predictions of n samples of other patients than chose the thresholds.

    Of one label or of classes ``set``, of several labels ``set_<label>``: the answers joined by ``|``, such as
    ``negative|positive``, or ``none``. Of a quantity ``low`` and ``high``, of several ``low_<name>`` and
    ``high_<name>``, null where an interval has no end. There are none of a time to an event, and of a run that an
    earlier version made.
    """
    if metrics.conformal is None:
        return pl.DataFrame()
    limits = metrics.conformal.calibrated(metrics.kind).limits(said.p)
    if metrics.kind == "regression":
        return _bounds(said, limits[:, :, 0])
    names = [f"set_{label}" for label in said.labels] if metrics.kind == "multilabel" else ["set"]
    texts = _texts(metrics.kind, said, limits)
    return pl.DataFrame({name: pl.Series(texts[:, k], dtype=pl.String) for k, name in enumerate(names)})


def out_of_fold_sets(metrics: RunMetrics, tested: Predictions) -> list[list[str]]:
    """Return the sets of n tested samples as texts, one for each label [n][K], by the thresholds of other folds.

    Of quantities they are intervals, such as ``3.10 to 7.90``. Without sets in the run the lists are empty. Where there
    are no folds samples stand for patients, of whom predictions know nothing.
    """
    if metrics.conformal is None:
        return [[] for _ in tested.y]
    places, level = np.arange(len(tested.y)), metrics.conformal.level
    limits = thresholds.of_other_parts(metrics.kind, tested.y, tested.p, places, tested.fold, level)
    texts = (
        _intervals(tested.p, limits[:, :, 0]) if metrics.kind == "regression" else _texts(metrics.kind, tested, limits)
    )
    return [[str(text) for text in row] for row in texts]


def _texts(kind: str, said: Predictions, limits: npt.NDArray[np.float64]) -> Texts:
    """Return the set of each sample and label as text, [n, K], by limits [n, K, C]."""
    answers = np.array(said.labels if kind == "multiclass" else thresholds.SIDES)
    held = thresholds.sets(kind, limits, said.p)
    patterns, which = np.unique(held.reshape(-1, len(answers)), axis=0, return_inverse=True)
    words = np.array([SEPARATOR.join(answers[pattern]) or NONE for pattern in patterns], dtype=object)
    texts: Texts = words[which.reshape(-1)].reshape(held.shape[:2])
    return texts


def _bounds(said: Predictions, half: npt.NDArray[np.float64]) -> pl.DataFrame:
    columns = {}
    for label, predicted, reach in zip(said.labels, said.p.T, half.T, strict=True):
        for name, bound in (("low", predicted - reach), ("high", predicted + reach)):
            known = np.where(np.isfinite(bound), bound, np.nan)
            columns[f"{name}_{label}" if label else name] = pl.Series(known, nan_to_null=True)
    return pl.DataFrame(columns)


def _intervals(predicted: npt.NDArray[np.float64], half: npt.NDArray[np.float64]) -> list[list[str]]:
    """Return from where to where each of quantities [n, K] is, in words."""
    low, high = predicted - half, predicted + half
    return [
        [f"{_rounded(one)} to {_rounded(other)}" for one, other in zip(*bounds, strict=True)]
        for bounds in zip(low.tolist(), high.tolist(), strict=True)
    ]


def _rounded(value: float) -> str:
    return number(value, digits(value))
