"""Where everything lies in a cache, and how its arrays are stored on disk.

The reasons for codecs, fill values and chunk sizes are measured facts about zarr: uncompressed float16 embeddings read
several times faster and compress by a tenth at most; without a checksum codec a flipped bit is returned as data; an
array of NaN fill values cannot be mistaken for real zeros.
"""

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from .errors import InputError

SCHEMA_VERSION = 2
"""Since 2 tasks may be of quantities and of times to an event, and say how far before t0 their inputs reach."""
READ_VERSIONS = (1, 2)
ELEMENT_VERSION = 1

ATTRIBUTE = "omnifuse"
"""Every group that means something carries its description in this attribute."""

SAMPLES = "samples"
MODALITIES = "modalities"
TASKS = "tasks"
SPLITS = "splits"
QUARANTINE = "quarantine"
QUARANTINE_COUNTS = "quarantine_counts"
COUNTS = "counts"

MANIFEST_FILE = "manifest.json"
EXTRACTION_FILE = "extraction.json"
METADATA_FILE = "zarr.json"
PARTIAL = ".partial"
"""Ends the name of what is being written."""

LONGEST_NAME = 200
"""Bytes; file systems hold 255, of which ``__valid`` and temporary names need some."""

CHUNK_BYTES = 4 << 20
SHARDS: tuple[int, ...] | None = None
"""Sharding stays off: every serious way of losing data in zarr 3 goes through a shard."""

ZSTD_LEVEL = 3


def chunk_rows(rows: int, row_bytes: int) -> int:
    """Return how many rows a chunk holds: a power of two near ``CHUNK_BYTES``, but never more than there are."""
    fitting = max(1, CHUNK_BYTES // max(1, row_bytes))
    return max(1, min(rows, 1 << (fitting.bit_length() - 1)))


def create_array(group: zarr.Group, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike | type[str]) -> zarr.Array:
    """Create an array at its final shape, with the codecs that the format asks for.

    float16 (embeddings) is stored uncompressed with a crc32c for each chunk, everything else zstd with a checksum.
    """
    if dtype is str:
        row_bytes, codecs = 64, {"compressors": ZstdCodec(level=ZSTD_LEVEL, checksum=True)}
    else:
        numpy_type = np.dtype(dtype)
        row_bytes = numpy_type.itemsize * int(np.prod(shape[1:], dtype=np.int64))
        codecs = _codecs(numpy_type)
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(chunk_rows(shape[0], row_bytes), *(max(1, size) for size in shape[1:])),
        shards=SHARDS,
        config={"write_empty_chunks": True},
        **codecs,
    )


def _codecs(dtype: np.dtype[Any]) -> dict[str, Any]:
    fill = {"fill_value": np.nan} if dtype.kind == "f" else {}
    if dtype == np.float16:
        return {"compressors": Crc32cCodec(), **fill}
    return {"compressors": ZstdCodec(level=ZSTD_LEVEL, checksum=True), **fill}


def staging_path(cache: Path) -> Path:
    """Return the folder in which a cache is laid out before it is put in its place."""
    return cache.with_name(cache.name + PARTIAL)


def check_name(name: str, what: str) -> None:
    """Raise :class:`InputError` unless a part of a cache, such as a modality, can have this name.

    It becomes a folder: zarr takes a slash, or a backslash, for another folder, and ``zarr.json`` for its own file.
    """
    if not name or name in {".", "..", METADATA_FILE} or set(name) & set("/\\\0") or len(name.encode()) > LONGEST_NAME:
        raise InputError(
            f"{what} {name[:80]!r} cannot be stored under this name: at most {LONGEST_NAME} bytes, no slash, no "
            "backslash."
        )


def modality_path(name: str) -> str:
    """Return the path of a modality's group inside the cache."""
    return str(PurePosixPath(MODALITIES) / name)


def task_path(name: str) -> str:
    """Return the path of a task's group inside the cache."""
    return str(PurePosixPath(TASKS) / name)
