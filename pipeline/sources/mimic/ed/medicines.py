"""How many medicines a patient takes at home and was given in the emergency department, before the unit.

Their tables have several rows for one medicine, one for each of its classes, so that different names and times count.
Counts by class would need the hierarchy of the classes, which is not part of MIMIC-IV-ED.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from .....cache_schema import Column
from ....source import Block, Quarantine
from ..tables import Table
from .visits import STAGE, Visits, known_at_admission, rows_of_visits, timed

TITLE = "medicines at home and in the emergency department"
COLUMNS = tuple(
    Column(name, "count") for name in ("home medicines", "classes of home medicines", "medicines given", "doses given")
)
TOO_LATE = "medicine was listed or given after admission to the unit"


def medicine_blocks(tables: Mapping[str, Table], visits: Visits, quarantine: Quarantine) -> Iterator[Block]:
    """Yield one row ``[4]`` of counts for each stay of a patient who came through the department."""
    came = visits.read(quarantine).sort("stay_id")
    home = _before_unit(tables["medrecon"], came, ["name", "etccode"], quarantine)
    given = _before_unit(tables["pyxis"], came, ["name"], quarantine)
    counts = [
        home.group_by("stay_id").agg(pl.col("name").n_unique(), pl.col("etccode").drop_nulls().n_unique()),
        given.group_by("stay_id").agg(given=pl.col("name").n_unique(), doses=pl.struct("name", "charttime").n_unique()),
    ]
    rows = came.select("stay_id")
    for count in counts:
        rows = rows.join(count, on="stay_id", how="left", maintain_order="left")
    values = rows.drop("stay_id").fill_null(0).to_numpy().astype(np.float32)  # [n, 4]
    yield known_at_admission(rows["stay_id"].to_numpy(), values)


def _before_unit(table: Table, visits: pl.DataFrame, texts: list[str], quarantine: Quarantine) -> pl.DataFrame:
    """Return the rows of a table of medicines that were written before admission to the unit; others are counted."""
    rows = rows_of_visits(table, visits, ["charttime", *texts], quarantine)
    rows = timed(rows, ["charttime"], table, quarantine)
    late = rows.filter(pl.col("charttime") > pl.col("intime"))
    if len(late):
        quarantine.add(STAGE, table.path.name, f"row {late['row'][0]}", "", TOO_LATE, len(late))
    cleaned = [pl.col(name).str.strip_chars().str.to_lowercase().replace("", None).alias(name) for name in texts]
    return rows.filter(pl.col("charttime") <= pl.col("intime")).with_columns(cleaned).drop_nulls("name")
