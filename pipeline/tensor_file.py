"""Named arrays in one safetensors file that is there whole or not at all, checksummed, and read as memory maps."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from ..cache_schema import CorruptCacheError, digest, write_durably

DTYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I64": np.int64}
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}

DESCRIPTION = "description_sha256"
"""What says of which shape the arrays are has a checksum of its own, so that no array need be read for it."""

DAMAGES = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What damaged bytes raise where they are read as a header."""


class DamagedFilesError(CorruptCacheError):
    """``count`` files of encoded or computed rows were damaged and have been removed; they can be made again."""

    def __init__(self, folder: Path, count: int) -> None:
        super().__init__(
            f"{count} damaged files in {folder} have been removed. Run the same command again to make them anew; if "
            "that does not help, the disk is failing."
        )
        self.folder, self.count = folder, count


def write_tensors(path: Path, tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write float or int64 arrays with string metadata and checksums over all of it."""
    write_durably(path, tensor_bytes(tensors, metadata))


def tensor_bytes(tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Return what :func:`write_tensors` writes."""
    arrays = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    described = {name: (NAMES[array.dtype], array.shape) for name, array in arrays.items()}
    metadata = {**metadata, "sha256": _checksum(arrays)}
    content: bytes = save(arrays, {**metadata, DESCRIPTION: _describe(metadata, described)})
    return content


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata without reading the arrays; raises :class:`CorruptCacheError` if it or the size is wrong."""
    with _undamaged(path):
        return _header(path)[0]


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, npt.NDArray[Any]]]:
    """Return metadata and arrays, the arrays as read-only memory maps.

    Raises
    ------
    CorruptCacheError
        If anything is not as it was written.
    """
    with _undamaged(path):
        metadata, places = _header(path)
        tensors = {name: _memory_map(path, place) for name, place in places.items()}
        if _checksum(tensors) != metadata["sha256"]:
            raise ValueError("the arrays do not have their checksum")
    return metadata, tensors


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, *DAMAGES) as error:
        raise CorruptCacheError(f"{path} is missing or damaged.") from error


def _header(path: Path) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Return the metadata of a safetensors file, and for each tensor its type, shape and place in the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(min(length, size)))
    metadata = header.pop("__metadata__")
    described = {name: (place["dtype"], place["shape"]) for name, place in header.items()}
    if metadata.pop(DESCRIPTION, None) not in (None, _describe(metadata, described)):  # older files have none
        raise ValueError("the description does not have its checksum")
    if size != 8 + length + max(place["data_offsets"][1] for place in header.values()):
        raise ValueError("the file is cut")
    for place in header.values():
        place["start"] = 8 + length + place["data_offsets"][0]
    return metadata, header


def _memory_map(path: Path, place: Mapping[str, Any]) -> npt.NDArray[Any]:
    dtype, shape = DTYPES[place["dtype"]], tuple(place["shape"])
    if 0 in shape:
        return np.empty(shape, dtype)  # an empty region cannot be mapped
    return np.memmap(path, dtype=dtype, mode="r", offset=place["start"], shape=shape).view(np.ndarray)


def _describe(metadata: Mapping[str, str], described: Mapping[str, Any]) -> str:
    return digest({"metadata": dict(metadata), "arrays": dict(described)})


def _checksum(tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    checksum = hashlib.sha256()
    for name in sorted(tensors):
        checksum.update(np.ascontiguousarray(tensors[name]).data)
    return checksum.hexdigest()
