"""A cohort whose rows lie in files: several processes map them, and they may be larger than memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import naming
from .batches import Cohort


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, row after row without a header."""

    file: Path
    dtype: str
    shape: tuple[int, int]

    @classmethod
    def write(cls, file: Path, blocks: Iterable[npt.NDArray[Any]]) -> StoredArray:
        """Write blocks of rows ``[n, D]``, at least one."""
        rows = 0
        with naming(file), file.open("wb") as opened:
            for block in blocks:
                opened.write(np.ascontiguousarray(block).data)
                rows += len(block)
        return cls(file, block.dtype.str, (rows, block.shape[1]))

    def open(self) -> npt.NDArray[Any]:
        """Return the array, parts of which are read when they are looked at; it stays valid without the file."""
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)  # nothing cannot be mapped
        # copy on write: torch wants arrays that can be written
        return np.memmap(self.file, self.dtype, "c", shape=self.shape)


@dataclass(frozen=True)
class StoredCohort:
    """A cohort with its rows in the files of ``folder``; it can be sent to other processes."""

    folder: Path
    arrays: Mapping[str, StoredArray]
    without_rows: Cohort

    @classmethod
    def write(cls, cohort: Cohort, folder: Path, blocks: Mapping[str, Iterable[npt.NDArray[Any]]]) -> StoredCohort:
        """Write the rows of a cohort, given in blocks by modality, into a new folder."""
        folder.mkdir()
        arrays = {name: StoredArray.write(folder / f"{n}.rows", blocks[name]) for n, name in enumerate(cohort.sources)}
        # arrays of their own: a view would keep all rows in memory
        nothing = {name: np.empty((stored.shape[0], 0), stored.dtype) for name, stored in arrays.items()}
        return cls(folder, arrays, with_rows(cohort, nothing))

    def open(self) -> Cohort:
        """Return the cohort, whose rows are read when they are looked at and stay valid without the files."""
        return with_rows(self.without_rows, {name: stored.open() for name, stored in self.arrays.items()})

    def remove(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.folder)


def with_rows(cohort: Cohort, values: Mapping[str, npt.NDArray[Any]]) -> Cohort:
    """Return the cohort with other rows ``[R, D]`` of its modalities."""
    sources = {
        name: replace(source, rows=replace(source.rows, values=values[name])) for name, source in cohort.sources.items()
    }
    return replace(cohort, sources=sources)
