"""What can go wrong, as classes that a caller would catch.

Every message names the file, row or value at fault and says what to do. The command line prints the message
alone and exits with ``exit_code``.
"""

import difflib
import re
import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class OmniFuseError(Exception):
    """Base of every error that OmniFuse raises on purpose."""

    exit_code = 2


class InputError(OmniFuseError, ValueError):
    """Something that the user gave is wrong."""


class MissingInputError(InputError, FileNotFoundError):
    """A file, folder, table or column that is needed does not exist."""


class CacheError(OmniFuseError):
    """A feature cache cannot be used as it is."""


class CacheNotFoundError(CacheError, FileNotFoundError):
    """No complete feature cache lies at the path: nothing there, something else, or no manifest yet."""


class UnknownVersionError(CacheError):
    """The cache, or an element of it, was written by a version of the format that this version cannot read."""


class CorruptCacheError(CacheError):
    """Stored bytes differ from what the manifest promises."""


class CacheChangedError(CacheError):
    """The cache was rewritten after it was opened."""


class LockedError(OmniFuseError):
    """Another process works in the same folder."""


class CacheLockedError(CacheError, LockedError):
    """Another extraction holds the cache."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system that names no file name this one: a full disk, for example, is found while writing."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


LONGEST_VALUE = 80
"""Characters of a value in a message; what is longer is cut."""


def shown(value: Any) -> str:
    """Return a value as a message shows it: as Python writes it, cut where it is long or deep."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother, short.maxlong = 2, LONGEST_VALUE, LONGEST_VALUE, LONGEST_VALUE
    text = short.repr(value)
    return text if len(text) <= LONGEST_VALUE + 2 else f"{text[:LONGEST_VALUE]}..."


def unknown(what: str, name: Any, known: Iterable[str]) -> InputError:
    """Return the error of a name that nothing has: what it is the name of, the nearest known one, and all known."""
    names = list(known)
    return InputError(f"Unknown {what} {shown(name)}.{meant(name, names)} Known are: {', '.join(names) or 'none'}.")


def meant(name: Any, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?``, to be put behind a sentence; nothing if no known name is near."""
    names = {known.lower(): known for known in known}
    near = difflib.get_close_matches(str(name).lower(), names, 1)
    return f" Did you mean {shown(names[near[0]])}?" if near else ""


def system_reason(error: Exception) -> str | None:
    """Return what the system says of an error, None if it comes from elsewhere.

    Exceptions of libraries have it in their text alone, and of any class: in Rust ``... No space left on device (os
    error 28)``, of HDF5 ``... error message = 'No space left on device', ...``. Of a footer of Parquet that had no room
    polars tells the kind alone.
    """
    if isinstance(error, OSError) and error.strerror and "error message" not in error.strerror:
        return error.strerror
    if "Invalid thrift: transport error" in str(error):
        return "a Parquet file ends too early, as on a full disk"
    named = re.search(r"(?:^|: )([^:\n]+) \(os error \d+\)|error message = '([^']+)'", str(error))
    return named and (named[1] or named[2])
