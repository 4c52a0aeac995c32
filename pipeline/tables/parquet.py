"""Parquet tables that a user brings: a list of numbers in each row is as many columns."""

from pathlib import Path

import polars as pl

from ...cache_schema import InputError
from ...cache_schema.export.guarded import check_claim

CELL_BYTES = 4
FIRST_ROW = 2
"""As if a header were the first, like in tables of text."""


def read_parquet(path: Path, rows: int | None = None) -> pl.DataFrame:
    """Return a Parquet table, or only its first rows.

    A column ``x`` of lists of numbers becomes ``x_0``, ``x_1`` and so on, empty where there is no list.

    Raises
    ------
    InputError
        If lists differ in length, or a column holds neither numbers, texts, times nor such lists.
    polars.exceptions.PolarsError, OSError
        If the file is damaged.
    """
    lazy = pl.scan_parquet(path, glob=False)
    schema = lazy.collect_schema()
    count = lazy.select(pl.len()).collect().item()
    check_claim(path, f"the table of {count:,} rows and {len(schema):,} columns", count * len(schema) * CELL_BYTES)
    for name, kind in schema.items():
        if not _usable(kind):
            raise InputError(f"{path}: the column {name[:80]!r} holds {_kind(kind)}. Leave it out, or write numbers.")
    widths = {name: _width(lazy, name, path) for name, kind in schema.items() if isinstance(kind, pl.List | pl.Array)}
    taken = [name for name in schema if name not in widths]
    taken += [f"{name}_{place}" for name, width in widths.items() for place in range(width)]
    if len(set(taken)) < len(taken):
        twice = next(name for place, name in enumerate(taken) if name in taken[:place])
        raise InputError(f"{path} has two columns {twice[:80]!r}, one of them from a list; make their names unique.")
    table = lazy.head(rows).collect() if rows is not None else lazy.collect()
    return table.select(
        part for name in schema for part in (_parts(name, widths[name]) if name in widths else [pl.col(name)])
    )


def _usable(kind: pl.DataType) -> bool:
    if isinstance(kind, pl.List | pl.Array):
        return kind.inner.is_numeric() or kind.inner == pl.Boolean  # type: ignore[union-attr]
    return not kind.is_nested() and kind not in (pl.Binary, pl.Object)


def _kind(kind: pl.DataType) -> str:
    return "lists that are not of numbers" if isinstance(kind, pl.List | pl.Array) else f"values of type {kind}"[:80]


def _parts(name: str, width: int) -> list[pl.Expr]:
    return [pl.col(name).cast(pl.List(pl.Float64)).list.get(place).alias(f"{name}_{place}") for place in range(width)]


def _width(lazy: pl.LazyFrame, name: str, path: Path) -> int:
    """Return the length of the lists of a column; raises :class:`InputError` naming a row that has another."""
    column = pl.col(name)
    lengths = lazy.select(column.arr.to_list() if isinstance(lazy.collect_schema()[name], pl.Array) else column)
    lengths = lengths.select(column.list.len()).with_row_index("row").drop_nulls()
    first = lengths.head(1).collect()
    if first.is_empty():
        return 0
    width: int = first[name][0]
    other = lengths.filter(column != width).head(1).collect()
    if other.height:
        row, length = other.row(0)
        raise InputError(
            f"{path}, row {row + FIRST_ROW}: the list in {name[:80]!r} has {length} numbers, that of row "
            f"{first['row'][0] + FIRST_ROW} has {width}. The lists of a column must be equally long. Else write a "
            "file for each sample."
        )
    return width
