"""Files of arrays that others wrote: they can neither reach into other files nor claim more than they hold."""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

ALWAYS_READ = 512 << 20
"""Bytes that an array may take in memory whatever the size of its file."""
MOST_TIMES = 200
"""A larger one may be so many times as large as its file; real matrices, sparse ones too, compress less."""
MOST_COLUMNS = 1_000_000


def check_claim(path: Path, what: str, claimed: int) -> None:
    """Raise :class:`InputError` if so many bytes cannot be meant by a file of its size, before memory is taken."""
    held = path.stat().st_size
    if claimed > max(ALWAYS_READ, MOST_TIMES * held):
        raise InputError(
            f"{path}: {what} claims {_size(claimed)}, but the file has {_size(held)}. What takes more than "
            f"{_size(ALWAYS_READ)} and {MOST_TIMES} times its file is not read: if it is whole, take fewer columns."
        )


def to_dense(cells: Any) -> npt.NDArray[Any]:
    """Return an array or a sparse matrix as an array; raises ValueError if the latter points outside itself."""
    from scipy.sparse import issparse  # slow to import, and most commands read no sparse matrix

    if issparse(cells):
        cells.check_format(full_check=True)  # the conversion itself would write there
        return np.asarray(cells.toarray())
    return np.asarray(cells)


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open an HDF5 file to read it.

    Raises
    ------
    InputError
        If the file has links to other files or keeps data there, or a dataset claims more than the file can hold.
    OSError, RuntimeError
        If the file is damaged.
    """
    import h5py

    with h5py.File(path, "r") as file:
        _refuse_outside_links(file, path)
        file.visititems(lambda _, node: _check_dataset(node, path) if isinstance(node, h5py.Dataset) else None)
        yield file


def _refuse_outside_links(file: Any, path: Path) -> None:
    import h5py

    inside = (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT)
    found = file.id.links.visit(lambda name, link: None if link.type in inside else name, info=True)
    if found is not None:
        raise _outside(path, found.decode(errors="replace"))


def _check_dataset(dataset: Any, path: Path) -> None:
    if dataset.external or (
        dataset.is_virtual and any(source.file_name != "." for source in dataset.virtual_sources())
    ):
        raise _outside(path, dataset.name)
    check_claim(path, dataset.name, math.prod(dataset.shape or ()) * dataset.dtype.itemsize)


def _outside(path: Path, name: str) -> InputError:
    return InputError(f"{path}: {name[:80]} lies in another file, which is not followed. Put the data into this one.")


@dataclass(frozen=True)
class NpzArray:
    """An array of an NPZ file, read when it is sliced."""

    archive: zipfile.ZipFile
    member: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        with self.archive.open(self.member) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False)[index])


class Npz:
    """An open NPZ file, of which only the arrays are read that are asked for."""

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._archive = archive
        self._path = path
        self.names = [name.removesuffix(".npy") for name in archive.namelist()]

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> NpzArray:
        """Return an array; raises :class:`InputError` if it claims more than the file holds."""
        member = self._archive.getinfo(f"{name}.npy")
        check_claim(self._path, name, member.file_size)
        with self._archive.open(member) as file:
            shape, dtype = _header(file)
            if dtype.hasobject:
                raise InputError(f"{self._path}: {name} holds objects of Python, which are never loaded. Write texts.")
            size = math.prod(shape) * dtype.itemsize
            if min(shape, default=0) < 0 or size != member.file_size - file.tell():
                raise InputError(
                    f"{self._path}: {name} has the shape {str(shape)[:80]} of {str(dtype)[:80]}, which its "
                    f"{_size(member.file_size)} do not hold."
                )
        return NpzArray(self._archive, member.filename, shape, dtype)


@contextmanager
def open_npz(path: Path) -> Iterator[Npz]:
    """Open an NPZ file to read it; raises zipfile.BadZipFile if it is damaged."""
    with zipfile.ZipFile(path) as archive:
        yield Npz(archive, path)


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of the array that begins here, and stay behind its header."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _size(count: int) -> str:
    return f"{count / (1 << 30):,.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):,.1f} MiB"
