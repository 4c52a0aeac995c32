"""One HDF5 file a sample with any number of rows, such as the patches of a slide: ``FOLDER/<sample_id>.h5``."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ....cache_schema import InputError
from ....cache_schema.export.exported import HDF5_ENDINGS
from ....cache_schema.export.guarded import open_hdf5
from ...source import Block, Quarantine, TableModality, UnreadableItem
from ...tables.feature_files import DAMAGES, SAMPLE_ID, STAGE
from ...tables.sample_table import SampleTable
from .matrix_files import dataset_of
from .tables import UNKNOWN_SAMPLE

DATASETS = ("features", "feats")
NOT_FINITE = "holds a value that is not finite in float16"

BLOCK_BYTES = 64 << 20
"""Samples are handed on together up to about this size, so that memory does not grow with their number."""

Rows = npt.NDArray[np.float32]


def is_finite_embedding(values: Rows) -> npt.NDArray[np.bool_]:
    """Return which rows ``[R]`` of ``[R, D]`` a cache can hold: embeddings are float16, and none of it unknown."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(values.astype(np.float16))  # [R, D]
    return np.asarray(finite.all(axis=1))


@dataclass(frozen=True)
class ItemFeatures:
    """A folder of HDF5 files; ``part`` is the dataset ``[rows, D]`` or ``[D]``, one of ``DATASETS`` unless named."""

    path: Path
    part: str = ""

    def files(self) -> tuple[Path, ...]:
        """Return the files; raises :class:`InputError` if there are none."""
        found = tuple(sorted(path for path in self.path.iterdir() if path.suffix.lower() in HDF5_ENDINGS))
        if not found:
            raise InputError(f"{self.path} holds no files SAMPLE_ID.h5, one for each sample.")
        return found

    def modality(self, name: str, samples: SampleTable) -> TableModality:
        """Return the rows of the samples that have a file; files that cannot be used are quarantined."""
        recipe = {"part": self.part} if self.part else {}
        files = self.files()
        return TableModality(
            name, "embedding", (), "one row of a sample's file", recipe, files, partial(self._blocks, samples)
        )

    def _blocks(self, samples: SampleTable, quarantine: Quarantine) -> Iterator[Block]:
        pending: list[tuple[int, Rows]] = []
        size = 0
        for sample, rows in self._readable(samples, quarantine):
            pending.append((sample, rows))
            size += rows.nbytes
            if size >= BLOCK_BYTES:
                yield _block(pending, samples)
                pending, size = [], 0
        if pending:
            yield _block(pending, samples)

    def _readable(self, samples: SampleTable, quarantine: Quarantine) -> Iterator[tuple[int, Rows]]:
        """Yield index and rows of each sample whose file can be used."""
        first: tuple[Path, int] | None = None
        reason = f"it is not named by a {SAMPLE_ID}"
        for path, sample in self._known(samples, quarantine):
            try:
                rows = self._rows(path)
            except UnreadableItem as error:
                reason = str(error)
                quarantine.add(STAGE, self.path.name, path.name, "", reason)
                continue
            first = first or (path, rows.shape[1])
            if rows.shape[1] != first[1]:
                raise InputError(
                    f"{path} has {rows.shape[1]} columns, {first[0].name} has {first[1]}. The rows of a modality come "
                    "from one encoder; put the files of another one into a folder of their own."
                )
            yield sample, rows
        if first is None:
            files = self.files()
            raise InputError(
                f"{self.path}: none of the {len(files)} files can be used, such as {files[-1].name}: {reason}."
            )

    def _known(self, samples: SampleTable, quarantine: Quarantine) -> Iterator[tuple[Path, int]]:
        """Yield the files that are named by the id of a sample, with the index of that."""
        index = {text: place for place, text in enumerate(samples.texts)}
        seen: set[str] = set()
        for path in self.files():
            if path.stem in index and path.stem not in seen:
                seen.add(path.stem)
                yield path, index[path.stem]
            else:
                reason = "the sample has two files" if path.stem in seen else UNKNOWN_SAMPLE
                quarantine.add(STAGE, self.path.name, path.name, "", reason)

    def _rows(self, path: Path) -> Rows:
        """Return the rows ``[R, D]`` of a file; raises :class:`UnreadableItem` with a reason that does not name it."""
        try:
            with open_hdf5(path) as file:
                dataset = dataset_of(file, [self.part] if self.part else DATASETS, path)
                shape, kind = dataset.shape, dataset.dtype.kind
                values = dataset[()]
        except InputError as error:
            raise UnreadableItem(str(error).removeprefix(str(path)).lstrip(": ").rstrip(".")) from error
        except DAMAGES as error:
            raise UnreadableItem("cannot be read") from error
        if kind not in "fiu" or shape is None or len(shape) not in (1, 2):
            raise UnreadableItem("the dataset is no matrix of numbers")
        if 0 in shape:
            raise UnreadableItem("holds no rows")
        with np.errstate(over="ignore"):
            rows = np.atleast_2d(values).astype(np.float32)
        if not is_finite_embedding(rows).all():
            raise UnreadableItem(NOT_FINITE)
        return rows


def _block(items: list[tuple[int, Rows]], samples: SampleTable) -> Block:
    """Return the rows of some samples; none of them has a time."""
    index = np.array([sample for sample, _ in items])
    lengths = np.array([len(rows) for _, rows in items], dtype=np.int64)
    time = np.full(lengths.sum(), np.nan, dtype=np.float32)
    return Block(samples.frame[SAMPLE_ID].to_numpy()[index], lengths, np.concatenate([rows for _, rows in items]), time)
