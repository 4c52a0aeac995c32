"""Blocks of whole lines of a text file, and whether a fast parser reads a block as it was meant."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from typing import BinaryIO

import numpy as np

LONGEST_LINE = 1 << 28
"""Bytes. A file without line ends, or unpacked from a few bytes to many, must not fill the memory."""

LINE_END = re.compile(rb"\r\n|\n|\r")
NEWLINE, RETURN, ZERO, QUOTE, BACKSLASH, ESCAPED_QUOTE = b"\n", b"\r", b"\0", b'"', b"\\", b'\\"'


class LongLineError(ValueError):
    """No line ends within :data:`LONGEST_LINE` bytes."""


@dataclass(frozen=True)
class Block:
    """Whole lines of a file, the number of the first, as a text editor counts them, and what separates their fields."""

    content: bytes
    line: int
    separator: bytes = b","

    @cached_property
    def marks(self) -> bytes:
        """Separators, line ends and quotation marks alone: a fraction of the content, and what is to be checked."""
        return self.content.translate(None, _all_but(self.separator + NEWLINE + RETURN + ZERO + QUOTE))

    @cached_property
    def lines(self) -> int:
        """Number of lines."""
        ends = int(np.count_nonzero(np.frombuffer(self.marks, np.uint8) == ord(NEWLINE)))
        if RETURN in self.marks:
            ends += self.content.count(RETURN) - self.content.count(b"\r\n")
        return ends + (not self.content.endswith((NEWLINE, RETURN)))

    @property
    def quoted(self) -> bool:
        """Whether the block has any quotation mark."""
        return QUOTE in self.marks

    def physical_lines(self, errors: str = "strict") -> Iterator[str]:
        """Iterate over the lines with their ends; raises UnicodeDecodeError where they are no UTF-8."""
        return iter(io.StringIO(self.content.decode("utf-8", errors), newline=""))

    def after(self, skip_lines: int) -> Iterator["Block"]:
        """Yield what is left of the block after the first lines of the file, if anything."""
        surplus = max(0, skip_lines + 1 - self.line)
        ends = [end.end() for end in islice(LINE_END.finditer(self.content), surplus)]
        if not surplus:
            yield self
        elif len(ends) == surplus and ends[-1] < len(self.content):
            yield Block(self.content[ends[-1] :], self.line + surplus, self.separator)


def blocks(file: BinaryIO, size: int, skip_lines: int = 0, separator: bytes = b",") -> Iterator[Block]:
    """Yield a file, after its first lines, in blocks of about ``size`` bytes; the last line may lack its end.

    Raises
    ------
    LongLineError
        If a line is longer than :data:`LONGEST_LINE`.
    """
    rest, line = b"", 1
    while chunk := file.read(size):
        cut = _end_of_lines(chunk)
        if not cut:
            rest += chunk
            if len(rest) > LONGEST_LINE:
                raise LongLineError(f"line {line} is longer than {LONGEST_LINE >> 20} MiB")
            continue
        block = Block(b"".join((rest, memoryview(chunk)[:cut])), line, separator)
        rest, line = chunk[cut:], line + block.lines
        yield from block.after(skip_lines)
    if rest:
        yield from Block(rest, line, separator).after(skip_lines)


def _end_of_lines(content: bytes) -> int:
    """Return where the last whole line ends; a return at the very end may be half of a line end."""
    return content.rfind(NEWLINE) + 1 or content.rfind(RETURN, 0, -1) + 1


def regular(block: Block, fields: int) -> Block | None:
    """Return a block for a fast parser, lines ended by line feeds; None if it may be read otherwise than it was meant.

    It may not if every line has exactly so many fields and every quotation mark its pair around a whole field of the
    same line. One column is always read row by row: a blank line is no row, and not an empty one either.
    """
    if fields < 2:
        return None
    if RETURN in block.marks or not block.content.endswith(NEWLINE):
        content = block.content.replace(b"\r\n", NEWLINE)
        block = Block(content if content.endswith(NEWLINE) else content + NEWLINE, block.line, block.separator)
    outside = _outside_quotes(block) if block.quoted else block.marks
    row = block.separator * (fields - 1) + NEWLINE
    return block if outside is not None and outside == row * (len(outside) // fields) else None


@cache
def _all_but(characters: bytes) -> bytes:
    return bytes(set(range(256)) - set(characters))


def _outside_quotes(block: Block) -> bytes | None:
    """Return the marks outside quoted fields; None if a quotation mark has no pair around a field of its line."""
    content, separator = block.content, ord(block.separator)
    if BACKSLASH in content and ESCAPED_QUOTE in content:
        return None
    characters = np.frombuffer(content, np.uint8)
    quotes = np.flatnonzero(characters == ord(QUOTE))
    if len(quotes) % 2:
        return None
    around = np.concatenate([characters[quotes[::2] - 1], characters[quotes[1::2] + 1]])
    # before an opening one at the very beginning stands, by its index of -1, the newline at the end
    if not ((around == separator) | (around == ord(NEWLINE)) | (around == ord(QUOTE))).all():
        return None
    marked = np.frombuffer(block.marks, np.uint8)
    is_quote = marked == ord(QUOTE)
    places = np.flatnonzero(is_quote)
    if (places[1::2] - places[::2] == 1).all():  # no separator in any quoted field
        return block.marks.translate(None, QUOTE)
    inside = np.logical_xor.accumulate(is_quote) & ~is_quote
    if (marked[inside] != separator).any():
        return None
    return bytes(marked[~(is_quote | inside)])
