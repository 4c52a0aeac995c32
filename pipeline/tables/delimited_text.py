"""The bytes of a file of text: unpacked, without byte order mark, and refused where they are no UTF-8 or damaged."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

from isal import igzip, isal_zlib

from ...cache_schema import InputError, MissingInputError
from .delimited_blocks import Block, LongLineError

GZIP = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")
DAMAGES = (OSError, EOFError, zlib.error, cast("type[Exception]", isal_zlib.IsalError))


def require_file(path: Path) -> None:
    """Raise :class:`MissingInputError` unless there is such a file."""
    if path.is_dir():
        raise MissingInputError(f"{path} is a folder, as Spark writes them, and no table. Write one file.")
    if not path.is_file():
        raise MissingInputError(f"There is no file {path}.")


@contextmanager
def reading_text(path: Path, content: bytes | None = None) -> Iterator[BinaryIO]:
    """Open a file, or what is read in its place, for its bytes: unpacked if gzip packed them, without byte order mark.

    Raises :class:`InputError` for another encoding, and where the file is cut or damaged while it is read.
    """
    try:
        with path.open("rb") if content is None else BytesIO(content) as raw:
            packed = raw.read(len(GZIP)) == GZIP
            raw.seek(0)
            file = cast("BinaryIO", igzip.IGzipFile(fileobj=raw) if packed else raw)
            begin = file.read(len(BYTE_ORDER_MARK))
            if begin.startswith(OTHER_ENCODINGS):
                raise InputError(f"{path} is UTF-16 (Excel's 'Unicode text'). Save it as CSV in UTF-8.")
            if begin != BYTE_ORDER_MARK:
                file.seek(0)
            yield file
    except LongLineError as error:
        raise InputError(f"{path}: {error}. Is it a table?") from error
    except DAMAGES as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"{path} cannot be read: {reason}. The file is cut or damaged; get it again.") from error


def decoded(block: Block, path: Path, lossy: bool) -> list[str]:
    """Return the lines of a block; raises :class:`InputError` with the line of a byte that is no text."""
    try:
        lines = list(block.physical_lines("replace" if lossy else "strict"))
    except UnicodeDecodeError as error:
        line = block.line + block.content.count(b"\n", 0, error.start)
        byte = block.content[error.start]
        raise InputError(
            f"{path}, line {line}: the byte 0x{byte:02x} is no UTF-8 (of Latin-1, perhaps). Save the table in UTF-8."
        ) from error
    if b"\0" in block.content:
        line = block.line + block.content.count(b"\n", 0, block.content.index(b"\0"))
        raise InputError(f"{path}, line {line} holds a zero byte: the file is UTF-16, or damaged. Save it in UTF-8.")
    return lines
