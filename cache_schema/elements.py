"""What a cache is made of, as plain values: columns, modalities, tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from .errors import InputError

ModalityKind = Literal["embedding", "timeseries", "features"]
"""``embedding``: rows of a frozen encoder; ``timeseries``: bins of timed values; ``features``: one row of numbers."""

ColumnRole = Literal["value", "onehot", "mask"]
"""``value``: a quantity; ``onehot``: one category of a variable; ``mask``: 1 where the variable was observed."""

TaskKind = Literal["binary", "multilabel", "multiclass", "regression", "survival"]
CLASS_KINDS: tuple[TaskKind, ...] = ("binary", "multilabel", "multiclass")
"""Those whose labels are classes; the others are quantities and times."""
SURVIVAL_LABELS = ("time", "event")
"""The columns of a survival label: time until the event or the end of what is known, and 1 where it is the event."""


@dataclass(frozen=True)
class Column:
    """One column of a modality's ``values``.

    ``variable`` ties the value, one-hot and mask columns of one clinical variable together.
    """

    name: str
    unit: str = ""
    variable: str = ""
    role: ColumnRole = "value"


@dataclass(frozen=True)
class ModalitySpec:
    """What the rows of a modality are and how they were made; stored as attributes of its group."""

    name: str
    kind: ModalityKind
    row_meaning: str
    recipe: dict[str, Any]
    columns: tuple[Column, ...] = ()
    """Empty for embeddings, whose columns have no names."""
    title: str | None = None
    """What it is in words for a reader, such as ``chest X-rays``; decides nothing."""


@dataclass(frozen=True)
class Task:
    """Labels of a cohort and what of each modality may be seen when predicting them.

    Attributes
    ----------
    y
        Labels, float32. Of a task with one label set a sample ``[N, C]``, aligned with the cache's samples, NaN outside
        the cohort: binary C = 1 (0 or 1); multilabel C = number of labels; multiclass C = 1 (index into ``labels``);
        regression C = number of labels (quantities in ``unit``); survival C = 2 (time in ``unit``, event 0 or 1).
        Of a long task ``[K, C]``, aligned with ``sample`` and ``time``.
    window_hours
        Rows with a time after it, or before ``-history_hours``, are not inputs of this task. None: no limit.
    history_hours
        How far before t0 inputs may reach, where there is a ``window_hours``. None: as far as a modality does.
    select
        Which rows of a modality are inputs: ``{"cxr": {"rows": "last", "where": {"view_position": ["AP", "PA"]}}}``
        keeps the last item whose attribute has one of the values. ``rows`` is ``last``, ``first`` or ``all``; with
        ``max`` that many, the last ones of all.
    counts
        Name and number of samples left after every filter, in order; of a long task the last is its predictions.
    sample, time
        Long tasks only (several predictions a sample): index of the sample ``[K]`` and hours since t0 ``[K]``.
    title
        What it predicts in words for a reader, such as ``in-hospital mortality``; decides nothing.
    unit
        Unit of quantities and of times to an event, such as ``h``; empty without one.
    """

    name: str
    kind: TaskKind
    labels: tuple[str, ...]
    y: npt.NDArray[np.float32]
    window_hours: float | None = None
    select: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    counts: tuple[tuple[str, int], ...] = ()
    sample: npt.NDArray[np.int64] | None = None
    time: npt.NDArray[np.float32] | None = None
    title: str | None = None
    history_hours: float | None = 0.0
    unit: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(TaskKind):
            raise InputError(
                f"Task {self.name!r} has kind {self.kind!r}; known kinds: {', '.join(get_args(TaskKind))}."
            )
        width = len(self.labels) if self.kind in ("multilabel", "regression", "survival") else 1
        if self.y.ndim != 2 or self.y.shape[1] != width:
            raise InputError(
                f"Task {self.name!r} ({self.kind}) needs labels of shape [N, {width}], got {self.y.shape}."
            )
        if self.kind == "survival" and self.labels != SURVIVAL_LABELS:
            raise InputError(f"Task {self.name!r} (survival) needs the labels {', '.join(SURVIVAL_LABELS)}.")
        if (self.sample is None) != (self.time is None):
            raise InputError(f"Long task {self.name!r} needs both `sample` and `time`.")

    @property
    def long(self) -> bool:
        """Whether there are several predictions a sample."""
        return self.sample is not None


def by_preference(kind: TaskKind, long: bool) -> tuple[bool, bool]:
    """Return what tasks are sorted by where none is named: one prediction a sample before several, classes first."""
    return long, kind not in CLASS_KINDS
