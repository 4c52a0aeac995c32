"""The files of a cache: whether one is what was promised, and that it outlives a power cut."""

import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .errors import naming
from .recipe import digest_file

FLUSHERS = 8
"""Threads that flush files: the file system writes what several ask for at once."""

DIFFERENT = "differs from what was written (sha256)"

MEND = "To lay the cache out anew, remove its manifest.json and run the same `omnifuse extract` again."
"""A later extraction looks at the sizes of chunks only; without the manifest it trusts nothing that is there."""


@dataclass(frozen=True)
class StoredFile:
    """Size and sha256 of one file."""

    bytes: int
    sha256: str


def real_path(path: Path) -> Path:
    """Return the absolute path without links, so that what is written beside a cache lies on its disk."""
    return Path(os.path.realpath(path))


def quick_problem(root: Path, name: str, stored: StoredFile) -> str | None:
    """Return what is wrong with a file without reading it: missing, a link, or another size than was written.

    ``root`` is the real path of the cache. A cache holds no links: one could lead to anything outside of it.
    """
    file = root / name
    if os.path.realpath(file) != str(file):
        return "is a link, or lies below one"
    if not file.is_file():
        return "is missing"
    size = file.stat().st_size
    return None if size == stored.bytes else f"has {size} bytes instead of {stored.bytes}"


def problem(root: Path, name: str, stored: StoredFile) -> str | None:
    """Return what is wrong with a file, whose bytes are read if nothing else is."""
    quick = quick_problem(root, name, stored)
    if quick:
        return quick
    return None if digest_file(root / name) == stored.sha256 else DIFFERENT


def entries_below(root: Path) -> Iterator[Path]:
    """Yield every file and every link below a folder; links are not followed."""
    for folder, folders, files in os.walk(root):
        yield from (Path(folder) / name for name in files)
        yield from (path for name in folders if (path := Path(folder) / name).is_symlink())


def remove(path: Path) -> None:
    """Remove a file, a link (not what it leads to) or a folder; nothing if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_durably(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file under a temporary name, flush it to disk and rename it into place.

    ``mode``: who may do what with it, less what the process forbids.
    """
    partial = path.with_name(path.name + ".partial")
    with naming(partial):
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    partial.replace(path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Flush a file, or a folder's own entries, to disk, so that it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_below(folders: Iterable[Path]) -> None:
    """Flush folders with everything below them."""
    paths = [Path(inner, name) for folder in folders for inner, _, files in os.walk(folder) for name in ("", *files)]
    with ThreadPoolExecutor(FLUSHERS) as threads:
        list(threads.map(flush, paths))
