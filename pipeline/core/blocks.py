"""Blocks of a table modality on disk: computed whole, once for its settings and input tables."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import CorruptCacheError, Recipe, digest
from ...cache_schema.files import flush
from ..sealed_file import read_sealed, write_sealed
from ..source import TOO_LARGE, Block, Quarantine, TableModality
from ..tensor_file import DamagedFilesError, read_metadata, read_tensors, write_tensors

COMPLETE_FILE = "complete"


@dataclass(frozen=True)
class StoredRows:
    """Rows of all samples of a cohort, in blocks that are memory maps.

    ``lengths`` ``[N]``; ``block`` ``[N]`` and ``start`` ``[N]`` say where the rows of a sample begin; ``first_hours``
    ``[N]`` is the time of its first observation, NaN without any; ``left_out`` is for the quarantine, as JSON.
    """

    values: list[npt.NDArray[np.float32]]
    times: list[npt.NDArray[np.float32]]
    lengths: npt.NDArray[np.int64]
    block: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    first_hours: npt.NDArray[np.float64]
    left_out: dict[str, Any]


class BlockStore:
    """The blocks of one table modality for one key, in ``<folder>/<name>-<digest of the key>``."""

    def __init__(self, folder: Path, name: str, key: Recipe) -> None:
        self.folder = folder / f"{name}-{digest(key)[:16]}"

    @property
    def complete(self) -> bool:
        """Whether all blocks were written, and are there by their size and description."""
        return self._complete.exists() and not self._damaged()

    def remove_damaged(self) -> int:
        """Forget that the blocks were complete if they no longer are, and return how many files are damaged."""
        damaged = self._damaged() if self._complete.exists() else 0
        if damaged:
            self._complete.unlink()
        return damaged

    def _damaged(self) -> int:
        written = read_sealed(self._complete)
        if written is None:
            return 1
        return sum(not _is_there(self._path(number)) for number in range(json.loads(written)["blocks"]))

    def fill(self, modality: TableModality, sample_ids: npt.NDArray[Any]) -> Iterator[int]:
        """Compute and write all blocks, anew; yields the number of samples in each as it is done."""
        self._complete.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        flush(self.folder.parent)
        quarantine = Quarantine()
        number = -1
        for number, block in enumerate(modality.blocks(quarantine)):
            write_tensors(self._path(number), _tensors(block, sample_ids, modality.name, quarantine), {})
            yield len(block.sample_ids)
        content = {"blocks": number + 1, "quarantine": quarantine.to_json()}
        write_sealed(self._complete, json.dumps(content).encode())

    def load(self, samples: int) -> StoredRows:
        """Return the rows for a cohort of ``samples`` samples.

        Raises
        ------
        DamagedFilesError
            If a block is damaged; all of them have to be computed again.
        """
        try:
            return self._load(samples)
        except CorruptCacheError as error:
            self._complete.unlink(missing_ok=True)
            raise DamagedFilesError(self.folder, 1) from error

    def _load(self, samples: int) -> StoredRows:
        if (written := read_sealed(self._complete)) is None:
            raise CorruptCacheError(f"{self._complete} is missing or damaged.")
        content = json.loads(written)
        lengths, block_of, start_of = (np.zeros(samples, dtype=np.int64) for _ in range(3))
        first_hours = np.full(samples, np.nan)
        values, times = [], []
        for number in range(content["blocks"]):
            tensors = read_tensors(self._path(number))[1]
            index = tensors["sample"]
            lengths[index] = tensors["lengths"]
            block_of[index] = number
            start_of[index] = np.cumsum(tensors["lengths"]) - tensors["lengths"]
            first_hours[index] = tensors["first_hours"]
            values.append(tensors["values"])
            times.append(tensors["time"])
        return StoredRows(values, times, lengths, block_of, start_of, first_hours, content["quarantine"])

    @property
    def _complete(self) -> Path:
        return self.folder / COMPLETE_FILE

    def _path(self, number: int) -> Path:
        return self.folder / f"block-{number:05d}.safetensors"


def _is_there(path: Path) -> bool:
    try:
        return bool(read_metadata(path))
    except CorruptCacheError:
        return False


def _tensors(
    block: Block, sample_ids: npt.NDArray[Any], name: str, quarantine: Quarantine
) -> dict[str, npt.NDArray[Any]]:
    """Return a block as arrays to store, its samples as indices into the sorted ids of the cohort.

    No cache holds a value that is infinite, wherever it came from.
    """
    values = block.values.astype(np.float32, copy=False)
    if count := int(np.isinf(values).sum()):
        quarantine.add("values", name, "", "", TOO_LARGE, count)
        values = np.where(np.isinf(values), np.float32(np.nan), values)
    unknown = np.full(len(block.lengths), np.nan)
    return {
        "sample": np.searchsorted(sample_ids, block.sample_ids).astype(np.int64),
        "lengths": block.lengths.astype(np.int64),
        "values": values,
        "time": block.time.astype(np.float32),
        "first_hours": unknown if block.first_hours is None else block.first_hours.astype(np.float64),
    }
