"""One extraction at a time for each cache, also after crashes and between machines."""

import fcntl
import getpass
import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from .errors import CacheLockedError
from .files import real_path, remove
from .layout import EXTRACTION_FILE, MANIFEST_FILE, PARTIAL, staging_path

LONGEST_OWNER = 4096
"""Bytes of a lock that are read."""


@contextmanager
def cache_lock(cache: Path) -> Iterator[None]:
    """Hold ``<cache>.lock`` while the body runs.

    The operating system frees the lock of a process that died, so on one host a dead owner is taken over with a line on
    standard error. A file system that two hosts share may not tell hosts about each other's locks; there the owner
    written in the file decides. What a writer that was killed left half written, beside the cache or in it, is removed.

    Raises
    ------
    CacheLockedError
        If a living process holds the lock, another host does or did, or the lock cannot be read.
    """
    cache = real_path(cache)  # one lock, by whatever name a cache is called
    path = cache.with_name(cache.name + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(path)
    try:
        _take_over(path, descriptor)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_owner()).encode(), 0)
        try:
            _sweep(cache)
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _sweep(cache: Path) -> None:
    remove(staging_path(cache))
    for name in (MANIFEST_FILE, EXTRACTION_FILE):
        remove(cache / (name + PARTIAL))


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, LONGEST_OWNER, 0).decode(errors="replace")
            os.close(descriptor)
            raise CacheLockedError(
                f"Another extraction is writing this cache: {owner or 'starting'}. Wait for it, or stop it first."
            ) from None
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
        os.close(descriptor)  # its owner has just removed the file that we opened


def _take_over(path: Path, descriptor: int) -> None:
    content = os.pread(descriptor, LONGEST_OWNER, 0)
    if not content:
        return
    clear = f"If it no longer runs, remove the lock: rm {shlex.quote(str(path))}"
    try:
        owner = {key: str(json.loads(content)[key])[:80] for key in ("host", "pid", "user", "since")}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CacheLockedError(f"An extraction that cannot be named holds this cache. {clear}") from None
    if owner["host"] != socket.gethostname():
        raise CacheLockedError(
            f"An extraction on {owner['host']} (process {owner['pid']}, {owner['user']}, since {owner['since']}) holds "
            f"this cache. {clear}"
        )
    sys.stderr.write(f"Taking over from an extraction that died (process {owner['pid']}, since {owner['since']}).\n")


def _owner() -> dict[str, str | int]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user that has no name
        user = str(os.getuid())
    return {
        "user": user,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
