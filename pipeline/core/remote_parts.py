"""Parts that other machines leave at a URL, such as s3://bucket/folder, because they share no disk with this one."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...cache_schema import CorruptCacheError, InputError
from .parts import SUFFIX, Part, PartStore, Rows, part_content, part_name


@dataclass(frozen=True)
class RemoteParts:
    """The parts of one recipe at ``url``, through fsspec; they are copied to a :class:`PartStore` and stay there."""

    url: str

    @classmethod
    def of(cls, store: PartStore, url: str) -> RemoteParts:
        """Return where the parts of a store's recipe are below ``url``; raises as :meth:`fetch_all`."""
        remote = cls(f"{url.rstrip('/')}/{store.folder.name}")
        remote._open()
        return remote

    def write(self, part: Sequence[str], rows: Sequence[Rows], failed: Mapping[str, str]) -> None:
        """Write a part as :meth:`PartStore.write` does; it appears at once, or not at all."""
        files, folder = self._open()
        files.makedirs(folder, exist_ok=True)
        name = part_name(part)
        files.pipe_file(posixpath.join(folder, f"{name}.partial"), part_content(part, rows, failed))
        files.mv(posixpath.join(folder, f"{name}.partial"), posixpath.join(folder, name))

    def fetch(self, part: Part, store: PartStore) -> None:
        """Copy one part that has just been left; raises :class:`CorruptCacheError` if it arrives damaged."""
        if not self._copy(part_name(part), store):
            raise CorruptCacheError(f"{self.url}: {part_name(part)} is damaged. Run the same command again.")

    def fetch_all(self, store: PartStore) -> None:
        """Copy the parts that the store does not have, except damaged ones.

        Raises
        ------
        InputError
            If the URL cannot be read; the message says why, a missing package included.
        """
        files, folder = self._open()
        try:
            names = [posixpath.basename(path) for path in files.ls(folder, detail=False)]
        except FileNotFoundError:
            return
        except OSError as error:
            raise InputError(f"--parts {self.url} cannot be read: {error}.") from error
        for name in sorted(names):
            if name.endswith(SUFFIX) and not (store.folder / name).exists():
                self._copy(name, store)

    def _copy(self, name: str, store: PartStore) -> bool:
        files, folder = self._open()
        return store.take(name, files.cat_file(posixpath.join(folder, name)))

    def _open(self) -> tuple[Any, str]:
        """Return the file system of the URL and the path in it."""
        from fsspec.core import url_to_fs

        try:
            opened: tuple[Any, str] = url_to_fs(self.url)
        except (ImportError, ValueError, OSError) as error:
            raise InputError(f"--parts {self.url} cannot be opened: {error}.") from error
        return opened
