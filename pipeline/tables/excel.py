"""Workbooks of Excel (.xlsx) that hold one table, its cells as the text that a CSV file would have."""

import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, time
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import polars as pl

from ...cache_schema import InputError

ENDING = ".xlsx"
MOST_BYTES = 1 << 30
"""Unpacked, of a workbook: a small file can claim to hold any number."""
MERGED = re.compile(rb'<(?:\w+:)?mergeCell [^>]*?ref="([^"]+)"')
NOT_CALCULATED = re.compile(rb'<c r="([A-Z]+\d+)"[^>]*><f[^>]*(?:/>|>[^<]*</f>)(?:<v ?/>|<v></v>)?</c>')
"""A formula without its result: the file was not written by a program that calculates."""


def read_excel(path: Path, rows: int | None = None) -> pl.DataFrame:
    """Return the table of a workbook, or only its first rows, as text; the first row has the names of the columns.

    Dates are written as 2020-01-31 12:00:00, whole numbers without a point; of formulas the result counts.

    Raises
    ------
    InputError
        If the file is no workbook, has more than one sheet with cells, merged cells, formulas that were not calculated,
        or columns without a name or with one name.
    """
    from openpyxl import load_workbook

    try:
        _check_parts(path)
        with (
            warnings.catch_warnings(action="ignore"),  # of styles and checks that it does not know
            closing(load_workbook(path, read_only=True, data_only=True)) as book,
        ):
            return _table(_rows(book, path), path, rows)
    except ParseError as error:
        raise InputError(f"{path} is a damaged workbook: {error}.") from error
    except zipfile.BadZipFile as error:
        raise InputError(f"{path} is no workbook of Excel, damaged, or protected by a password.") from error


def _check_parts(path: Path) -> None:
    """Refuse a workbook that is too large, or whose cells do not say what they show."""
    with zipfile.ZipFile(path) as archive:
        if (size := sum(entry.file_size for entry in archive.infolist())) > MOST_BYTES:
            raise InputError(f"{path} unpacks to {size / 2**30:.1f} GiB; save a table of this size as CSV.")
        for name in archive.namelist():
            if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                sheet = archive.read(name)
                if merged := MERGED.search(sheet):
                    raise InputError(f"{path}: the cells {merged[1].decode()} are merged. Write each cell of its own.")
                if formula := NOT_CALCULATED.search(sheet):
                    raise InputError(
                        f"{path}: the formula in {formula[1].decode()} has no result. Open and save the file in Excel, "
                        "or write values."
                    )


def _rows(book: Any, path: Path) -> Iterator[tuple[str | None, ...]]:
    """Return the rows of the only sheet that has any, as text."""
    filled = []
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what a file says of its size can be wrong
        if any(value is not None for row in sheet.iter_rows(values_only=True) for value in row):
            filled.append(sheet)
    if len(filled) != 1:
        names = ", ".join(sheet.title for sheet in filled)
        held = f"several sheets with cells ({names})" if filled else "no sheet with cells"
        raise InputError(f"{path} has {held}; keep one table in a workbook, or save it as CSV.")
    return (tuple(map(_text, row)) for row in filled[0].iter_rows(values_only=True))


def _table(rows: Iterator[tuple[str | None, ...]], path: Path, limit: int | None) -> pl.DataFrame:
    header = list(next(rows))
    while header and header[-1] is None:
        header.pop()
    if not header:
        raise InputError(f"{path}: the first row is empty; it should hold the names of the columns.")
    names = [(name or "").strip() for name in header]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"{path} has two columns {repeated[0]!r}; give each a name of its own.")
    cells = []
    for number, row in enumerate(islice(rows, limit), 2):
        if any(value is not None for value in row[len(names) :]):
            raise InputError(f"{path}, row {number}: there are more cells than names of columns ({len(names)}).")
        cells.append((*row, *[None] * len(names))[: len(names)])
    while cells and not any(cells[-1]):
        cells.pop()
    return pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String), orient="row")


def _text(value: Any) -> str | None:
    """Return a cell as text, None where it is empty."""
    if isinstance(value, datetime):
        return str(value) if value.time() != time() else str(value.date())
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None if value is None else str(value)
