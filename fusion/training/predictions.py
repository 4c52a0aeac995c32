"""The table of predictions that a run leaves and that ``predict`` returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from ...cache_schema import Task
from ..inputs.batches import Cohort
from ..methods.base import Prediction, combine

SURVIVAL = "survival_"
"""What the name of a column with the survival at a time begins with."""


HOURS = "prediction_hours"
"""The column with the time of a prediction, where a sample has several."""


@dataclass(frozen=True)
class Predicted:
    """Predictions of n samples with what is known of them.

    ``sample_id`` [n]; ``y`` [n, C] as in `Task`, NaN where unknown; ``presence`` [n, M] bool; ``fold`` the fold that
    tested them, None for the mean of all models; ``hours`` [n] since t0 of each prediction, where a sample has several.
    """

    sample_id: npt.NDArray[Any]
    y: npt.NDArray[np.float32]
    presence: npt.NDArray[np.bool_]
    prediction: Prediction
    fold: int | None
    hours: npt.NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        samples: npt.NDArray[np.int64],
        presence: npt.NDArray[np.bool_],
        prediction: Prediction,
        fold: int | None,
    ) -> Predicted:
        """Return predictions of the samples of a cohort at the given positions [n]."""
        hours = None if cohort.queries is None else cohort.queries.hours[samples]
        return cls(cohort.sample_id[samples], cohort.y[samples], presence, prediction, fold, hours)

    @property
    def probability(self) -> npt.NDArray[np.float32]:
        """[n, K] probabilities, or what `Outcome.own` says of quantities and times."""
        return np.asarray(self.prediction.probability)


def frame(predicted: Predicted, task: Task, modalities: Sequence[str], times: Sequence[float] = ()) -> pl.DataFrame:
    """Lay predictions out as columns: sample_id, fold, labels and predictions, then what explains them.

    Where a sample has several predictions, ``prediction_hours`` since its t0 stand behind its id.

    Binary tasks have ``y`` and ``p``; others of classes ``p_<label or class>`` with ``y`` (class index) or
    ``y_<label>``. Quantities have ``label`` and ``predicted``, several of them ``label_<name>`` and
    ``predicted_<name>``. A time to an event has ``time``, ``event``, ``survival_<t>`` at each of the ``times`` and
    ``risk``, the chance of the event up to the last of them.

    Of each modality there are ``<modality>.present`` and ``<modality>.imputed``. For binary tasks a method can add
    ``<modality>.p`` and ``<modality>.weight``, ``p.<readout>`` (such as ``p.joint``, the joint head), and
    ``p[<combination>]`` (such as ``p[cxr+ehr]``): the probability from these modalities alone, null where some of them
    are missing.
    """
    columns: dict[str, Any] = {"sample_id": predicted.sample_id}
    if predicted.hours is not None:
        columns[HOURS] = predicted.hours
    columns["fold"] = pl.Series([predicted.fold] * len(predicted.sample_id), dtype=pl.Int32)
    columns |= _OUTCOMES[task.kind](predicted, task, times)
    for m, name in enumerate(modalities):
        columns |= {f"{name}.{what}": values for what, values in _explanation(predicted, m, task.kind).items()}
    prediction = predicted.prediction
    columns |= {f"p.{name}": values.numpy() for name, values in prediction.readouts.items()}
    columns |= {
        f"p[{name}]": pl.Series(values.numpy(), nan_to_null=True) for name, values in prediction.combinations.items()
    }
    return pl.DataFrame(columns)


def _classes(predicted: Predicted, task: Task, _: Sequence[float]) -> dict[str, Any]:
    suffixes = [f"_{label}" for label in task.labels] if task.kind != "binary" else [""]
    truths = suffixes if task.kind == "multilabel" else [""]
    return {f"y{suffix}": _labels(predicted.y[:, i]) for i, suffix in enumerate(truths)} | {
        f"p{suffix}": predicted.probability[:, i] for i, suffix in enumerate(suffixes)
    }


def _quantities(predicted: Predicted, task: Task, _: Sequence[float]) -> dict[str, Any]:
    suffixes = [f"_{label}" for label in task.labels] if len(task.labels) > 1 else [""]
    known = {f"label{suffix}": _known(predicted.y[:, i]) for i, suffix in enumerate(suffixes)}
    return known | {f"predicted{suffix}": predicted.probability[:, i] for i, suffix in enumerate(suffixes)}


def _survival(predicted: Predicted, _: Task, times: Sequence[float]) -> dict[str, Any]:
    survival = predicted.probability  # [n, H]
    curves = {f"{SURVIVAL}{time:g}": survival[:, i] for i, time in enumerate(times)}
    known = {"time": _known(predicted.y[:, 0]), "event": _labels(predicted.y[:, 1])}
    return {**known, "risk": 1 - survival[:, -1], **curves}


_OUTCOMES: dict[str, Callable[[Predicted, Task, Sequence[float]], dict[str, Any]]] = {
    **dict.fromkeys(("binary", "multilabel", "multiclass"), _classes),
    "regression": _quantities,
    "survival": _survival,
}


def _known(y: npt.NDArray[np.float32]) -> pl.Series:
    return pl.Series(y, nan_to_null=True)


def _labels(y: npt.NDArray[np.float32]) -> pl.Series:
    return _known(y).cast(pl.Int32)


def _explanation(predicted: Predicted, m: int, kind: str) -> dict[str, npt.NDArray[Any]]:
    """Return what is known of modality m for each sample; probability and weight where the method gives them."""
    prediction, present = predicted.prediction, predicted.presence[:, m]
    imputed = np.zeros_like(present) if prediction.imputed is None else prediction.imputed[:, m].numpy()
    columns: dict[str, npt.NDArray[Any]] = {"present": present, "imputed": imputed}
    if kind == "binary" and prediction.modality_probability is not None:
        columns["p"] = prediction.modality_probability[:, m].numpy()
    if kind == "binary" and prediction.weight is not None:
        columns["weight"] = prediction.weight[:, m].numpy()
    return columns


def mean_prediction(predictions: Sequence[Prediction]) -> Prediction:
    """Return the mean over several models of every probability and weight; what was imputed is the same in all."""
    return combine(predictions, _mean)


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if tensors[0].dtype == torch.bool else torch.stack(list(tensors)).mean(0)
