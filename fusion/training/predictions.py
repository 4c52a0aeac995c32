"""The table of predictions that a run leaves and that ``predict`` returns."""

from __future__ import annotations

from collections.abc import Sequence
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
        """[n, K] probabilities."""
        return np.asarray(self.prediction.probability)


def frame(predicted: Predicted, task: Task, modalities: Sequence[str]) -> pl.DataFrame:
    """Lay predictions out as columns: sample_id, fold, labels and probabilities, then what explains them.

    Where a sample has several predictions, ``prediction_hours`` since its t0 stand behind its id.
    Binary tasks have ``y`` and ``p``, others ``p_<label or class>`` with ``y`` (class index) or ``y_<label>``. Of each
    modality there are ``<modality>.present`` and ``<modality>.imputed``. For binary tasks a method can add
    ``<modality>.p`` and ``<modality>.weight``, ``p.<readout>`` (such as ``p.joint``, the joint head), and
    ``p[<combination>]`` (such as ``p[cxr+ehr]``): the probability from these modalities alone, null where some of them
    are missing.
    """
    columns: dict[str, Any] = {"sample_id": predicted.sample_id}
    if predicted.hours is not None:
        columns[HOURS] = predicted.hours
    columns["fold"] = pl.Series([predicted.fold] * len(predicted.sample_id), dtype=pl.Int32)
    suffixes = [f"_{label}" for label in task.labels] if task.kind != "binary" else [""]
    truths = suffixes if task.kind == "multilabel" else [""]
    columns |= {f"y{suffix}": _labels(predicted.y[:, i]) for i, suffix in enumerate(truths)}
    columns |= {f"p{suffix}": predicted.probability[:, i] for i, suffix in enumerate(suffixes)}
    for m, name in enumerate(modalities):
        columns |= {f"{name}.{what}": values for what, values in _explanation(predicted, m, task.kind).items()}
    prediction = predicted.prediction
    columns |= {f"p.{name}": values.numpy() for name, values in prediction.readouts.items()}
    columns |= {
        f"p[{name}]": pl.Series(values.numpy(), nan_to_null=True) for name, values in prediction.combinations.items()
    }
    return pl.DataFrame(columns)


def _labels(y: npt.NDArray[np.float32]) -> pl.Series:
    return pl.Series(y, nan_to_null=True).cast(pl.Int32)


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
