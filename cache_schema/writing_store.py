"""A zarr store on the disk in which nothing is written any more once a write has failed.

Zarr writes several chunks at a time. If one fails it says so at once, while others are still under way: they would
then write into a folder that is being removed, or report its absence instead of the full disk.
"""

import asyncio
from pathlib import Path

from zarr.core.buffer import Buffer
from zarr.storage import LocalStore


class WritingStore(LocalStore):  # type: ignore[misc]  # zarr is not typed for us
    """A folder that is written file by file; the first error is that of every later write.

    Parameters
    ----------
    root
        The folder; a path is never taken for an address, whatever it is called.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self._one_at_a_time = asyncio.Lock()
        self._error: OSError | None = None

    async def set(self, key: str, value: Buffer) -> None:
        """Write a file; raises OSError."""
        await self._write(key, value, exclusive=False)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a file unless it is there; raises OSError."""
        await self._write(key, value, exclusive=True)

    async def _write(self, key: str, value: Buffer, exclusive: bool) -> None:
        async with self._one_at_a_time:
            if self._error is not None:
                raise self._error
            try:
                await (super().set_if_not_exists if exclusive else super().set)(key, value)
            except OSError as error:
                self._error = error
                raise
