"""What the header of a file of delimited text says, and what separates its fields."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ...cache_schema import InputError

SEPARATORS = (",", ";", "\t", "|")
ROWS_TRIED = 20
"""So many rows decide what separates fields."""
DECLARED = re.compile(r'"?sep=([ -~\t])"?\s*')
"""A first line by which Excel is told what separates fields."""


@dataclass(frozen=True)
class Layout:
    """A file of delimited text: the names in its header, what separates fields, and the line after the header.

    ``widest``: the fields of a row with the surplus empty ones, if the header or all of the first rows have such.
    ``header``: the bytes of the header, without a line end, if no row can be the same.
    ``lossy``: bytes that are no UTF-8 are read as the replacement character instead of being refused. ``content``: what
    is read in place of the file, if its bytes had to be decoded in another way.
    """

    path: Path
    columns: tuple[str, ...]
    separator: str
    first_line: int
    widest: int
    header: bytes
    lossy: bool = False
    content: bytes | None = None


def found_separator(lines: Sequence[str]) -> str:
    """Return what gives the first rows as many fields as the header; of several, that of most fields."""
    fields = {}
    for separator in SEPARATORS:
        try:
            rows = [len(row) for row in islice(filter(None, csv.reader(lines, delimiter=separator)), ROWS_TRIED)]
        except csv.Error:
            continue
        agreed = Counter(rows)[rows[0]] / len(rows) if rows else 0.0
        fields[separator] = (agreed if rows and rows[0] > 1 else 0.0, rows[0] if rows else 0)
    return max(fields, key=lambda separator: fields[separator], default=SEPARATORS[0])


def read_header(lines: Sequence[str], separator: str, path: Path) -> tuple[list[str], str, int]:
    """Return the first row that is not blank, its text without the line end, and the number of lines up to its end."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    before = 0
    try:
        for row in reader:
            if row:
                break
            before = reader.line_num
        else:
            raise InputError(f"{path} is empty.")
    except csv.Error as error:
        raise InputError(
            f"{path}: the header cannot be read: {error}. Is a quotation mark without its pair?"
        ) from error
    own = lines[before : reader.line_num]
    held = {line.count(separator) for line in own}
    if len(own) > 1 and len(held) == 1 and held != {0}:
        raise InputError(
            f"{path}: a quotation mark opens in the header and closes on line {reader.line_num}, but each of these "
            "lines is a whole row. Remove the quotation marks, or the line breaks."
        )
    return row, "".join(own).rstrip("\r\n"), reader.line_num


def surplus_width(lines: Sequence[str], separator: str, fields: int) -> int:
    """Return how many fields the first rows have if all have as many surplus ones without content, else 0."""
    try:
        rows = list(islice(filter(None, csv.reader(lines, delimiter=separator)), ROWS_TRIED))
    except csv.Error:
        return 0
    widths = {len(row) for row in rows}
    return max(widths) if len(widths) == 1 and not any(any(map(str.strip, row[fields:])) for row in rows) else 0


def column_names(header: Sequence[str], path: Path) -> tuple[str, ...]:
    """Return the names in a header; raises :class:`InputError` for a name that two columns have."""
    names = [name.strip() for name in header]
    while len(names) > 1 and not names[-1]:  # a delimiter at the end of lines
        names.pop()
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        shown = f"two columns {repeated[0]!r}" if repeated[0] else "two columns without a name"
        raise InputError(f"{path} has {shown}. Give every column a name of its own.")
    return tuple(names)
