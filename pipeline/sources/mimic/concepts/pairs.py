"""Which rows of a table are of which concepts: by ids or names of items, and by what other columns say."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from .definitions import ANY_NAME, Concept, Item
from .event_tables import EventTable

PAIR = ("pair", "concept", "kind", "low", "high", "texted")
ANYTHING = "*"


def pairs_of(concepts: Sequence[tuple[int, Concept]], table: str) -> pl.DataFrame:
    """Return a row for each concept (number, concept) and item of a table: itemid, pair, concept, kind, low, high.

    All parts of names of a concept are one row, with ``names`` and no itemid: a name may have several of them in it.
    """
    rows = [
        (item, names, number, concept.kind, concept.low, concept.high, bool(concept.texts))
        for number, concept in concepts
        for item, names in _ids_and_names(concept.items[table])
    ]
    schema: dict[str, Any] = {
        "itemid": pl.Int64, "names": pl.List(pl.String), "concept": pl.UInt16, "kind": pl.String, "low": pl.Float64,
        "high": pl.Float64, "texted": pl.Boolean,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").with_row_index("pair")


def _ids_and_names(items: Sequence[Item]) -> list[tuple[int | None, list[str] | None]]:
    ids: list[int | None] = [item for item in dict.fromkeys(items) if isinstance(item, int)]
    names = [item for item in items if isinstance(item, str)]
    return [*((item, None) for item in ids), *([(None, names)] if names else [])]


def has_part(name: pl.Expr, parts: Sequence[str]) -> pl.Expr:
    """Return whether names have one of some parts in them, in whatever letters."""
    if ANY_NAME in parts:
        return pl.lit(True)
    return name.str.contains_any(list(parts), ascii_case_insensitive=True).fill_null(False)


def asked_for(table: EventTable, items: Sequence[Item]) -> pl.Expr:
    """Return which rows of a file are of some items, by their ids or their names."""
    ids, parts = ([i for i in items if isinstance(i, int)], [i for i in items if isinstance(i, str)])
    asked = pl.lit(False)
    if table.item is not None and ids:
        asked |= pl.col(table.item).is_in(ids)
    if table.names is not None and parts:
        asked |= has_part(pl.col(table.names), parts)
    return asked


def paired(batch: pl.DataFrame, table: EventTable, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of each concept, with its columns `PAIR`."""
    named = pairs.filter(pl.col("itemid").is_null())
    if named.is_empty():
        return batch.join(pairs.drop("names"), left_on=table.item, right_on="itemid", maintain_order="left")
    assert table.names is not None
    names = batch[table.names].unique().to_frame()
    of_names = [
        names.filter(has_part(pl.col(table.names), pair["names"][0])).join(pair.select(PAIR), how="cross")
        for pair in named.iter_slices(1)
    ]
    rows = [batch.join(pl.concat(of_names), on=table.names, nulls_equal=True, maintain_order="left")]
    if len(named) < len(pairs):
        of_ids = pairs.drop_nulls("itemid").select("itemid", *PAIR)
        rows.append(batch.join(of_ids, left_on=table.item, right_on="itemid", maintain_order="left"))
    return pl.concat(part.select(*batch.columns, *PAIR) for part in rows)


def conditions(concepts: Mapping[int, Concept]) -> list[pl.Expr]:
    """Return what holds for the rows of :func:`paired` that have the other columns that their concepts ask for."""
    required = [
        (number, (pl.col(column).str.strip_chars() == text).fill_null(False))
        for number, concept in concepts.items()
        for column, text in concept.where.items()
    ]
    ruled_out = [
        (number, ~says_any(pl.col(column), texts))
        for number, concept in concepts.items()
        for column, texts in concept.without.items()
    ]
    return [(pl.col("concept") != number) | holds for number, holds in (*required, *ruled_out)]


def says_any(column: pl.Expr, texts: Sequence[str]) -> pl.Expr:
    """Return whether cells are one of some texts, or have one in them that is written ``*text*``, in whatever letters.

    The empty text is an empty cell.
    """
    cell = column.cast(pl.String).str.strip_chars().str.to_lowercase().fill_null("")
    inside = [text.strip(ANYTHING).lower() for text in texts if _is_part(text)]
    said = cell.is_in([text.lower() for text in texts if not _is_part(text)])
    return said | cell.str.contains_any(inside) if inside else said


def _is_part(text: str) -> bool:
    return len(text) > 2 and text.startswith(ANYTHING) and text.endswith(ANYTHING)
