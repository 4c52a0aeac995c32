"""A memo of digests: an unchanged file (same path, size and modification time) is not read again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import polars as pl

from ...cache_schema import digest, digest_file
from ..sealed_file import read_sealed, write_sealed
from ..source import UnreadableItem

FILE_RULE = "file"
FOLDER_RULE = "folder"

SCHEMA = {
    "path": pl.String,
    "rule": pl.String,
    "size": pl.Int64,
    "modified": pl.Int64,
    "digest": pl.String,
    "length": pl.Int64,
    "reason": pl.String,
}


@dataclass(frozen=True)
class Entry:
    """What is known of a file: its state when it was read, and the digest of its content or why there is none."""

    size: int
    modified: int
    digest: str = ""
    length: int = 0
    reason: str = ""


class DigestMemo:
    """Digests by path below ``root`` and rule (how the content was taken from the file), kept in a sealed file.

    ``damaged``: that file was there and could not be used, so that everything is read again.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self._path = path
        self._root = root
        self._used: dict[tuple[str, str], Entry] = {}
        self._known: dict[tuple[str, str], Entry] = {}
        content = read_sealed(path)
        self.damaged = content is None and path.exists()
        if content is not None:
            for name, rule, *entry in pl.read_parquet(BytesIO(content)).iter_rows():
                self._known[name, rule] = Entry(*entry)

    def file(self, path: Path) -> Entry:
        """Return the sha256 of a file's bytes."""
        return self.content(path, FILE_RULE, lambda file: (digest_file(file), 0))

    def content(self, path: Path, rule: str, read: Callable[[Path], tuple[str, int]]) -> Entry:
        """Return digest and length of what ``read`` takes from a file, reading it only if the file changed.

        A file that is missing, or that ``read`` finds unreadable, has no digest but a reason.
        """
        name = self._name(path)
        known = self._used.get((name, rule)) or self._known.get((name, rule))
        size, modified = _state(path)
        if known is None or (known.size, known.modified) != (size, modified):
            known = _read(path, size, modified, read)
        self._used[name, rule] = known
        return known

    def folder(self, path: Path) -> Entry:
        """Return one digest of the contents of a folder's files, by name; files that did not change are not read.

        ``length`` is their number. What lies in folders below is not looked at.
        """
        size, modified = _state(path)  # noted before the files are listed: one that is added meanwhile changes it
        files = [self.file(file) for file in sorted(path.iterdir()) if file.is_file()] if size >= 0 else []
        if reason := "the folder is missing" if size < 0 else next((file.reason for file in files if file.reason), ""):
            entry = Entry(size, modified, reason=reason)
        else:
            entry = Entry(size, modified, digest([file.digest for file in files]), len(files))
        self._used[self._name(path), FOLDER_RULE] = entry
        return entry

    def value(self, name: str, version: str, compute: Callable[[], str]) -> str:
        """Return a digest that is expensive to compute and changes only with ``version``."""
        key = name, version
        known = self._used.get(key) or self._known.get(key) or Entry(-1, -1, compute())
        self._used[key] = known
        return known.digest

    def unchanged(self) -> bool:
        """Return whether every file of the last plan is as it was, missing files still missing."""
        files = ((name, entry) for (name, _), entry in self._known.items() if _is_file(entry))
        states = {name: (entry.size, entry.modified) for name, entry in files}
        return bool(states) and all(_state(self._root / name) == state for name, state in states.items())

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else str(path.absolute())

    @property
    def fingerprint(self) -> str:
        """One digest of all contents used so far, wherever the files lie."""
        return _fingerprint(self._used)

    @property
    def saved_fingerprint(self) -> str:
        """One digest of all contents that the last saved plan used."""
        return _fingerprint(self._known)

    def save(self, *, forget: bool = True) -> None:
        """Write down what this plan used; ``forget`` what it did not, unless it ended before asking for everything."""
        entries = self._used if forget else self._known | self._used
        rows = [
            (name, rule, entry.size, entry.modified, entry.digest, entry.length, entry.reason)
            for (name, rule), entry in entries.items()
        ]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content = BytesIO()
        pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(content)
        write_sealed(self._path, content.getvalue())


def _fingerprint(entries: Mapping[tuple[str, str], Entry]) -> str:
    files = ((rule, entry) for (_, rule), entry in entries.items() if _is_file(entry))
    return digest(sorted([rule, entry.digest, entry.reason] for rule, entry in files))


def _is_file(entry: Entry) -> bool:
    """Tell what was read from a file, or should have been, from values that were computed."""
    return entry.modified >= 0 or bool(entry.reason)


def _state(path: Path) -> tuple[int, int]:
    """Return size and modification time (ns) of a file, -1 and -1 where there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _read(path: Path, size: int, modified: int, read: Callable[[Path], tuple[str, int]]) -> Entry:
    if size < 0:
        return Entry(size, modified, reason="the file is missing")
    try:
        return Entry(size, modified, *read(path))
    except UnreadableItem as error:
        return Entry(size, modified, reason=str(error))
    except OSError as error:
        return Entry(size, modified, reason=f"cannot be read: {error.strerror}")
