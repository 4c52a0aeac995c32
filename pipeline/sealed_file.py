"""Small files that begin with a checksum of the rest: they are read as they were written, or not at all."""

from hashlib import sha256
from pathlib import Path

from ..cache_schema import write_durably


def write_sealed(path: Path, content: bytes) -> None:
    """Write a file so that :func:`read_sealed` notices any change of it."""
    write_durably(path, _seal(content) + content)


def read_sealed(path: Path) -> bytes | None:
    """Return what was written, None where there is no such file or one that is damaged."""
    try:
        whole = path.read_bytes()
    except FileNotFoundError:
        return None
    content = whole.partition(b"\n")[2]
    return content if whole == _seal(content) + content else None


def _seal(content: bytes) -> bytes:
    return sha256(content).hexdigest().encode() + b"\n"
