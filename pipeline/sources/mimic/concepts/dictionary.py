"""Whether the dictionaries of a folder know the items of concepts."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from .....cache_schema import InputError
from ....source import Quarantine
from ..folder import MimicFolder
from ..tables import read_table
from .columns import refuse_unknown_columns
from .definitions import Concept, Version
from .derived import ingredients_of
from .event_tables import EVENT_TABLES
from .reading import event_files

DICTIONARIES = {"labevents": "d_labitems"}
ITEMS = "d_items"
UNLISTED = ("microbiologyevents",)
"""Tables whose items MIMIC-IV has in no dictionary."""


def notes_on_items(
    folder: MimicFolder, sets: Mapping[str, Sequence[Concept]], files: Mapping[str, Path]
) -> tuple[str, ...]:
    """Return what a reader may miss: tables that are not there, and items that no dictionary knows.

    Of scores these are those of what they are made of. ``files`` say which sets are a user's. Raises
    :class:`InputError` if an item of these is one of another table, or no table has a column that a concept asks for.
    """
    release: Version = 3 if folder.version == 3 else 4
    sets = {name: [*concepts, *ingredients_of(concepts, release)] for name, concepts in sets.items()}
    refuse_unknown_columns(folder, [concept for concepts in sets.values() for concept in concepts], files)
    notes = list(_missing(folder, sets))
    known = {name: _items_of(folder, name) for name in (ITEMS, *DICTIONARIES.values())}
    for name, concepts in sets.items():
        unknown = []
        for concept, table, item in _listed(concepts):
            dictionary = known[DICTIONARIES.get(table, ITEMS)]
            if name in files:
                _refuse_other_table(files[name], concept, table, item, known, folder.version)
            if dictionary is not None and item not in dictionary:
                unknown.append((DICTIONARIES.get(table, ITEMS), item, concept.name))
        notes += _unknown(name, unknown)
    return tuple(notes)


def _listed(concepts: Sequence[Concept]) -> Iterator[tuple[Concept, str, int]]:
    for concept in concepts:
        for table, items in concept.items.items():
            yield from ((concept, table, item) for item in items if isinstance(item, int) and table not in UNLISTED)


def _missing(folder: MimicFolder, sets: Mapping[str, Sequence[Concept]]) -> Iterator[str]:
    concepts = [concept for concepts in sets.values() for concept in concepts]
    for file in event_files(folder, concepts):
        if file.table is None:
            without = [c for c in concepts if file.event_table.has_any(c.items.get(file.logical, ()))]
            names = _some([f"{concept.set}.{concept.name}" for concept in without])
            yield f"Not found: table {file.event_table.name}, which has items of {names}."


def _unknown(name: str, unknown: Sequence[tuple[str, int, str]]) -> Iterator[str]:
    for dictionary in dict.fromkeys(entry[0] for entry in unknown):
        items = [f"{item} ({concept})" for where, item, concept in unknown if where == dictionary]
        yield f"Unknown items of {name}: {len(items)} are not in {dictionary}: {_some(items)}."


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _items_of(folder: MimicFolder, dictionary: str) -> Mapping[int, str] | None:
    """Return for each item of a dictionary the table that it says, None where there is no dictionary."""
    if folder.find_table(dictionary) is None:
        return None
    table = folder.table(dictionary)
    rows = read_table(table, ["itemid"], ["linksto"], Quarantine(), ["itemid"])
    return dict(rows.select("itemid", pl.col("linksto").fill_null("").str.to_lowercase()).iter_rows())


def _refuse_other_table(
    path: Path, concept: Concept, table: str, item: int, known: Mapping[str, Mapping[int, str] | None], version: int
) -> None:
    own = DICTIONARIES.get(table, ITEMS)
    for dictionary, items in known.items():
        if items is None or item not in items:
            continue
        expected = {file.name for file in EVENT_TABLES[version][table]}
        elsewhere = dictionary != own and item not in (known[own] or {})
        if elsewhere or (dictionary == own == ITEMS and items[item] and items[item] not in expected):
            linked = items[item] if dictionary == ITEMS else "labevents"
            raise InputError(
                f"{path}: {concept.set}: {concept.name}: items: {table}: {item} is an item of {linked}, as "
                f"{dictionary} says; write it under that table."
            )
