"""One writer at a time for each cache, run or study, also after crashes and between machines."""

import fcntl
import getpass
import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from .errors import CacheLockedError, LockedError
from .files import real_path, remove
from .layout import EXTRACTION_FILE, MANIFEST_FILE, PARTIAL, staging_path

LONGEST_OWNER = 4096
"""Bytes of a lock that are read."""


@contextmanager
def cache_lock(cache: Path) -> Iterator[None]:
    """Hold ``<cache>.lock`` while the body runs, as :func:`folder_lock`; raises :class:`CacheLockedError`.

    What a writer that was killed left half written, beside the cache or in it, is removed.
    """
    with folder_lock(cache, "an extraction", CacheLockedError):
        cache = real_path(cache)
        remove(staging_path(cache))
        for name in (MANIFEST_FILE, EXTRACTION_FILE):
            remove(cache / (name + PARTIAL))
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
        Or the given ``refusal``, if a living process holds the lock, another host does or did, or the lock cannot be
        read.
    """
    folder = real_path(folder)  # one lock, by whatever name a folder is called
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
            owner = _read_owner(os.pread(descriptor, LONGEST_OWNER, 0))
            os.close(descriptor)
            by = f"{work} on {_owner_text(owner)}" if owner else f"{work} that is starting"
            raise refusal(f"{_quoted(path)} is in use by {by}. Wait for it, or stop it first.") from None
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
        os.close(descriptor)  # its owner has just removed the file that we opened


def _take_over(path: Path, descriptor: int, work: str, refusal: type[LockedError]) -> None:
    content = os.pread(descriptor, LONGEST_OWNER, 0)
    if not content:
        return
    used, clear = f"{_quoted(path)} is in use by {work}", f"remove the lock: rm {shlex.quote(str(path))}"
    owner = _read_owner(content)
    if owner is None:
        raise refusal(f"{used} that cannot be named. If it no longer runs, {clear}")
    if owner["host"] != socket.gethostname():
        raise refusal(f"{used} on {_owner_text(owner)}. If it no longer runs, {clear}")
    sys.stderr.write(f"Taking over from {work} that died (process {owner['pid']}, since {owner['since']}).\n")


def _quoted(path: Path) -> str:
    """Return what a lock is of, as a shell takes it."""
    return shlex.quote(str(path.with_suffix("")))


def _read_owner(content: bytes) -> dict[str, str] | None:
    """Return what a lock says of its owner, None if it cannot be read."""
    try:
        signed = json.loads(content)
        return {key: str(signed[key])[:80] for key in ("host", "pid", "user", "since")}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _owner_text(owner: Mapping[str, str]) -> str:
    since = owner["since"].replace("T", " ").replace("+00:00", " UTC")
    return f"{owner['host']} (process {owner['pid']} of {owner['user']}, since {since})"


def _sign(path: Path, descriptor: int) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_owner()).encode(), 0)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error  # the system does not name an open file


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
