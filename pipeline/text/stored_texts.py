"""Many texts in a file instead of in memory, each found by its digest."""

import os
import weakref
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import BinaryIO

from ..temporary import TemporaryFolder


class StoredTexts(Mapping[str, str]):
    """Texts by the sha256 of their UTF-8, in a temporary file of their owner; each is stored once.

    Memory holds about 200 bytes a text. The file is removed with this object, at the end of the process, or by the next
    extraction if the process was killed.
    """

    def __init__(self) -> None:
        folder = TemporaryFolder()
        self._places: dict[str, tuple[int, int]] = {}
        self._file: BinaryIO = (folder.path / "texts").open("w+b")
        self._end = 0
        weakref.finalize(self, _end, self._file, folder)

    def add(self, text: str) -> str:
        """Store a text, unless it is there, and return its digest."""
        content = text.encode()
        digest = sha256(content).hexdigest()
        if digest not in self._places:
            self._file.write(content)
            self._places[digest] = self._end, len(content)
            self._end += len(content)
        return digest

    def __getitem__(self, digest: str) -> str:
        start, length = self._places[digest]
        self._file.flush()
        return os.pread(self._file.fileno(), length, start).decode()  # several threads may read

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _end(file: BinaryIO, folder: TemporaryFolder) -> None:
    file.close()
    folder.remove()
