"""Delimited text of any origin, read so that no row is lost: every row comes out, or the file is refused with its line.

Parsers of delimited text guess where quotes are not paired or fields are missing, and do not say what they guess: rows
between two stray quotes vanish, a shifted row gives the values of another column. Here a block of lines goes to the
fast parser only if every line has exactly the fields of the header and every quote its pair. Other blocks are read row
by row, and each row is checked.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from ...cache_schema.export.guarded import check_claim
from ..ahead import ahead
from .delimited_blocks import Block, blocks, regular
from .delimited_header import DECLARED, Layout, column_names, found_separator, read_header, surplus_width
from .delimited_rows import Rows, refuse_second_header, single_rows
from .delimited_text import decoded, reading_text, require_file

LINE = " line"
"""The column with the line on which each row begins, as a text editor counts. No name in a header begins so."""

HEADER_BYTES, BLOCK_BYTES = 1 << 16, 1 << 23
LONG_ROW = 512
"""Bytes of a row on average, from which on it is worth copying the texts of the few that are kept."""
Kinds = Mapping[str, type[pl.DataType]]
"""Types of columns that are no text."""

ALL_ROWS = pl.lit(True)


@dataclass(frozen=True)
class Delimited(Layout):
    """A file of delimited text, opened at its header."""

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
        lines = [] if first is None else decoded(first, path, lossy)
        declared = DECLARED.fullmatch(lines[0]) if lines else None
        lines = lines[1:] if declared else lines
        separator = declared[1] if declared else separator or found_separator(lines)
        begin = 1 + bool(declared)
        if names is not None:
            return cls(path, tuple(names), separator, begin, 0, b"", lossy, content)
        written, text, read = read_header(lines, separator, path)
        columns = column_names(written, path)
        widest = max(len(written), surplus_width(lines[read:], separator, len(columns)))
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
                    for rows in single_rows(self, block, source):
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


def _parsed(
    file: Delimited, names: Mapping[str, str], kinds: Kinds, keep: pl.Expr, block: Block
) -> tuple[Block, pl.DataFrame | None]:
    """Return a block and its rows; None in their place if they have to be read one by one."""
    lines = regular(block, len(file.columns))
    if lines is None or not kinds:  # a header is no row of numbers
        refuse_second_header(block, file)
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
        decoded(block, file.path, file.lossy)  # names the line, if it is no text
        raise
    if len(lines.content) > LONG_ROW * lines.lines:
        frame = _own_texts(frame, lines.lines)
    return block, frame.with_columns(pl.col(LINE).cast(pl.Int64))


def _framed(rows: Rows, file: Delimited, names: Mapping[str, str], kinds: Kinds, keep: pl.Expr) -> pl.DataFrame:
    """Return rows that were read one by one."""
    places = {name: file.columns.index(written) for name, written in names.items()}
    texts = {
        name: pl.Series([row[at] for _, row in rows], dtype=pl.String).replace("", None) for name, at in places.items()
    }
    frame = pl.DataFrame({LINE: pl.Series([line for line, _ in rows], dtype=pl.Int64), **texts})
    try:
        kept = frame.with_columns(pl.col(name).cast(kind) for name, kind in kinds.items()).filter(keep)
    except pl.exceptions.InvalidOperationError:
        return frame
    return _own_texts(kept, len(rows))


def _own_texts(kept: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Return some of so many rows with copies of their texts: the few would keep the texts of all in memory."""
    return kept if 2 * len(kept) > rows else kept.with_columns(pl.col(pl.String) + "")
