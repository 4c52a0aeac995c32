"""Blocks of whole lines of a text file, and whether a fast parser reads a block as it was meant."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

LONGEST_LINE = 1 << 28
"""Bytes. A file without line ends, or unpacked from a few bytes to many, must not fill the memory."""

LINE_END = re.compile(rb"\r\n|\n|\r")
NEWLINE, RETURN, QUOTE, ESCAPED_QUOTE = b"\n", b"\r", b'"', b'\\"'


class LongLineError(ValueError):
    """No line ends within :data:`LONGEST_LINE` bytes."""


@dataclass(frozen=True)
class Block:
    """Whole lines of a file, and the number of the first, as a text editor counts them."""

    content: bytes
    line: int

    @cached_property
    def lines(self) -> int:
        """Number of lines."""
        ends = int(np.count_nonzero(np.frombuffer(self.content, np.uint8) == ord(NEWLINE)))
        if RETURN in self.content:
            ends += self.content.count(RETURN) - self.content.count(b"\r\n")
        return ends + (not self.content.endswith((NEWLINE, RETURN)))

    @property
    def quoted(self) -> bool:
        """Whether the block has any quotation mark."""
        return QUOTE in self.content

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
            yield Block(self.content[ends[-1] :], self.line + surplus)


def blocks(file: BinaryIO, size: int, skip_lines: int = 0) -> Iterator[Block]:
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
        block = Block(rest + chunk[:cut], line)
        rest, line = chunk[cut:], line + block.lines
        yield from block.after(skip_lines)
    if rest:
        yield from Block(rest, line).after(skip_lines)


def _end_of_lines(content: bytes) -> int:
    """Return where the last whole line ends; a return at the very end may be half of a line end."""
    return content.rfind(NEWLINE) + 1 or content.rfind(RETURN, 0, -1) + 1


def regular(block: Block, separator: bytes, fields: int) -> Block | None:
    """Return a block for a fast parser, lines ended by line feeds; None if it may be read otherwise than it was meant.

    It may not if every line has exactly so many fields and every quotation mark its pair around a whole field of the
    same line. One column is always read row by row: a blank line is no row, and not an empty one either.
    """
    content = block.content
    if RETURN in content:
        content = content.replace(b"\r\n", NEWLINE)
    if fields < 2 or RETURN in content or b"\0" in content or ESCAPED_QUOTE in content:
        return None
    if not content.endswith(NEWLINE):
        content += NEWLINE
    characters = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(characters == ord(NEWLINE))
    separators = characters == ord(separator)
    counted = np.uint8 if fields < 256 else np.uint32
    begins = np.concatenate([[0], ends[:-1] + 1])
    per_line = np.add.reduceat(separators.view(np.uint8), begins, dtype=counted)
    total = np.count_nonzero(separators)
    if QUOTE in content:
        inside = _separators_in_quotes(characters, separators, ends)
        if inside is None:
            return None
        per_line -= np.bincount(inside, minlength=len(ends)).astype(counted)
        total -= len(inside)
    # the sum as well: a count of one byte is the same with 256 more
    if (per_line != fields - 1).any() or total != len(ends) * (fields - 1):
        return None
    return Block(content, block.line)


def _separators_in_quotes(
    characters: npt.NDArray[np.uint8], separators: npt.NDArray[np.bool_], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64] | None:
    """Return the line of every separator inside a quoted field; None if a quotation mark has no pair around a field."""
    quotes = np.flatnonzero(characters == ord(QUOTE))
    if len(quotes) % 2:
        return None
    opening, closing = quotes[::2], quotes[1::2]
    structure = separators | (characters == ord(NEWLINE))
    before = characters[opening - 1]  # of an opening one at the very beginning: the newline at the end
    if not (structure[opening - 1] | (before == ord(QUOTE))).all():
        return None
    if not (structure[closing + 1] | (characters[closing + 1] == ord(QUOTE))).all():
        return None
    within = np.add.reduceat(structure.view(np.uint8), quotes, dtype=np.uint32)[::2]
    held = np.flatnonzero(within)
    if not len(held):
        return np.empty(0, dtype=np.int64)
    line = np.searchsorted(ends, opening[held])
    if (line != np.searchsorted(ends, closing[held])).any():
        return None
    return np.repeat(line, within[held])
