"""Rows of delimited text read one by one, where a fast parser might guess: each is whole, or refused with its line."""

import csv
import re
from collections.abc import Iterator, Sequence

from ...cache_schema import InputError
from .delimited_blocks import ESCAPED_QUOTE as ESCAPED
from .delimited_blocks import Block
from .delimited_header import Layout
from .delimited_text import BYTE_ORDER_MARK, decoded

LONGEST_FIELD = 1 << 27
ROWS_AT_ONCE = 50_000
LINE_ENDS = (b"", b"\n", b"\r")
ESCAPED_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)\\"')
"""A quotation mark behind an odd number of backslashes."""

csv.field_size_limit(LONGEST_FIELD)

Rows = list[tuple[int, list[str]]]
"""The line and the fields of each row."""


def refuse_second_header(block: Block, file: Layout) -> None:
    """Raise :class:`InputError` for a line that is the header again: tables were put behind each other."""
    at = block.content.find(file.header) if file.header else -1
    while at >= 0:
        before, after = block.content[:at].removesuffix(BYTE_ORDER_MARK), block.content[at + len(file.header) :][:1]
        if before[-1:] in LINE_ENDS and after in LINE_ENDS:
            line = block.line + (Block(before, 1).lines if before else 0)
            raise InputError(
                f"{file.path}, line {line} is the header again, as if tables were put behind each other. Remove it."
            )
        at = block.content.find(file.header, at + 1)


def single_rows(file: Layout, block: Block, source: Iterator[Block]) -> Iterator[Rows]:
    """Yield the rows that begin in a block; one that does not end there takes the blocks that follow."""
    lines = _Lines(file, block, source)
    reader = csv.reader(lines, delimiter=file.separator, strict=True)
    rows: Rows = []
    while lines.left:
        line = lines.number
        try:
            row = next(reader, [])
        except csv.Error as error:
            raise InputError(f"{file.path}, {_quotes(line, lines, error)}") from error
        if row:
            rows.append((line, _checked(row, line, file)))
        if len(lines.taken) > 1:
            _refuse_rows_in_quotes(lines.taken, line, file)
        lines.taken.clear()
        if len(rows) == ROWS_AT_ONCE:
            yield rows
            rows = []
    if rows:
        yield rows


class _Lines(Iterator[str]):
    """The lines of a block, and of the blocks that follow for a row that goes on.

    ``number`` is the number of the next line, ``taken`` the lines since it was cleared, ``left`` those of the blocks
    that were begun. Quotation marks escaped by backslashes are doubled if only so the rows come out whole.
    """

    def __init__(self, file: Layout, block: Block, source: Iterator[Block]) -> None:
        self.file, self.source = file, source
        self.number = block.line
        self.taken: list[str] = []
        lines = decoded(block, file.path, file.lossy)
        self.escaped = False
        if ESCAPED in block.content:
            doubled = [ESCAPED_QUOTE.sub(r'\1""', line) for line in lines]
            self.escaped = doubled != lines and _is_escaped(lines, doubled, block.line, file)
            lines = doubled if self.escaped else lines
        self.left = lines[::-1]

    def __next__(self) -> str:
        if not self.left:
            lines = decoded(next(self.source), self.file.path, self.file.lossy)  # StopIteration ends the text
            self.left = [ESCAPED_QUOTE.sub(r'\1""', line) if self.escaped else line for line in reversed(lines)]
        self.number += 1
        self.taken.append(self.left.pop())
        return self.taken[-1]


def _is_escaped(lines: Sequence[str], doubled: Sequence[str], first: int, file: Layout) -> bool:
    """Return whether only the backslashes before quotation marks let the rows come out whole.

    Raises :class:`InputError` if they come out whole either way, but not as the same rows.
    """
    plain, escaped = _whole_rows(lines, file), _whole_rows(doubled, file)
    if len(plain) == len(escaped) and plain != escaped:
        line = next(one[0] for one, other in zip(plain, escaped, strict=True) if one != other)
        raise InputError(
            f"{file.path}, line {first + line}: the quotation marks behind backslashes can be read in two ways. Write "
            'the table with doubled quotation marks ("").'
        )
    return len(escaped) > len(plain)


def _whole_rows(lines: Sequence[str], file: Layout) -> Rows:
    """Return the rows before the first that cannot be meant, each with the number of lines before it."""
    reader = csv.reader(lines, delimiter=file.separator, strict=True)
    rows: Rows = []
    before = 0
    try:
        for row in reader:
            if row and len(row) != len(file.columns):
                break
            rows.append((before, row))
            before = reader.line_num
    except csv.Error:
        pass
    return rows


def _checked(row: list[str], line: int, file: Layout) -> list[str]:
    """Return the fields of a row without empty surplus ones; raises :class:`InputError` unless there are enough."""
    fields = len(file.columns)
    if len(row) == fields:
        return row
    if fields < len(row) == file.widest and not any(map(str.strip, row[fields:])):
        return row[:fields]
    hint = ""
    if line == file.first_line and len(row) == fields + 1:
        hint = " If R wrote the names of rows, write the table with row.names = FALSE."
    expected = "the header" if file.first_line > 1 else "expected"
    raise InputError(
        f"{file.path}, line {line} has {len(row)} fields, {expected} {fields}. Mend or remove the line, or put the "
        f"text that holds {file.separator!r} in quotation marks.{hint}"
    )


def _quotes(line: int, lines: _Lines, error: csv.Error) -> str:
    """Return what is wrong with the quotation marks of a row, in words."""
    if "field limit" in str(error):
        return f"line {line}: a field is longer than {LONGEST_FIELD >> 20} MiB. Is a quotation mark never closed?"
    if "end of data" in str(error):
        return f"line {line}: a quotation mark opens here and is never closed. Remove it, or is the file cut?"
    return (
        f"line {lines.number - 1}: text follows a closing quotation mark (of a row that begins on line {line}). Double "
        'quotation marks inside a field ("").'
    )


def _refuse_rows_in_quotes(lines: Sequence[str], line: int, file: Layout) -> None:
    """Raise :class:`InputError` if a quoted text with line breaks may be whole rows between two stray quotes."""
    separators = len(file.columns) - 1
    if not separators or any(one.count(file.separator) != separators for one in lines):
        return
    begins_alike = len({one.startswith('"') for one in lines}) == 1
    ids_alike = len({_shape(one.partition(file.separator)[0]) for one in lines}) == 1
    if ids_alike or (begins_alike and separators > 1):  # in the text of a table of two columns a comma is no rarity
        raise InputError(
            f"{file.path}, lines {line} to {line + len(lines) - 1}: a quotation mark opens in the first and closes in "
            "the last of these lines, but each of them is a whole row. Remove the quotation marks, or the line breaks."
        )


def _shape(text: str) -> str:
    """Return a text with every word as a and every number as 9, so that ids of one kind are the same."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text.strip('" ')))
