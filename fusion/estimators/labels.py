"""What is to be predicted, from the y of scikit-learn: classes of any kind, several labels, or quantities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import column_or_1d

from ...cache_schema import InputError, Task, TaskKind
from ..inputs.splits import Positions


@dataclass(frozen=True)
class Labels:
    """What y says: the kind of the task, and the classes as they were given, [C]; of several labels 0 to C - 1."""

    kind: TaskKind
    classes: npt.NDArray[Any]

    @property
    def width(self) -> int:
        """Number of columns of the labels of a `Task`."""
        return len(self.classes) if self.kind == "multilabel" else 1

    def task(self, y: npt.NDArray[np.float32]) -> Task:
        """Return the task of labels [N, width]."""
        names = ("y",) if self.kind == "binary" else tuple(map(str, self.classes))
        return Task("y", self.kind, names, y)

    def probabilities(self, found: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probability of every class or label [N, C]; found [N, 1] of a binary task is the second's."""
        return np.concatenate([1 - found, found], axis=1) if self.kind == "binary" else found

    def decide(self, probability: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """Return the most probable class of each sample [N], or its labels [N, C], 0 or 1."""
        if self.kind == "multilabel":
            return (probability > 0.5).astype(np.int64)
        chosen: npt.NDArray[Any] = self.classes[probability.argmax(axis=1)]
        return chosen


def read_labels(y: Any) -> tuple[Labels, npt.NDArray[np.float32]]:
    """Return what [N] classes, or [N, C] labels of 0, 1 and NaN for unknown, are, and as numbers [N, width].

    Raises
    ------
    InputError
        For anything else: an unknown class, one class alone, a quantity.
    """
    if y is None:
        raise InputError("A classifier requires y to be passed, but the target y is None.")
    given = np.asarray(y)
    if given.ndim == 2 and given.shape[1] > 1:
        return Labels("multilabel", np.arange(given.shape[1])), _several(given)
    classes, numbers = _classes(column_or_1d(given, warn=True))
    if len(classes) < 2:
        raise InputError(f"y has {len(classes)} class; two at least are needed to learn from.")
    return Labels("binary" if len(classes) == 2 else "multiclass", classes), numbers.astype(np.float32)[:, None]


def _several(given: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return labels [N, C] as float32."""
    try:
        y = given.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"y holds several labels, and {error}; expected 0, 1, or NaN for unknown.") from error
    wrong = ~(np.isnan(y) | (y == 0) | (y == 1))
    if wrong.any():
        row, label = np.argwhere(wrong)[0]
        raise InputError(f"y[{row}, {label}] is {given[row, label]}; expected 0, 1, or NaN for unknown.")
    return y


def _classes(given: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return the classes [C] in order, and the number of the class of each sample, [N]."""
    _refuse_unknown(given)
    if given.dtype.kind == "f" and not (given == np.round(given)).all():
        raise InputError(
            "Unknown label type: y holds continuous numbers. Fit a FusionRegressor, or make classes of it."
        )
    if given.dtype != object:
        return np.unique(given, return_inverse=True)
    found = list(dict.fromkeys(given.tolist()))
    try:
        found.sort()
    except TypeError:
        found.sort(key=lambda label: (type(label).__name__, str(label)))  # of kinds that cannot be compared
    place = {label: number for number, label in enumerate(found)}
    classes = np.empty(len(found), dtype=object)
    classes[:] = found
    return classes, np.array([place[label] for label in given.tolist()])


def _refuse_unknown(given: npt.NDArray[Any]) -> None:
    """Raise `InputError` where a class is unknown, or infinite."""
    without = unknown_entries(given)
    if len(without):
        raise InputError(
            f"y has no class for some samples ({len(without):,}; the first is {without[0]}): leave them out. "
            "Of several labels [N, C] some may be NaN for unknown."
        )
    if given.dtype.kind == "f" and np.isinf(given).any():
        raise InputError("y holds infinite values; expected classes.")


def read_quantities(y: Any) -> tuple[npt.NDArray[np.float32], bool]:
    """Return quantities as [N, C], and whether they were given as one column.

    Raises
    ------
    InputError
        For what is no finite number of 32 bits; of several quantities NaN is unknown.
    """
    if y is None:
        raise InputError("A regressor requires y to be passed, but the target y is None.")
    given = np.asarray(y)
    single = given.ndim != 2 or given.shape[1] == 1
    table = column_or_1d(given, warn=True)[:, None] if single else given
    try:
        numbers = table.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"y is {given.ravel()[:1].item()!r}, …; expected quantities, all of them numbers.") from error
    known = np.abs(numbers) <= np.finfo(np.float32).max  # neither NaN nor infinite
    if not (known if single else known | np.isnan(numbers)).all():
        row, column = np.argwhere(~known)[0]
        where = f"y[{row}]" if single else f"y[{row}, {column}]"
        raise InputError(
            f"{where} is {table[row, column]}; expected quantities, none of them NaN, infinite or beyond 32 bits. "
            "Leave out samples that have none."
        )
    return numbers.astype(np.float32), single


def unknown_entries(given: npt.NDArray[Any]) -> Positions:
    """Return where an array [N] holds None or NaN."""
    return np.flatnonzero([entry is None or entry != entry for entry in given.tolist()])
