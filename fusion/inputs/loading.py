"""What a task needs of a cache: first which rows, then the rows, in memory or in files that are read when needed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from ...cache_schema import Column, FeatureCache, InputError, Modality, Task, input_rows, known_rows, unknown
from .batches import Cohort, Source
from .groups import groups_of
from .missingness import hide
from .queries import Queries, Spans
from .stored import StoredCohort, with_rows

BLOCK_BYTES = 16 << 20
"""Rows are read from the cache about so many bytes at a time; so few that the same memory is used again."""

ROWS_AT_ONCE = 512
"""So few rows are looked through at a time that they stay in the processor's cache."""

COLUMNS_NAMED = 5
"""Of the columns that are refused, as many are named."""

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

    Of a task with several predictions a sample each prediction is a position of the cohort, with the rows that are
    known by then.

    With ``labelled`` only samples with at least one known label are taken; without it every sample that has an input,
    whatever its label (to predict). ``modalities`` (all by default) also fixes their order.

    Raises
    ------
    InputError
        For an unknown modality, or when no sample is left.
    """
    task = cache.task(task) if isinstance(task, str) else task
    names = _known(cache, modalities)
    sources = {name: _source(cache.row_numbers(name), task) for name in names}
    y = np.asarray(task.y, dtype=np.float32)
    samples = cache.samples
    sample_id, subject_id = (samples[name].to_numpy() for name in ("sample_id", "subject_id"))
    groups, queries = groups_of(samples), None
    if task.sample is not None and task.time is not None:
        queries = Queries(np.arange(len(y)), task.sample, task.time)
        sample_id, subject_id = sample_id[task.sample], subject_id[task.sample]
        groups = {name: of_sample[task.sample] for name, of_sample in groups.items()}
    everyone = Cohort(task, sample_id, subject_id, y, sources, groups=groups, queries=queries)
    wanted = ~np.isnan(y).all(axis=1) if labelled else np.ones(len(y), dtype=bool)
    kept = wanted & everyone.presence.any(axis=1)
    if not kept.any():
        raise InputError(f"No sample of task {task.name!r} has any of the modalities {', '.join(names)}.")
    cohort = everyone if kept.all() else everyone.take(np.flatnonzero(kept))
    return Selection(cache, replace(cohort, without_input=int(wanted.sum() - kept.sum())))


def _source(numbers: Modality, task: Task) -> Source:
    """Return what a task may see of a modality that has the numbers of its rows in place of the rows."""
    if not task.long:
        rows = input_rows(numbers, task)
        return Source(rows.kind, rows.columns, rows)
    known = known_rows(numbers, task)
    return Source(known.rows.kind, known.rows.columns, known.rows, Spans(known.starts, known.lengths))


def _known(cache: FeatureCache, modalities: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(cache.modalities if modalities is None else modalities)
    for name in names:
        if name not in cache.modalities:
            raise InputError(f"{cache.path}: {unknown('modality', name, cache.modalities)}")
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
            (values[name],) = self._blocks(name, numbers, max(1, int(self.cache.offsets(name)[-1])))
        return with_rows(self.cohort, values)

    def store(self, folder: Path) -> StoredCohort:
        """Read the rows into files of a new folder, a block at a time."""
        blocks = {name: self._blocks(name, numbers, _block_rows(self.cache, name)) for name, numbers in self._numbers()}
        return StoredCohort.write(self.cohort, folder, blocks)

    def _blocks(self, name: str, numbers: npt.NDArray[np.int64], step: int) -> Iterator[npt.NDArray[Any]]:
        """Yield the rows with the given numbers [R], out of ``step`` rows of the cache at a time, in one block or more.

        At the end infinite values are refused.
        """
        nothing = self.cache.rows(name, 0, 0)  # [0, D]
        infinite = np.zeros(nothing.shape[1], dtype=np.int64)
        edges = np.arange(0, max(1, int(self.cache.offsets(name)[-1])) + step, step)
        rising = bool((numbers[1:] > numbers[:-1]).all())
        for low, high in pairwise(np.searchsorted(numbers, edges) if rising else _cuts(len(numbers), step)):
            wanted = numbers[low:high]
            block = np.empty((high - low, nothing.shape[1]), nothing.dtype)
            for part in self.cache.fill(name, wanted if rising else np.sort(wanted), block):
                infinite += infinite_cells(block[part])
            yield block if rising else block[np.argsort(np.argsort(wanted))]
        self._refuse_infinite(name, infinite)

    def _refuse_infinite(self, name: str, infinite: npt.NDArray[np.int64]) -> None:
        """Raise :class:`InputError` that names the columns of which some values are infinite, given how many [D]."""
        if infinite.any():
            columns = self.cohort.sources[name].columns
            raise InputError(
                _infinite(name, {_title(columns, i): infinite[i] for i in np.flatnonzero(infinite).tolist()})
            )

    def _numbers(self) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
        for name, source in self.cohort.sources.items():
            yield name, source.rows.values[:, 0]


def _cuts(count: int, step: int) -> npt.NDArray[np.int64]:
    """Return where so many rows are cut into parts of ``step`` at most."""
    return np.append(np.arange(0, max(1, count), step), count)


def infinite_cells(rows: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return how many cells of each column [D] of rows [n, D] of float16 or float32 are infinite."""
    whole = np.dtype(f"u{rows.itemsize}")
    infinity = np.array(np.inf, rows.dtype).view(whole)
    without_sign = np.iinfo(whole).max >> 1
    count: npt.NDArray[np.int64] = np.zeros(rows.shape[1], dtype=np.int64)
    for first in range(0, len(rows), ROWS_AT_ONCE):
        # as whole numbers: ten times faster than asking float16
        found = (rows[first : first + ROWS_AT_ONCE].view(whole) & without_sign) == infinity
        if found.any():
            count += found.sum(axis=0)
    return count


def _title(columns: Sequence[Column], number: int) -> str:
    return repr(columns[number].name) if columns else f"column {number}"


def _infinite(name: str, counts: Mapping[str, int]) -> str:
    some = ", ".join(f"{title}: {count:,}" for title, count in list(counts.items())[:COLUMNS_NAMED])
    more = f" and {len(counts) - COLUMNS_NAMED:,} more columns" if len(counts) > COLUMNS_NAMED else ""
    return (
        f"Modality {name!r} holds infinite values, in rows by column: {some}{more}. Correct them where they come from, "
        "or leave the columns out, and make the cache again."
    )


def default_limit() -> int:
    """Return how many bytes the rows of a cohort may take in memory where nobody says."""
    return int(psutil.virtual_memory().available * SHARE_OF_MEMORY)


def _row_bytes(cache: FeatureCache, name: str) -> int:
    return cache.dim(name) * int(cache.rows(name, 0, 0).itemsize)


def _block_rows(cache: FeatureCache, name: str) -> int:
    """Return how many rows of a modality are read at a time: whole chunks, so that none is read twice."""
    chunk = cache.chunk_rows(name)
    return chunk * max(1, BLOCK_BYTES // max(1, chunk * _row_bytes(cache, name)))
