"""The predictions of a run as arrays, whatever the kind of task."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...cache_schema.errors import InputError
from ..files import require_columns
from ..scores.curves import Bools, Floats
from ..scores.metrics import FloatArray
from ..scores.survival import SurvivalCurves, as_predicted
from ..training.predictions import SURVIVAL


@dataclass(frozen=True)
class ModalityColumns:
    """What the predictions say of one modality; None where the method does not say it.

    present, imputed: [N] bool; probability (of the positive class, from this modality alone) and weight: [N], NaN where
    not defined, binary tasks only.
    """

    present: Bools
    imputed: Bools | None
    probability: Floats | None
    weight: Floats | None


@dataclass(frozen=True)
class Predictions:
    """Predictions of samples that were not trained on.

    y: [N, C] 0 or 1, NaN where the label is unknown; p: [N, C] probabilities; fold: [N], NaN where there are no folds.
    C is 1 for a binary task, else the number of labels or classes (a class index becomes C columns). Of quantities y
    and p are values in their unit. Of a time to an event there are no labels, y is [N, 2], time and event, and p [N, H]
    the survival at ``times`` [H], which others do not have.
    """

    labels: tuple[str, ...]
    y: Floats
    p: Floats
    fold: Floats
    modalities: dict[str, ModalityColumns]
    kind: str
    times: tuple[float, ...] = ()

    @property
    def predicted(self) -> FloatArray | SurvivalCurves:
        """What was predicted, as measures take it."""
        return as_predicted(self.kind, self.p, self.times)

    @property
    def combinations(self) -> NDArray[np.str_]:
        """[N] which modalities each sample has, such as ``cxr+ehr``; ``none`` for a sample without any."""
        names = sorted(self.modalities)
        present = np.stack([self.modalities[name].present for name in names], axis=1)  # [N, M]
        patterns, index = np.unique(present, axis=0, return_inverse=True)
        texts = ["+".join(np.array(names)[pattern]) or "none" for pattern in patterns]
        return np.array(texts)[index.reshape(-1)]


def predictions_of(table: pl.DataFrame, kind: str, modalities: tuple[str, ...], path: Path) -> Predictions:
    """Return a table of predictions, read from ``path``, of a task of this kind; raise InputError if it is not one."""
    require_columns(table, {"fold"}, path)
    read: Callable[[pl.DataFrame, Path], dict[str, Any]] = partial(_classes, kind)
    if kind in ("regression", "survival"):
        read = _quantities if kind == "regression" else _survival
    return Predictions(
        **read(table, path),
        fold=floats(table, "fold"),
        modalities={name: _modality(table, name, kind) for name in modalities if f"{name}.present" in table.columns},
        kind=kind,
    )


def _classes(kind: str, table: pl.DataFrame, path: Path) -> dict[str, Any]:
    if kind == "binary":
        require_columns(table, {"p"}, path)
    labels = ("",) if kind == "binary" else _after(table, "p_")
    if not labels:
        raise InputError(f"{path} has no column p_<label> although the task is {kind}. Train again.")
    require_columns(table, ["y"] if kind == "multiclass" else [_column("y", x) for x in labels], path)
    truth = _one_hot(table, len(labels)) if kind == "multiclass" else _matrix(table, [_column("y", x) for x in labels])
    return {"labels": labels, "y": truth, "p": _matrix(table, [_column("p", x) for x in labels])}


def _quantities(table: pl.DataFrame, path: Path) -> dict[str, Any]:
    labels = ("",) if "predicted" in table.columns else _after(table, "predicted_")
    if not labels:
        raise InputError(f"{path} has no column predicted although the task is one of quantities. Train again.")
    names = {part: [_column(part, label) for label in labels] for part in ("label", "predicted")}
    require_columns(table, names["label"], path)
    return {"labels": labels, "y": _matrix(table, names["label"]), "p": _matrix(table, names["predicted"])}


def _survival(table: pl.DataFrame, path: Path) -> dict[str, Any]:
    require_columns(table, {"time", "event", "risk"}, path)
    named = _after(table, SURVIVAL)
    try:
        times = tuple(float(name) for name in named)
    except ValueError:
        times = ()
    if not times:
        raise InputError(f"{path} has no column {SURVIVAL}<time> although the task is a time to an event. Train again.")
    curves = _matrix(table, [SURVIVAL + name for name in named])
    return {"labels": (), "y": _matrix(table, ["time", "event"]), "p": curves, "times": times}


def _after(table: pl.DataFrame, beginning: str) -> tuple[str, ...]:
    """Return what follows a beginning in the names of columns that have it."""
    return tuple(name.removeprefix(beginning) for name in table.columns if name.startswith(beginning))


def _column(kind: str, label: str) -> str:
    return f"{kind}_{label}" if label else kind


def floats(table: pl.DataFrame, column: str) -> Floats:
    """Return a column as [N] numbers, NaN where it has none."""
    return table[column].cast(pl.Float64).fill_null(np.nan).to_numpy()


def _matrix(table: pl.DataFrame, columns: list[str]) -> Floats:
    return np.stack([floats(table, column) for column in columns], axis=1)  # [N, C]


def _one_hot(table: pl.DataFrame, classes: int) -> Floats:
    index = floats(table, "y")
    return np.where(np.isnan(index)[:, None], np.nan, index[:, None] == np.arange(classes))  # [N, C]


def _modality(table: pl.DataFrame, name: str, kind: str) -> ModalityColumns:
    def optional(suffix: str) -> Floats | None:
        return floats(table, f"{name}.{suffix}") if f"{name}.{suffix}" in table.columns else None

    imputed = optional("imputed")
    return ModalityColumns(
        present=floats(table, f"{name}.present") == 1,
        imputed=None if imputed is None else imputed == 1,
        probability=optional("p") if kind == "binary" else None,
        weight=optional("weight") if kind == "binary" else None,
    )
