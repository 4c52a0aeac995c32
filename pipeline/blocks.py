"""Blocks of a table modality on disk: computed whole, once for its settings and input tables."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cache_schema import Recipe, digest, write_durably
from .source import Block, Quarantine, TableModality
from .tensor_file import read_tensors, write_tensors

COMPLETE_FILE = "complete.json"


@dataclass(frozen=True)
class StoredRows:
    """Rows of all samples of a cohort, in blocks that are memory maps.

    ``lengths`` ``[N]``; ``block`` ``[N]`` and ``start`` ``[N]`` say where the rows of a sample begin; ``first_hours``
    ``[N]`` is the time of its first observation, NaN without any.
    """

    values: list[npt.NDArray[np.float32]]
    times: list[npt.NDArray[np.float32]]
    lengths: npt.NDArray[np.int64]
    block: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    first_hours: npt.NDArray[np.float64]


class BlockStore:
    """The blocks of one table modality for one key, in ``<folder>/<name>-<digest of the key>``."""

    def __init__(self, folder: Path, name: str, key: Recipe) -> None:
        self.folder = folder / f"{name}-{digest(key)[:16]}"

    @property
    def complete(self) -> bool:
        """Whether all blocks were written."""
        return (self.folder / COMPLETE_FILE).exists()

    def fill(self, modality: TableModality, sample_ids: npt.NDArray[Any]) -> Iterator[int]:
        """Compute and write all blocks, anew; yields the number of samples in each as it is done."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        quarantine = Quarantine()
        number = -1
        for number, block in enumerate(modality.blocks(quarantine)):
            write_tensors(self._path(number), _tensors(block, sample_ids), {})
            yield len(block.sample_ids)
        content = {"blocks": number + 1, "quarantine": quarantine.to_json()}
        write_durably(self.folder / COMPLETE_FILE, json.dumps(content).encode())

    def load(self, samples: int, quarantine: Quarantine) -> StoredRows:
        """Return the rows for a cohort of ``samples`` samples, and add what was left out to the quarantine."""
        content = json.loads((self.folder / COMPLETE_FILE).read_text())
        quarantine.extend(content["quarantine"])
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
        return StoredRows(values, times, lengths, block_of, start_of, first_hours)

    def _path(self, number: int) -> Path:
        return self.folder / f"block-{number:05d}.safetensors"


def _tensors(block: Block, sample_ids: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Return a block as arrays to store, its samples as indices into the sorted ids of the cohort."""
    unknown = np.full(len(block.lengths), np.nan)
    return {
        "sample": np.searchsorted(sample_ids, block.sample_ids).astype(np.int64),
        "lengths": block.lengths.astype(np.int64),
        "values": block.values.astype(np.float32),
        "time": block.time.astype(np.float32),
        "first_hours": unknown if block.first_hours is None else block.first_hours.astype(np.float64),
    }
