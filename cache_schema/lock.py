"""One writer at a time for each cache, run or study, also after crashes and between machines."""

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

from .errors import CacheLockedError, LockedError


@contextmanager
def cache_lock(cache: Path) -> Iterator[None]:
    """Hold ``<cache>.lock`` while the body runs, as :func:`folder_lock`; raises :class:`CacheLockedError`."""
    with folder_lock(cache, "an extraction", CacheLockedError):
        yield


@contextmanager
def folder_lock(folder: Path, work: str, refusal: type[LockedError] = LockedError) -> Iterator[None]:
    """Hold ``<folder>.lock`` while the body runs, which is ``work``, such as "a training".

    The operating system frees the lock of a process that died, so on one host a dead owner is taken over with a line on
    standard error. A file system that two hosts share may not tell hosts about each other's locks; there the owner
    written in the file decides.

    Raises
    ------
    LockedError
        Or the given ``refusal``, if a living process holds the lock, or another host does or did.
    """
    path = folder.with_name(folder.name + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(path, work, refusal)
    try:
        _take_over(path, descriptor, work, refusal)
        try:
            _sign(path, descriptor)
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _acquire(path: Path, work: str, refusal: type[LockedError]) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = path.read_text(encoding="utf-8")
            os.close(descriptor)
            raise refusal(
                f"{path.with_suffix('')} is in use by {work}: {owner or 'starting'}. Wait for it, or stop it first."
            ) from None
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
        os.close(descriptor)  # its owner has just removed the file that we opened


def _take_over(path: Path, descriptor: int, work: str, refusal: type[LockedError]) -> None:
    content = os.pread(descriptor, 4096, 0)
    if not content:
        return
    owner = json.loads(content)
    if owner["host"] != socket.gethostname():
        raise refusal(
            f"{path.with_suffix('')} is in use by {work} on {owner['host']} (process {owner['pid']}, {owner['user']}, "
            f"since {owner['since']}). If it no longer runs, remove the lock: rm '{path}'"
        )
    sys.stderr.write(f"Taking over from {work} that died (process {owner['pid']}, since {owner['since']}).\n")


def _sign(path: Path, descriptor: int) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_owner()).encode(), 0)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error  # the system does not name an open file


def _owner() -> dict[str, str | int]:
    return {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
