"""What a variable is: a concept, measured by items of some tables, and the starter sets of them that we bring."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Literal, cast, get_args

import polars as pl

from .units import RESOURCES, Conversion, parse_conversion

Kind = Literal["numeric", "categorical", "output", "interval-rate", "interval-amount"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Aggregate = Literal["last", "mean", "min", "max", "sum", "any", "count", "time_since_last"]

AGGREGATES: dict[Kind, tuple[Aggregate, ...]] = {
    "numeric": get_args(Aggregate),
    "categorical": ("last", "any", "count", "time_since_last"),
    "output": get_args(Aggregate),
    "interval-rate": ("mean", "max", "last", "any", "count", "time_since_last"),
    "interval-amount": ("sum", "max", "any", "count", "time_since_last"),
}
"""What can be made of the events of a bin."""

DEFAULT_AGGREGATE: dict[Kind, Aggregate] = {
    "numeric": "last", "categorical": "last", "output": "sum", "interval-rate": "mean", "interval-amount": "sum",
}  # fmt: skip

TABLES: dict[str, tuple[Kind, ...]] = {
    "labevents": ("numeric", "categorical"),
    "chartevents": ("numeric", "categorical"),
    "outputevents": ("output",),
    "inputevents": ("interval-rate", "interval-amount"),
    "procedureevents": ("interval-rate", "categorical"),
    "microbiologyevents": ("categorical",),
    "prescriptions": ("categorical",),
    "emar": ("categorical",),
}
"""The tables that items can be of, by the names of MIMIC-IV, and what a concept of each can be."""

NAMED = {
    "prescriptions": "drug_contains",
    "emar": "drug_contains",
    "microbiologyevents": "specimen_contains",
}
"""Tables whose items can be said by parts of their names, and how a file calls that."""
ANY_NAME = "*"
"""In place of parts of names: all rows of the table."""

Version = Literal[3, 4]
Item = int | str
"""An id, or a part of a name."""
FASTER_THAN = {"fluid_bolus": 248.0}
"""mL/h, as MIMIC's own code has it: a quarter of a litre within an hour."""
DERIVED_TABLE = "derived"
"""Of what is made of other concepts, in the table of the starter sets."""
MISSING = "missing"
"""What a text means that says that there is no value."""


@dataclass(frozen=True)
class Concept:
    """One variable of a set, for one release.

    ``items`` are ids by table, or parts of names in small letters (:data:`NAMED`). Values are in ``unit``, after the
    first of the ``conversions`` that holds, and between ``low`` and ``high``, both included. ``texts`` (lower case) say
    what a text means: a level of a categorical concept, a number, or ``missing``. ``levels`` are those of a categorical
    concept in the order of its columns; without any it is known only that it happened. ``where`` are columns of the
    table and the text that they must have; ``without`` columns and texts of which none may be in them, in whatever
    letters: ``*ear*`` is any text with ear in it. Of amounts with ``faster_than`` only those count that come faster
    (per hour), or are more where no rate is known.
    """

    set: str
    name: str
    items: Mapping[str, tuple[Item, ...]]
    kind: Kind = "numeric"
    unit: str = ""
    conversions: tuple[Conversion, ...] = ()
    low: float | None = None
    high: float | None = None
    aggregates: tuple[Aggregate, ...] = ("last",)
    texts: Mapping[str, str] = field(default_factory=dict)
    levels: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faster_than: float | None = None
    derived: str = ""
    """A score, by its name in :data:`.derived.DERIVED`, which is made of other concepts and has no items."""

    def to_json(self) -> dict[str, Any]:
        """Return what decides the values, for recipes."""
        content = asdict(self)
        del content["set"], content["note"]
        if not self.derived:
            del content["derived"]
        content["items"] = {table: list(ids) for table, ids in self.items.items()}
        content |= {name: list(content[name]) for name in ("conversions", "aggregates", "levels")}
        without = {column: list(texts) for column, texts in content.pop("without").items()}
        if content["faster_than"] is None:
            del content["faster_than"]
        return content | ({"without": without} if without else {})


@cache
def _table(name: str) -> pl.DataFrame:
    file = RESOURCES / f"{name}.csv"
    return pl.read_csv(file.read_bytes(), infer_schema=False).fill_null("")


@cache
def _of_concepts(name: str) -> Mapping[str, Sequence[Mapping[str, str]]]:
    """Return the rows of a table by the concept that they say something of."""
    rows: Mapping[str, Sequence[Mapping[str, str]]] = _table(name).rows_by_key("concept", named=True)
    return rows


def starter_sets() -> tuple[str, ...]:
    """Return the names of the sets that we bring."""
    return tuple(_table("concepts")["set"].unique(maintain_order=True))


def title_of(name: str) -> str:
    """Return what a set is in words."""
    titles: dict[str, str] = dict(_table("sets").iter_rows())
    return titles.get(name, "variables of one's own")


@cache
def starter_set(name: str, version: Version) -> tuple[Concept, ...]:
    """Return the concepts of a starter set that a release has, 3 or 4."""
    rows = _table("concepts").filter(pl.col("set") == name, pl.col(f"mimic{version}") != "")
    return tuple(_concept(row, row[f"mimic{version}"]) for row in rows.iter_rows(named=True))


@cache
def starters(version: Version) -> Mapping[str, Concept]:
    """Return the concepts of all starter sets that a release has, by name; no two have the same."""
    return {concept.name: concept for name in starter_sets() for concept in starter_set(name, version)}


def _concept(row: Mapping[str, str], ids: str) -> Concept:
    kind = cast("Kind", row["kind"])
    pairs = [rule.split(":", 1) for rule in row["conversions"].split(";") if rule]
    texts = {text["text"].lower(): text["meaning"] for text in _of_concepts("texts").get(row["concept"], ())}
    meanings = tuple(meaning for meaning in dict.fromkeys(texts.values()) if meaning != MISSING)
    condition = row["where"].split("=")
    derived = row["table"] == DERIVED_TABLE
    return Concept(
        set=row["set"],
        name=row["concept"],
        items={} if derived else {row["table"]: _items(ids)},
        kind=kind,
        unit=row["unit"],
        conversions=tuple(parse_conversion(when.strip(), how.strip()) for when, how in pairs),
        low=_number(row["low"]),
        high=_number(row["high"]),
        aggregates=cast("tuple[Aggregate, ...]", tuple(row["aggregates"].split("; "))),
        texts=texts,
        levels=meanings if kind == "categorical" else (),
        where={condition[0]: condition[1]} if row["where"] else {},
        note=row["note"],
        without=_without(row["concept"]),
        faster_than=FASTER_THAN.get(row["concept"]),
        derived=row["concept"] if derived else "",
    )


def _without(concept: str) -> dict[str, tuple[str, ...]]:
    rows = _of_concepts("without").get(concept, ())
    columns = dict.fromkeys(row["column"] for row in rows)
    return {column: tuple(row["text"] for row in rows if row["column"] == column) for column in columns}


def _items(cell: str) -> tuple[Item, ...]:
    """Return ids, or all parts of names of a list."""
    if cell == ANY_NAME:
        return (ANY_NAME,)
    ids = cell.split()
    if all(one.isdigit() for one in ids):
        return tuple(map(int, ids))
    return tuple(_table("names").filter(pl.col("list") == cell)["name"])


def _number(text: str) -> float | None:
    return float(text) if text else None
