"""Delimited text of any origin, read so that no row is lost: every row comes out, or the file is refused with its line.

Parsers of delimited text guess where quotes are not paired or fields are missing, and do not say what they guess: rows
between two stray quotes vanish, a shifted row gives the values of another column. Here a block of lines goes to the
fast parser only if every line has exactly the fields of the header and every quote its pair. Other blocks are read row
by row, and each row is checked.
"""

import csv
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl
from isal import igzip, isal_zlib
from polars.io.plugins import register_io_source

from ...cache_schema import InputError, MissingInputError
from ...cache_schema.export.guarded import check_claim
from ..ahead import ahead
from .delimited_blocks import Block, LongLineError, blocks, regular

LINE = " line"
"""The column with the line on which each row begins, as a text editor counts. No name in a header begins so."""

SEPARATORS = (",", ";", "\t", "|")
ROWS_TRIED = 20
"""So many rows decide what separates fields."""
HEADER_BYTES, BLOCK_BYTES = 1 << 16, 1 << 23
LONGEST_FIELD = 1 << 27
ROWS_AT_ONCE = 50_000
GZIP = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LINE_ENDS = (b"", b"\n", b"\r")
OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")
DECLARED = re.compile(r'"?sep=([ -~\t])"?\s*')
"""A first line by which Excel is told what separates fields."""
ESCAPED_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)\\"')
"""A quotation mark behind an odd number of backslashes."""
DAMAGES = (OSError, EOFError, zlib.error, cast("type[Exception]", isal_zlib.IsalError))

csv.field_size_limit(LONGEST_FIELD)


Kinds = Mapping[str, type[pl.DataType]]
"""Types of columns that are no text."""

ALL_ROWS = pl.lit(True)


