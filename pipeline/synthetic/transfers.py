"""Where a patient lay from admission to discharge: the table ``transfers`` of MIMIC-IV."""

import polars as pl

WARD = "Med/Surg"
FIRST_TRANSFER = 30_000_000


def transfers(stays: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each time in one unit, in order: ward, units of intensive care, ward, and the discharge.

    A stay that changed the unit did so half-way.
    """
    middle = (pl.col("intime") + pl.col("outtime")) // 2
    moved = pl.col("first_careunit") != pl.col("last_careunit")
    ids = ["subject_id", "hadm_id"]
    first = stays.select(
        *ids, careunit="first_careunit", entry="intime", exit=pl.when(moved).then(middle).otherwise("outtime")
    )
    last = stays.filter(moved).select(*ids, careunit="last_careunit", entry=middle, exit="outtime")
    units = pl.concat([first, last]).sort(*ids, "entry")
    ends = stays.group_by(ids, maintain_order=True).agg(
        pl.col("admittime", "dischtime").first(), pl.col("intime").min(), pl.col("outtime").max()
    )
    before = ends.select(*ids, careunit=pl.lit(WARD), entry="admittime", exit="intime")
    after = ends.select(*ids, careunit=pl.lit(WARD), entry="outtime", exit="dischtime")
    gone = ends.select(*ids, careunit=pl.lit(None, pl.String), entry="dischtime", exit=pl.lit(None, pl.Int64))
    between = units.with_columns(next=pl.col("entry").shift(-1).over("hadm_id")).filter(pl.col("next") > pl.col("exit"))
    between = between.select(*ids, careunit=pl.lit(WARD), entry="exit", exit="next")
    rows = pl.concat([before, units, between, after, gone]).sort(*ids, "entry", maintain_order=True)
    first_row = pl.int_range(pl.len()).over("hadm_id") == 0
    event = pl.when(pl.col("careunit").is_null()).then(pl.lit("discharge")).when(first_row).then(pl.lit("admit"))
    return rows.with_columns(
        transfer_id=pl.int_range(pl.len()) + FIRST_TRANSFER, eventtype=event.otherwise(pl.lit("transfer"))
    ).rename({"entry": "intime", "exit": "outtime"})
