"""One extraction at a time for each cache, also after crashes and between machines."""

import fcntl
import getpass
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from .errors import CacheLockedError


@contextmanager
def cache_lock(cache: Path) -> Iterator[None]:
    """Hold ``<cache>.lock`` while the body runs.

    The operating system frees the lock of a process that died, so on one host a dead owner is taken over with a line on
    standard error. A file system that two hosts share may not tell hosts about each other's locks; there the owner
    written in the file decides.

    Raises
    ------
    CacheLockedError
        If a living process holds the lock, or another host does or did.
    """
    path = cache.with_name(cache.name + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(path)
    try:
        _take_over(path, descriptor)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_owner()).encode(), 0)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = path.read_text(encoding="utf-8")
            os.close(descriptor)
            raise CacheLockedError(
                f"Another extraction is writing this cache: {owner or 'starting'}. Wait for it, or stop it first."
            ) from None
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
        os.close(descriptor)  # its owner has just removed the file that we opened


def _take_over(path: Path, descriptor: int) -> None:
    content = os.pread(descriptor, 4096, 0)
    if not content:
        return
    owner = json.loads(content)
    if owner["host"] != socket.gethostname():
        raise CacheLockedError(
            f"An extraction on {owner['host']} (process {owner['pid']}, {owner['user']}, since {owner['since']}) holds "
            f"this cache. If it no longer runs, remove the lock: rm '{path}'"
        )
    sys.stderr.write(f"Taking over from an extraction that died (process {owner['pid']}, since {owner['since']}).\n")


def _owner() -> dict[str, str | int]:
    return {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
