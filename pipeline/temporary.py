"""Folders of temporary files, which hold patients' values: what a process that was killed has left is removed.

They lie where Python puts temporary files, in ``TMPDIR`` or else ``/tmp``, readable by their owner alone. A lock that
the system frees when a process ends, however it ends, tells the folders of living processes from the others.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

PREFIX = "omnifuse-work-"
LOCK = "lock"
FILES = "files"


class TemporaryFolder:
    """A folder ``path`` that is there until :meth:`remove`, or until :func:`sweep` after the process has died."""

    def __init__(self) -> None:
        self._outer = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = os.open(self._outer / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.path = self._outer / FILES
        self.path.mkdir()

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        _remove(self._outer)
        os.close(self._lock)


def sweep() -> None:
    """Remove the folders that processes left which were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # that of a living process, or one without a lock: it is made or removed now
            found = folder.lstat()
            if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
                continue  # in a folder that all may write to, somebody could have put a link here
            lock = os.open(folder / LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
            finally:
                os.close(lock)


def _remove(folder: Path) -> None:
    """Remove the files and then the lock: killed in between, it is still told by its lock."""
    shutil.rmtree(folder / FILES, ignore_errors=True)
    (folder / LOCK).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
