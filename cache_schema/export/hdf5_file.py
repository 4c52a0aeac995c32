"""HDF5 files that are written whole, or with one error: the library itself does not bear a full disk."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Hdf5Target(io.FileIO):
    """A file for the HDF5 library to write to, which is also the path of the file.

    The library may crash the process when a write fails, most of all while it closes the file. So the first error is
    kept, nothing is written any more, and :func:`hdf5_target` raises it when the library is done.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+b")
        self._path = str(path)
        self.error: OSError | None = None

    def __fspath__(self) -> str:
        return self._path

    def write(self, data: Any) -> int:
        """Write all of ``data``, or nothing after the first error."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while self.error is None and len(rest):
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return size

    def readinto(self, buffer: Any) -> int:
        """Read what was written; zeros where that failed."""
        room = memoryview(buffer).cast("B")
        found = super().readinto(room) or 0
        room[found:] = bytes(len(room) - found)
        return len(room)

    def truncate(self, size: int | None = None) -> int:
        """Set the size of the file, unless there was an error."""
        try:
            return self.tell() if self.error else super().truncate(size)
        except OSError as error:
            self.error = error
            return self.tell()

    def check(self) -> None:
        """Raise the first error."""
        if self.error is not None:
            raise self.error


@contextmanager
def hdf5_target(path: Path) -> Iterator[Hdf5Target]:
    """Open a new file that :class:`h5py.File` and whatever else takes a path can write to.

    Raises
    ------
    OSError
        If anything could not be written.
    """
    with Hdf5Target(path) as target:
        try:
            yield target
        finally:
            target.check()
