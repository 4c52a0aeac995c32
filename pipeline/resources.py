"""Our own files that decide a value, such as tables of variables and lists of codes: part of every key."""

from collections.abc import Iterable
from pathlib import Path

from ..cache_schema import digest_file

CODE = (".py", ".pyc")


def resource_files(folder: Path) -> list[Path]:
    """Return every file right in a folder that is no code; a folder within is one of its own."""
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix not in CODE)


def resource_digests(folders: Iterable[Path]) -> dict[str, str]:
    """Return the digest of every resource file of some folders, by the names of folder and file.

    They are read each time and not looked up in a memo: an installation changes their times, not what they say.
    """
    return {f"{folder.name}/{path.name}": digest_file(path) for folder in folders for path in resource_files(folder)}
