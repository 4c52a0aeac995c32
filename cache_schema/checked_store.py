"""A zarr store that gives out nothing but what the manifest promises: every byte is compared before zarr sees it.

Zarr takes a chunk that is missing for fill values, one that was swapped for data, and an edited shape for the truth.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype

from .errors import CacheError, CorruptCacheError
from .files import DIFFERENT, MEND, StoredFile, quick_problem, real_path
from .layout import METADATA_FILE


class CheckedStore(Store):  # type: ignore[misc]  # zarr is not typed for us
    """The files of a cache, each compared in size and sha256 whenever it is read; raises `CorruptCacheError`.

    A group or array that the manifest does not list does not exist; to ask for a chunk that it does not list is an
    error. Checksums are computed in the threads that read, while zarr decodes other chunks.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = False

    def __init__(self, root: Path, files: Mapping[str, StoredFile]) -> None:
        super().__init__(read_only=True)
        self._root = real_path(root)
        self._files = files

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CheckedStore) and (self._root, self._files) == (other._root, other._files)

    __hash__ = None  # type: ignore[assignment]

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return a file, None for a group or array that the manifest does not list."""
        if byte_range is not None:
            raise CorruptCacheError(f"{self._root / key} is stored in shards, which no cache is. {MEND}")
        if key not in self._files and key.rpartition("/")[2] == METADATA_FILE:
            return None
        return prototype.buffer.from_bytes(await asyncio.to_thread(self.read, key))

    def read(self, key: str) -> bytearray:
        """Return the content of a file."""
        content = bytearray(self._stored(key).bytes)
        self.read_into(key, content)
        return content

    def read_into(self, key: str, *buffers: bytearray | memoryview) -> None:
        """Fill buffers, one after the other, with the content of a file; if it is refused they hold anything."""
        file, stored, content = self._root / key, self._stored(key), hashlib.sha256()
        try:
            problem = quick_problem(self._root, key, stored)
            if problem is None:
                with file.open("rb") as opened:
                    for buffer in buffers:
                        opened.readinto(buffer)
                        content.update(buffer)
        except OSError as error:
            raise CacheError(f"{file} cannot be read: {error.strerror}.") from error
        if problem is None and content.hexdigest() != stored.sha256:
            problem = DIFFERENT
        if problem:
            raise CorruptCacheError(f"{file} {problem}. {MEND}")

    def _stored(self, key: str) -> StoredFile:
        stored = self._files.get(key)
        if stored is None:
            raise CorruptCacheError(f"The manifest does not list {self._root / key}. {MEND}")
        return stored

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return several files."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        """Return whether the manifest lists a file."""
        return key in self._files

    async def set(self, key: str, value: Buffer) -> NoReturn:
        """Refuse: a cache is written by :class:`.StagedCache`."""
        raise NotImplementedError

    async def delete(self, key: str) -> NoReturn:
        """Refuse, as :meth:`set`."""
        raise NotImplementedError

    def list(self) -> AsyncIterator[str]:
        """Refuse: the manifest says what there is."""
        raise NotImplementedError

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Refuse, as :meth:`list`."""
        raise NotImplementedError

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Refuse, as :meth:`list`."""
        raise NotImplementedError
