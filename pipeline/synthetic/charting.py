"""How many rows of an event table show which item.

In real MIMIC 17.9 % of CHARTEVENTS and 6.7 % of LABEVENTS belong to the 17 variables of the benchmark. A synthetic
stay with few rows would tell nothing at such shares: up to `RICH` chart rows per stay most rows belong to the
variables. With more, the rows of the variables stay as many as they are there until the real share of all rows exceeds
them, and then grow with the table. The rest are other items of the real tables, with values that tell nothing.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ..sources.mimic.benchmark.variables import items as items_of_the_benchmark
from .variables import LAB_RATE, VARIABLES, Item, read_items

RICH = 300
"""Rows of CHARTEVENTS per stay without other items."""
SHARE_OF_CHART = {"chart": 1.0, "lab": 0.1, "output": 0.05}
"""Rows of each table per row of CHARTEVENTS."""
REAL_SHARE = {"chart": 0.179, "lab": 0.067}
"""Share of the rows of real tables that belong to the 17 variables."""


@dataclass(frozen=True)
class OtherItem:
    """An item that belongs to none of the 17 variables: a row of ``other_items.csv``."""

    layout: str
    """Empty where both layouts have it."""
    table: str
    itemid: int
    label: str
    unit: str
    category: str
    rate: float
    """How often it is charted in one round, compared with the others; at most 1."""
    mean: float
    noise: float
    decimals: int
    texts: tuple[str, ...]
    """Its categories, in place of a number."""


@dataclass(frozen=True)
class Charting:
    """What is charted in one table, and how often."""

    items: list[Item]
    rates: Mapping[str, float]
    """Variable -> probability of being charted in one round; 0 for once per stay, at admission."""
    rounds: int
    """Rounds per stay."""
    others: list[OtherItem]
    frequency: float
    """Probability of being charted in one round, of an other item with rate 1."""


def read_other_items(layout: str) -> list[OtherItem]:
    """Return the other items of one layout (``mimic4`` or ``mimic3``)."""
    with (files(__package__) / "other_items.csv").open(encoding="utf-8") as lines:
        rows: list[dict[str, Any]] = [row for row in csv.DictReader(lines) if row["layout"] in ("", layout)]
    for row in rows:
        row |= {name: int(row[name] or 0) for name in ("itemid", "decimals")}
        row |= {name: float(row[name] or 0) for name in ("rate", "mean", "noise")}
        row["texts"] = tuple(row["texts"].split("|")) if row["texts"] else ()
    return [OtherItem(**row) for row in rows]


def plan_charting(layout: str, table: str, events_per_stay: int) -> Charting:
    """Decide how often each item is charted in a table (``chart``, ``lab``, ``output``).

    ``events_per_stay`` are the rows of CHARTEVENTS; the other tables have fewer in proportion.
    """
    items = [item for item in read_items(layout) if item.table == table]
    rates = {item.variable: LAB_RATE if table == "lab" else VARIABLES[item.variable].rate for item in items}
    in_one_round = sum(item.share * rates[item.variable] for item in items)
    rows = rows_of_items = events_per_stay * SHARE_OF_CHART[table]
    if table in REAL_SHARE:
        known = set(items_of_the_benchmark()["itemid"])
        of_variables = sum(item.share * rates[item.variable] for item in items if item.itemid in known) / in_one_round
        rows_of_items = min(rows, max(RICH * SHARE_OF_CHART[table], rows * REAL_SHARE[table] / of_variables))
    rounds = max(2, round(rows_of_items / in_one_round))
    others = [item for item in read_other_items(layout) if item.table == table]
    frequency = (rows - rows_of_items) / (rounds * sum(item.rate for item in others)) if others else 0.0
    return Charting(items, rates, rounds, others, frequency)