@dataclass(frozen=True)
class Delimited:
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

    @classmethod
    def open(
        cls,
        path: Path,
        separator: str | None = None,
        *,
        names: Sequence[str] | None = None,
        lossy: bool = False,
        content: bytes | None = None,
    ) -> "Delimited":
        """Read the header of a file, packed by gzip or not.

        ``separator`` None: comma, semicolon, tab or bar, whichever gives the first rows as many fields as the header.
        ``names``: of the columns of a file that has no header.

        Raises
        ------
        MissingInputError
            If there is no such file.
        InputError
            If the file is empty, damaged, in another encoding than UTF-8, or has two columns of one name.
        """
        require_file(path)
        with reading_text(path, content) as file:
            first = next(blocks(file, HEADER_BYTES), None)
        lines = [] if first is None else _decoded(first, path, lossy)
        declared = DECLARED.fullmatch(lines[0]) if lines else None
        lines = lines[1:] if declared else lines
        separator = declared[1] if declared else separator or _found_separator(lines)
        begin = 1 + bool(declared)
        if names is not None:
            return cls(path, tuple(names), separator, begin, 0, b"", lossy, content)
        written, text, read = _header(lines, separator, path)
        columns = _column_names(written, path)
        widest = max(len(written), _surplus_width(lines[read:], separator, len(columns)))
        header = text.encode() if len(columns) > 1 and any(map(str.isalpha, text)) else b""
        return cls(path, columns, separator, read + begin, widest, header, lossy, content)

    def batches(
        self, names: Mapping[str, str], kinds: Kinds | None = None, keep: pl.Expr = ALL_ROWS
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows in order, some thousands at a time: :data:`LINE` and the wanted columns, null where empty.

        ``names`` are the columns by the name that each gets. They are text but for those whose type is in ``kinds``,
        and rows for which ``keep`` does not hold are left out. A batch with a cell of another type comes whole and as
        text: what that means is for the caller to say.

        Raises
        ------
        InputError
            With the line, at a row that has not as many fields as the header, a quotation mark without its pair, bytes
            that are no UTF-8, or where the file is cut. A delimiter at the end of lines is no error if the header or
            all of the first rows have it, and blank lines are no rows.
        """
        with reading_text(self.path, self.content) as raw:
            read = blocks(raw, BLOCK_BYTES, self.first_line - 1, self.separator.encode())
            parse = partial(_parsed, self, names, kinds or {}, keep)
            with closing(ahead(read, parse)) as parsed:
                source = (block for block, _ in parsed)
                for block, frame in parsed:
                    if frame is not None:
                        yield frame
                        continue
                    for rows in _single_rows(self, block, source):
                        yield _framed(rows, self, names, kinds or {}, keep)

    def scan(self) -> pl.LazyFrame:
        """Return :data:`LINE` and all columns as text, to be worked on in batches; raises as :meth:`batches`."""

        def rows(
            columns: list[str] | None, keep: pl.Expr | None, most: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            names = [name for name in columns or schema if name != LINE]
            for batch in self.batches(dict(zip(names, names, strict=True)), keep=ALL_ROWS if keep is None else keep):
                some = batch.select(columns or list(schema)).head(len(batch) if most is None else most)
                yield some
                most = None if most is None else most - len(some)
                if most == 0:
                    return

        schema = {LINE: pl.Int64, **dict.fromkeys(self.columns, pl.String)}
        return register_io_source(rows, schema=schema)

    def read(self, rows: int | None = None) -> pl.DataFrame:
        """Return all rows, or the first, as text with the column :data:`LINE`; raises as :meth:`batches`.

        A packed file that unpacks to far more than tables do is refused before it fills the memory.
        """
        parts, taken = [self.scan().head(0 if rows is None else rows).collect()], 0
        for batch in self.scan().collect_batches() if rows is None else ():
            parts.append(batch)
            taken += int(batch.estimated_size())
            check_claim(self.path, "the table", taken)
        return pl.concat(parts)


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


def _found_separator(lines: Sequence[str]) -> str:
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


def _header(lines: Sequence[str], separator: str, path: Path) -> tuple[list[str], str, int]:
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


def _surplus_width(lines: Sequence[str], separator: str, fields: int) -> int:
    """Return how many fields the first rows have if all have as many surplus ones without content, else 0."""
    try:
        rows = list(islice(filter(None, csv.reader(lines, delimiter=separator)), ROWS_TRIED))
    except csv.Error:
        return 0
    widths = {len(row) for row in rows}
    return max(widths) if len(widths) == 1 and not any(any(map(str.strip, row[fields:])) for row in rows) else 0


def _column_names(header: Sequence[str], path: Path) -> tuple[str, ...]:
    names = [name.strip() for name in header]
    while len(names) > 1 and not names[-1]:  # a delimiter at the end of lines
        names.pop()
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        shown = f"two columns {repeated[0]!r}" if repeated[0] else "two columns without a name"
        raise InputError(f"{path} has {shown}. Give every column a name of its own.")
    return tuple(names)


def _decoded(block: Block, path: Path, lossy: bool) -> list[str]:
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


Rows = list[tuple[int, list[str]]]
"""The line and the fields of each row."""


def _refuse_second_header(block: Block, file: Delimited) -> None:
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


def _single_rows(file: Delimited, block: Block, source: Iterator[Block]) -> Iterator[Rows]:
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

    def __init__(self, file: Delimited, block: Block, source: Iterator[Block]) -> None:
        self.file, self.source = file, source
        self.number = block.line
        self.taken: list[str] = []
        lines = _decoded(block, file.path, file.lossy)
        doubled = [ESCAPED_QUOTE.sub(r'\1""', line) for line in lines]
        self.escaped = doubled != lines and _is_escaped(lines, doubled, block.line, file)
        self.left = (doubled if self.escaped else lines)[::-1]

    def __next__(self) -> str:
        if not self.left:
            lines = _decoded(next(self.source), self.file.path, self.file.lossy)  # StopIteration ends the text
            self.left = [ESCAPED_QUOTE.sub(r'\1""', line) if self.escaped else line for line in reversed(lines)]
        self.number += 1
        self.taken.append(self.left.pop())
        return self.taken[-1]


def _is_escaped(lines: Sequence[str], doubled: Sequence[str], first: int, file: Delimited) -> bool:
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


def _whole_rows(lines: Sequence[str], file: Delimited) -> Rows:
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


def _checked(row: list[str], line: int, file: Delimited) -> list[str]:
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


def _refuse_rows_in_quotes(lines: Sequence[str], line: int, file: Delimited) -> None:
    """Raise :class:`InputError` if a quoted text with line breaks may be whole rows between two stray quotes."""
    separators = len(file.columns) - 1
    if not separators or {one.count(file.separator) for one in lines} != {separators}:
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


def _parsed(
    file: Delimited, names: Mapping[str, str], kinds: Kinds, keep: pl.Expr, block: Block
) -> tuple[Block, pl.DataFrame | None]:
    """Return a block and its rows; None in their place if they have to be read one by one."""
    lines = regular(block, len(file.columns))
    if lines is None or not kinds:  # a header is no row of numbers
        _refuse_second_header(block, file)
    if lines is None:
        return block, None
    types = {names[name]: kind for name, kind in kinds.items()}
    schema = {name: types.get(name, pl.String) for name in file.columns}
    rows = pl.scan_csv(
        BytesIO(lines.content), has_header=False, schema=schema, separator=file.separator,
        quote_char='"' if lines.quoted else None,
        encoding="utf8-lossy" if file.lossy and not lines.content.isascii() else "utf8",
    )  # fmt: skip
    columns = [pl.col(written).alias(name) for name, written in names.items()]
    try:
        frame = rows.select(columns).with_row_index(LINE, lines.line).filter(keep).collect()
    except pl.exceptions.ComputeError:
        if kinds:
            return _parsed(file, names, {}, ALL_ROWS, block)
        _decoded(block, file.path, file.lossy)  # names the line, if it is no text
        raise
    return block, frame.with_columns(pl.col(LINE).cast(pl.Int64))


def _framed(rows: Rows, file: Delimited, names: Mapping[str, str], kinds: Kinds, keep: pl.Expr) -> pl.DataFrame:
    """Return rows that were read one by one."""
    places = {name: file.columns.index(written) for name, written in names.items()}
    texts = {
        name: pl.Series([row[at] for _, row in rows], dtype=pl.String).replace("", None) for name, at in places.items()
    }
    frame = pl.DataFrame({LINE: pl.Series([line for line, _ in rows], dtype=pl.Int64), **texts})
    try:
        return frame.with_columns(pl.col(name).cast(kind) for name, kind in kinds.items()).filter(keep)
    except pl.exceptions.InvalidOperationError:
        return frame
