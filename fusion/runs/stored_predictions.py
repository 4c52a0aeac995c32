"""The predictions of a run as arrays, whatever the kind of task."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...cache_schema.errors import InputError
from ..files import require_columns
from ..scores.curves import Bools, Floats


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
    C is 1 for a binary task, else the number of labels or classes (a class index becomes C columns).
    """

    labels: tuple[str, ...]
    y: Floats
    p: Floats
    fold: Floats
    modalities: dict[str, ModalityColumns]

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
    require_columns(table, {"fold", "p"} if kind == "binary" else {"fold"}, path)
    labels = ("",) if kind == "binary" else tuple(name[2:] for name in table.columns if name.startswith("p_"))
    if not labels:
        raise InputError(f"{path} has no column p_<label> although the task is {kind}. Train again.")
    require_columns(table, ["y"] if kind == "multiclass" else [_column("y", x) for x in labels], path)
    return Predictions(
        labels=labels,
        y=_one_hot(table, len(labels)) if kind == "multiclass" else _matrix(table, [_column("y", x) for x in labels]),
        p=_matrix(table, [_column("p", x) for x in labels]),
        fold=floats(table, "fold"),
        modalities={name: _modality(table, name, kind) for name in modalities if f"{name}.present" in table.columns},
    )


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
