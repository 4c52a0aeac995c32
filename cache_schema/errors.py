"""What can go wrong, as classes that a caller would catch.

Every message names the file, row or value at fault and says what to do. The command line prints the message
alone and exits with ``exit_code``.
"""

import re


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


class CacheLockedError(CacheError):
    """Another extraction holds the cache."""


def system_reason(error: Exception) -> str | None:
    """Return what the system says of an error, None if it comes from elsewhere.

    Exceptions of libraries in Rust have it in their text alone: ``No space left on device (os error 28)``.
    """
    named = re.search(r"(?:.*: )?(.+) \(os error \d+\)", str(error))
    return (isinstance(error, OSError) and error.strerror) or (named[1] if named else None)
