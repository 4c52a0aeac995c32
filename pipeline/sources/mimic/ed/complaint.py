"""The complaint with which a patient came to the emergency department, as triage wrote it down."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from ....source import ItemModality, Quarantine
from ....text.stored_texts import StoredTexts
from ..tables import Table, unique_rows
from .visits import HOUR, Visits, rows_of_visits

TITLE = "complaints in the emergency department"
COLUMN = "chiefcomplaint"


def complaints(
    name: str, recipe: dict[str, Any], tables: Mapping[str, Table], visits: Visits, quarantine: Quarantine
) -> ItemModality:
    """Return the complaint of each stay that has one, known by admission to the unit; ``event_time`` is arrival."""
    triage = tables["triage"]
    rows = rows_of_visits(triage, visits.read(quarantine), [COLUMN], quarantine)
    rows = unique_rows(rows, ["stay_id"], triage, quarantine)
    folded = pl.col(COLUMN).str.replace_all(r"\s+", " ").str.strip_chars()
    rows = rows.with_columns(folded).filter(pl.col(COLUMN) != "")
    texts = StoredTexts()
    digests = pl.Series([texts.add(text) for text in rows[COLUMN]], dtype=pl.String)
    arrival = ((pl.col("arrival") - pl.col("intime")) / HOUR).cast(pl.Float32)
    items = rows.select(
        "stay_id", time=pl.lit(0, pl.Float32), event_time=arrival,
        digest=digests, path=pl.lit(str(triage.path)),
        item_id=pl.format("ed{}", "ed_stay_id"), place=pl.format("{} row {}", pl.lit(triage.path.name), "row"),
    )  # fmt: skip
    items = items.rename({"stay_id": "sample_id"}).sort("sample_id", "item_id")
    return ItemModality(name, "text", "one token of the complaint", items, recipe, texts=texts, title=TITLE)
