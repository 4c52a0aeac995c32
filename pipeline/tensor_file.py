"""Named arrays in one safetensors file that is there whole or not at all, checksummed, and read as memory maps."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from ..cache_schema import CorruptCacheError, write_durably

DTYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I64": np.int64}


def write_tensors(path: Path, tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write float or int64 arrays with string metadata and a checksum over all of them."""
    write_durably(path, tensor_bytes(tensors, metadata))


def tensor_bytes(tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Return what :func:`write_tensors` writes."""
    arrays = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    content: bytes = save(arrays, {**metadata, "sha256": _checksum(arrays)})
    return content


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata without reading the arrays."""
    return _header(path)[0]


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, npt.NDArray[Any]]]:
    """Return metadata and arrays, the arrays as read-only memory maps.

    Raises
    ------
    CorruptCacheError
        If the arrays do not have their checksum; the file is removed, so that the next run makes it again.
    """
    metadata, places = _header(path)
    tensors = {name: _memory_map(path, place) for name, place in places.items()}
    if _checksum(tensors) != metadata["sha256"]:
        path.unlink()
        raise CorruptCacheError(f"{path} was damaged and has been removed. Run the same command again.")
    return metadata, tensors


def _header(path: Path) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Return the metadata of a safetensors file, and for each tensor its type, shape and place in the file."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__")
    for place in header.values():
        place["start"] = 8 + length + place["data_offsets"][0]
    return metadata, header


def _memory_map(path: Path, place: Mapping[str, Any]) -> npt.NDArray[Any]:
    dtype, shape = DTYPES[place["dtype"]], tuple(place["shape"])
    if 0 in shape:
        return np.empty(shape, dtype)  # an empty region cannot be mapped
    return np.memmap(path, dtype=dtype, mode="r", offset=place["start"], shape=shape)


def _checksum(tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    checksum = hashlib.sha256()
    for name in sorted(tensors):
        checksum.update(np.ascontiguousarray(tensors[name]).data)
    return checksum.hexdigest()
