"""How far before a stay its history reaches."""

from typing import Literal

import polars as pl

from ....source import Quarantine
from ..folder import MimicFolder
from ..tables import read_table, unique_rows
from ..times import read_times

History = Literal["icu", "48h", "ed", "hospital", "all"]
"""What counts: from the admission to the unit on, the 48 hours before it, from the admission to the emergency
department (or without one the hospital) on, from that to the hospital on, everything."""

TWO_DAYS = 48 * 3600


def with_history(stays: pl.DataFrame, history: History, folder: MimicFolder) -> pl.DataFrame:
    """Add ``since``, the first second that counts for a stay (hadm_id, intime): null where everything does."""
    if history == "all":
        return stays.with_columns(since=pl.lit(None, pl.Int64))
    if history in ("icu", "48h"):
        return stays.with_columns(since=pl.col("intime") - (TWO_DAYS if history == "48h" else 0))
    admissions = _admissions(folder, ["admittime"] if history == "hospital" else ["edregtime", "admittime"])
    joined = stays.join(admissions, on="hadm_id", how="left", maintain_order="left")
    return joined.with_columns(since=pl.min_horizontal("since", "intime"))


def _admissions(folder: MimicFolder, times: list[str]) -> pl.DataFrame:
    """Return hadm_id and since, the first of the times that is there; what is wrong with rows, the cohort has said."""
    table = folder.table("admissions")
    rows = read_table(table, ["hadm_id"], times, Quarantine(), ["hadm_id"])
    rows = read_times(unique_rows(rows, ["hadm_id"], table, Quarantine()), times, table, Quarantine())
    return rows.select("hadm_id", since=pl.coalesce(times))
