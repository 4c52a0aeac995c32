"""Rows of an array straight from its chunk files into their place, in several threads.

Zarr copies a chunk three times on its way. Here an uncompressed one is read from the disk to where its rows belong.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from numcodecs.zstd import Zstd
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from .checked_store import CheckedStore

READERS = 8
"""Threads that read, compare and decode chunks: a disk answers several at once, and sha256 takes longest of all."""

CRC_BYTES = 4
"""Behind an uncompressed chunk. What has the sha256 of the manifest needs no second checksum."""

LITTLE_ENDIAN = BytesCodec(endian="little")

Rows = npt.NDArray[Any]


@dataclass(frozen=True)
class RowChunks:
    """The chunks of an array ``[R, D]``, each of them ``array.chunks[0]`` rows, at ``path`` in a store."""

    store: CheckedStore
    path: str
    array: zarr.Array

    def fill(self, numbers: npt.NDArray[np.int64], into: Rows) -> Iterator[slice]:
        """Read the rows with the given rising numbers ``[n]`` into ``into`` ``[n, D]``.

        Yields which part of ``into`` is there, one after the other. Chunks without any of the rows are not read.

        Raises
        ------
        CacheError
            If the bytes of a chunk are not what the manifest promises.
        ValueError
            If they are not as many as the array says.
        """
        height = self.array.chunks[0]
        edges = np.searchsorted(numbers, np.arange(0, self.array.shape[0] + height, height))

        def read(chunk: int) -> slice:
            """Read what is wanted of a chunk and return where it lies now."""
            part = slice(edges[chunk], edges[chunk + 1])
            if part.stop - part.start == height:
                self._read(chunk, into[part])
            else:
                whole = np.empty((height, self.array.shape[1]), self.array.dtype)
                self._read(chunk, whole)
                np.take(whole, numbers[part] - chunk * height, axis=0, out=into[part], mode="clip")  # all are within
            return part

        with ThreadPoolExecutor(READERS) as threads:
            yield from threads.map(read, np.flatnonzero(np.diff(edges)).tolist())

    def _read(self, chunk: int, into: Rows) -> None:
        """Read a chunk into ``[chunk rows, D]``; what stands there beyond the last row of the array means nothing."""
        array, height = self.array, len(into)
        key = f"{self.path}/{array.metadata.encode_chunk_key((chunk, 0))}"
        match array.metadata.codecs if array.chunks[1] == array.shape[1] else ():
            case (bytes_codec, Crc32cCodec()) if bytes_codec == LITTLE_ENDIAN:
                self.store.read_into(key, into.data.cast("B"), bytearray(CRC_BYTES))
            case (bytes_codec, ZstdCodec()) if bytes_codec == LITTLE_ENDIAN:
                content = Zstd().decode(self.store.read(key))
                into[...] = np.frombuffer(content, array.dtype).reshape(into.shape)
            case _:  # as no writer of ours does, but one may
                rows = array[chunk * height : (chunk + 1) * height]
                into[: len(rows)] = rows
