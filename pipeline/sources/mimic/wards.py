"""From which stays in a unit patients left the hospital, by the table of transfers between wards."""

import polars as pl

from ...source import Quarantine
from .folder import MimicFolder
from .tables import read_table
from .times import read_times, refuse_dates

TABLE = "transfers"
DISCHARGE = "discharge"


def left_hospital_from(folder: MimicFolder, stays: pl.DataFrame, quarantine: Quarantine) -> pl.Series:
    """Return for which stays (stay_id, hadm_id, intime, first_careunit) [N] the unit was the last ward of the hospital.

    That is the last stay of an admission whose last ward is a unit: one that is the first of any stay. MIMIC-III names
    the wards of units alone. Raises :class:`InputError` without the table of transfers.
    """
    table = folder.table(TABLE)
    ward = "curr_careunit" if folder.version == 3 else "careunit"
    table.require(["hadm_id", "eventtype", ward, "intime"])
    rows = read_table(table, ["hadm_id"], ["eventtype", ward, "intime"], quarantine, ["hadm_id"])
    refuse_dates(rows, "intime", table)
    rows = read_times(rows, ["intime"], table, quarantine, ["intime"]).drop_nulls("intime")
    moved = pl.col("eventtype").str.strip_chars().str.to_lowercase() != DISCHARGE
    last = rows.filter(moved).sort("hadm_id", "intime", "row").group_by("hadm_id", maintain_order=True).last()
    from_unit = last.filter(pl.col(ward).is_in(stays["first_careunit"].drop_nulls().unique().implode()))
    latest = pl.col("intime").rank("ordinal", descending=True).over("hadm_id") == 1
    return stays.select(kept=latest & pl.col("hadm_id").is_in(from_unit["hadm_id"].implode()))["kept"]
