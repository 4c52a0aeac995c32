"""Ragged arrays: any number of rows a sample, in one flat array with offsets (CF "contiguous ragged array")."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from .elements import Column, ModalityKind, ModalitySpec
from .errors import InputError


@dataclass(frozen=True)
class RaggedArray:
    """The rows of N samples: sample ``i`` owns ``values[offsets[i]:offsets[i + 1]]``. No rows means missing.

    Attributes
    ----------
    values
        ``[R, D]``, float16 or float32.
    offsets
        ``[N + 1]`` int64, from 0 to R, never falling.
    time
        ``[R]`` float32, hours since t0 of each row, NaN for a row without time.
    """

    values: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]
    time: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        check_offsets(self.offsets, len(self.time))
        if self.values.ndim != 2 or len(self.values) != len(self.time):
            raise InputError(f"Values of shape {self.values.shape} do not go with {len(self.time)} row times.")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, sample: int) -> npt.NDArray[Any]:
        """Return the rows of one sample, ``[rows, D]``; ``[0, D]`` where it is missing."""
        if not -len(self) <= sample < len(self):
            raise IndexError(f"Sample {sample} of {len(self)}")
        sample %= len(self)
        return self.values[self.offsets[sample] : self.offsets[sample + 1]]

    @property
    def dim(self) -> int:
        """Number of columns, D."""
        return int(self.values.shape[1])

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Rows of each sample, ``[N]``."""
        return np.diff(self.offsets)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Which samples have the modality, ``[N]``."""
        return self.lengths > 0

    def take(self, samples: npt.NDArray[np.integer[Any]]) -> Self:
        """Return the given samples (indices ``[n]``), in the given order."""
        rows = row_indices(self.offsets, samples)
        offsets = offsets_of(self.lengths[samples])
        return replace(self, values=self.values[rows], offsets=offsets, time=self.time[rows])

    def keep_rows(self, keep: npt.NDArray[np.bool_]) -> Self:
        """Return the same samples with only the rows where ``keep`` ``[R]`` holds."""
        if keep.all():
            return self
        kept_before = np.concatenate(([0], np.cumsum(keep)))  # [R + 1]
        return replace(self, values=self.values[keep], offsets=kept_before[self.offsets], time=self.time[keep])


def offsets_of(lengths: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """Return the offsets ``[N + 1]`` of samples with the given numbers of rows ``[N]``."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def row_indices(offsets: npt.NDArray[np.int64], samples: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """Return the indices of all rows of the given samples, sample after sample."""
    lengths = np.diff(offsets)[samples]
    starts = offsets[:-1][samples]
    within = np.arange(lengths.sum()) - np.repeat(offsets_of(lengths)[:-1], lengths)
    rows: npt.NDArray[np.int64] = np.repeat(starts, lengths) + within
    return rows


def check_offsets(offsets: npt.NDArray[np.int64], rows: int) -> None:
    """Raise :class:`InputError` unless the offsets rise from 0 to ``rows``."""
    if offsets.ndim != 1 or len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != rows or (np.diff(offsets) < 0).any():
        ends = f"{offsets[0]} to {offsets[-1]}" if offsets.size else "nothing"
        raise InputError(f"Offsets must rise from 0 to the number of rows, {rows}; they go from {ends}.")


@dataclass(frozen=True)
class Modality(RaggedArray):
    """The rows of one modality of all samples, with the description of what they are.

    ``items`` lists what was encoded (item_id, sample, first_row, rows, time, digest, attributes); None where rows do
    not come from items, and after rows were selected for a task.
    """

    spec: ModalitySpec
    items: pl.DataFrame | None = None

    @property
    def name(self) -> str:
        """Name of the modality."""
        return self.spec.name

    @property
    def kind(self) -> ModalityKind:
        """What the rows are: embedding, timeseries or features."""
        return self.spec.kind

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the rows; empty for embeddings."""
        return self.spec.columns

    @property
    def recipe(self) -> dict[str, Any]:
        """How the rows were made."""
        return self.spec.recipe
