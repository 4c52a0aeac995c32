"""Samples in memory, as arrays by modality, and what of them is a modality's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import InputError, Modality, RaggedArray, Task, offsets_of, shown, unknown
from ..inputs.batches import Cohort, Source
from ..inputs.loading import infinite_cells
from .labels import unknown_entries

Samples = Mapping[str, npt.ArrayLike | Sequence[npt.ArrayLike] | Modality] | npt.ArrayLike
"""What estimators take for N samples.

By name of the modality an array ``[N, D]``, one row of numbers a sample (``features``), where a row of NaN alone says
that the sample lacks the modality; or a list of N arrays ``[rows, D]`` (``embedding``), where no row says so; or a
`Modality` of a cache, of any kind. Or a table ``[N, D]``, as every estimator of scikit-learn takes it.
"""


@dataclass(frozen=True)
class Shape:
    """What a model was fitted on of a modality, and what it demands of other samples."""

    kind: str
    width: int
    columns: tuple[str, ...]

    @classmethod
    def of(cls, source: Source) -> Shape:
        """Return the shape of a modality."""
        return cls(source.kind, source.rows.dim, tuple(column.name for column in source.columns))


def read_sources(samples: Mapping[str, Any]) -> dict[str, Source]:
    """Return the rows of every modality.

    Raises
    ------
    InputError
        If something is no such array, holds infinite values, or has another number of samples than the others.
    """
    if not samples:
        raise InputError("X has no modality; expected arrays by name.")
    for name in samples:
        if not isinstance(name, str) or not name:
            raise InputError(f"A modality of X is called {shown(name)}; expected a text.")
    sources = {name: _source(name, given) for name, given in samples.items()}
    first, *others = sources
    number = len(sources[first].rows)
    for name in others:
        if len(sources[name].rows) != number:
            raise InputError(
                f"Modality {name!r} has {len(sources[name].rows):,} samples and {first!r} has {number:,}; each needs "
                "one row, or one array, for every sample: NaN alone, or no rows, where it lacks the modality."
            )
    return sources


def cohort_of(task: Task, sources: dict[str, Source], groups: npt.ArrayLike | None = None) -> Cohort:
    """Return the N samples with the labels of the task; ``groups`` [N] say which belong together, by default none do.

    Raises
    ------
    InputError
        If labels or groups are of another number, or some sample belongs to no group.
    """
    ids = np.arange(len(next(iter(sources.values())).rows))
    subjects = ids if groups is None else np.asarray(groups)
    if subjects.ndim != 1:
        raise InputError(f"groups has the shape {list(subjects.shape)}; expected [N], one for each sample.")
    for name, values in (("y", task.y), ("groups", subjects)):
        if len(values) != len(ids):
            raise InputError(f"{name} has {len(values):,} samples and X has {len(ids):,}.")
    if len(without := unknown_entries(subjects)):
        raise InputError(f"groups has none for some samples ({len(without):,}; the first is {without[0]}).")
    return Cohort(task, ids, subjects, task.y, sources)


def like(sources: Mapping[str, Source], fitted: Mapping[str, Shape]) -> dict[str, Source]:
    """Return the modalities in the order of those that a model was fitted on.

    Raises
    ------
    InputError
        If there are others, or one has another kind or other columns.
    """
    for name in sources:
        if name not in fitted:
            raise unknown("modality", name, fitted)
    for name, shape in fitted.items():
        if name not in sources:
            raise InputError(
                f"X has no modality {name!r}, which the model was fitted on; of samples that lack it give rows of NaN "
                "alone, or no rows."
            )
        if (found := Shape.of(sources[name])) != shape:
            raise InputError(f"Modality {name!r} is {_text(found)}; the model was fitted on {_text(shape)}.")
    return {name: sources[name] for name in fitted}


def _text(shape: Shape) -> str:
    named = f" ({', '.join(shape.columns[:3])}{', …' if len(shape.columns) > 3 else ''})" if shape.columns else ""
    return f"{shape.kind} of {shape.width:,} columns{named}"


def _source(name: str, given: Any) -> Source:
    if isinstance(given, Modality):
        source = Source(given.kind, given.columns, given)
    elif isinstance(given, list | tuple) and any(np.ndim(rows) == 2 for rows in given):
        source = _several_rows(name, given)
    else:
        source = _one_row(name, given)
    values = source.rows.values
    if infinite_cells(values).any():
        raise InputError(f"Modality {name!r} holds infinite values; correct them, or leave the columns out.")
    if source.kind == "embedding" and np.isnan(values).any():
        raise InputError(
            f"Modality {name!r} has rows with NaN; leave these rows out. A sample without rows lacks the modality."
        )
    return source


def _one_row(name: str, given: Any) -> Source:
    """Return features from [N, D]; a row of NaN alone is none."""
    table = _numbers(name, given)
    if table.ndim != 2 or not table.shape[1]:
        raise InputError(
            f"Modality {name!r} has the shape {list(table.shape)}; expected [N, D], one row a sample, or a list of N "
            "arrays [rows, D]."
        )
    present = np.asarray(~np.isnan(table).all(axis=1))
    return Source("features", (), _ragged(table[present], present))


def _several_rows(name: str, given: Sequence[Any]) -> Source:
    """Return an embedding from N arrays [rows, D]; what is empty has no rows."""
    arrays = [_numbers(name, rows) for rows in given]
    width = next(rows.shape[1] for rows in arrays if rows.ndim == 2)
    for place, rows in enumerate(arrays):
        if rows.size and (rows.ndim != 2 or rows.shape[1] != width):
            raise InputError(
                f"Modality {name!r}, sample {place}: rows of the shape {list(rows.shape)}; expected [rows, {width}], "
                f"of no rows [0, {width}]."
            )
    lengths = np.array([len(rows) if rows.size else 0 for rows in arrays])
    values = [rows for rows in arrays if rows.size] or [np.empty((0, width), np.float32)]
    return Source("embedding", (), _ragged(np.concatenate(values), lengths))


def _ragged(values: npt.NDArray[np.float32], lengths: npt.NDArray[Any]) -> RaggedArray:
    return RaggedArray(values, offsets_of(lengths), np.full(len(values), np.nan, dtype=np.float32))


def _numbers(name: str, given: Any) -> npt.NDArray[np.float32]:
    """Return an array of numbers; what is too large for float32 becomes infinite."""
    try:
        array = np.asarray(given)
        if array.dtype.kind in "cmM":
            raise TypeError(f"{array.dtype} is no kind of number that a model takes")
        with np.errstate(over="ignore"):
            return array.astype(np.float32)  # a copy, which can be written
    except (TypeError, ValueError, RuntimeError) as error:  # the last from a tensor that cannot be an array
        what = f"a {type(given).__name__}" if hasattr(given, "shape") else shown(given)
        raise InputError(f"Modality {name!r} is {what}: {error}; expected arrays of numbers.") from error
