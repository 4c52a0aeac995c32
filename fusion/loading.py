"""What a task needs of a cache: first which rows, then the rows, in memory or in files that are read when needed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from ..cache_schema import FeatureCache, InputError, Task, input_rows
from .batches import Cohort, Source
from .missingness import hide
from .stored import StoredCohort, with_rows
from .subgroups import groups_of

BLOCK_BYTES = 16 << 20
"""Rows are read from the cache about so many bytes at a time; so few that the same memory is used again."""

SHARE_OF_MEMORY = 0.5
"""Of the memory that is available now, the most that rows take where no limit is given."""


def load(
    cache: FeatureCache, task: str | Task, modalities: Sequence[str] | None = None, labelled: bool = True
) -> Cohort:
    """Read one task's inputs: window and selection applied, embeddings kept in float16; arguments as in `select`."""
    return select(cache, task, modalities, labelled).read()


def select(
    cache: FeatureCache, task: str | Task, modalities: Sequence[str] | None = None, labelled: bool = True
) -> Selection:
    """Choose the samples of a task, and of each modality the rows inside its window that it selects.

    With ``labelled`` only samples with at least one known label are taken; without it every sample that has an input,
    whatever its label (to predict). ``modalities`` (all by default) also fixes their order.

    Raises
    ------
    InputError
        For an unknown modality, a task with several predictions a sample, or when no sample is left.
    """
    task = cache.task(task) if isinstance(task, str) else task
    if task.sample is not None:
        raise InputError(
            f"Task {task.name!r} has several predictions a sample; training on such tasks is not possible."
        )
    names = _known(cache, modalities)
    inputs = {name: input_rows(cache.row_numbers(name), task) for name in names}
    sources = {name: Source(inputs[name].kind, inputs[name].columns, inputs[name]) for name in names}
    y = np.asarray(task.y, dtype=np.float32)
    samples = cache.samples
    sample_id, subject_id = (samples[name].to_numpy() for name in ("sample_id", "subject_id"))
    everyone = Cohort(task, sample_id, subject_id, y, sources, groups=groups_of(samples))
    wanted = ~np.isnan(y).all(axis=1) if labelled else np.ones(len(y), dtype=bool)
    kept = wanted & everyone.presence.any(axis=1)
    if not kept.any():
        raise InputError(f"No sample of task {task.name!r} has any of the modalities {', '.join(names)}.")
    cohort = everyone if kept.all() else everyone.take(np.flatnonzero(kept))
    return Selection(cache, replace(cohort, without_input=int(wanted.sum() - kept.sum())))


def _known(cache: FeatureCache, modalities: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(cache.modalities if modalities is None else modalities)
    unknown = [name for name in names if name not in cache.modalities]
    if unknown:
        raise InputError(f"There is no modality {unknown[0]!r}; there are: {', '.join(cache.modalities)}.")
    if len(set(names)) < len(names) or not names:
        raise InputError(
            f"Modalities {', '.join(names) or '(none)'}: name each once, out of {', '.join(cache.modalities)}."
        )
    return names


@dataclass(frozen=True)
class Selection:
    """What is to be read of a cache: a cohort that has the numbers of its rows ``[R, 1]`` in place of the rows."""

    cache: FeatureCache
    cohort: Cohort

    @property
    def bytes(self) -> int:
        """What the rows take in memory."""
        return sum(len(numbers) * _row_bytes(self.cache, name) for name, numbers in self._numbers())

    def hiding(self, hidden: npt.NDArray[np.bool_]) -> Selection:
        """Return the selection without the rows of hidden modalities, [N, M] bool."""
        return replace(self, cohort=hide(self.cohort, hidden))

    def read(self, memory_limit: int | None = None) -> Cohort:
        """Read the rows into memory; into files that are mapped if they take more than a limit in bytes.

        Without a limit that is half of the memory that is available.
        """
        if self.bytes > (default_limit() if memory_limit is None else memory_limit):
            with tempfile.TemporaryDirectory() as folder:
                return self.store(Path(folder) / "rows").open()
        values = {}
        for name, numbers in self._numbers():
            nothing = self.cache.rows(name, 0, 0)  # [0, D]
            values[name] = np.empty((len(numbers), nothing.shape[1]), nothing.dtype)
            first = 0
            for block, chosen in _blocks(self.cache, name, numbers):
                # all are within the block; any mode but `raise` writes straight into `out`
                np.take(block, chosen, axis=0, out=values[name][first : first + len(chosen)], mode="clip")
                first += len(chosen)
        return with_rows(self.cohort, values)

    def store(self, folder: Path) -> StoredCohort:
        """Read the rows into files of a new folder, a block at a time."""
        blocks = {
            name: (block[chosen] for block, chosen in _blocks(self.cache, name, numbers))
            for name, numbers in self._numbers()
        }
        return StoredCohort.write(self.cohort, folder, blocks)

    def _numbers(self) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
        for name, source in self.cohort.sources.items():
            yield name, source.rows.values[:, 0]


def default_limit() -> int:
    """Return how many bytes the rows of a cohort may take in memory where nobody says."""
    return int(psutil.virtual_memory().available * SHARE_OF_MEMORY)


def _row_bytes(cache: FeatureCache, name: str) -> int:
    return cache.dim(name) * int(cache.rows(name, 0, 0).itemsize)


def _blocks(
    cache: FeatureCache, name: str, numbers: npt.NDArray[np.int64]
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.int64]]]:
    """Yield blocks of rows, and which of each have one of the ascending numbers [R]; at least one, if an empty one."""
    chunk = cache.chunk_rows(name)
    step = chunk * max(1, BLOCK_BYTES // max(1, chunk * _row_bytes(cache, name)))
    yield cache.rows(name, 0, 0), np.empty(0, np.int64)
    for first in range(0, int(cache.offsets(name)[-1]), step):
        low, high = np.searchsorted(numbers, [first, first + step])
        if low < high:
            yield cache.rows(name, first, first + step), numbers[low:high] - first
