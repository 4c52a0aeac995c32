"""Coded diagnoses of patients with the time from which they can be known: the discharge after which they are coded."""

import polars as pl

from ....source import Quarantine
from ..folder import MimicFolder
from ..tables import read_table, unique_rows
from ..times import read_times
from .derived.given import CODES


def read_codes(folder: MimicFolder, subjects: pl.Series) -> pl.DataFrame:
    """Return subject_id, hadm_id, time (seconds, of the discharge), code and icd_version of some patients.

    Rows and times that cannot be read are left out; the reading of the cohort has said so.
    """
    code, version = ("icd9_code", []) if folder.version == 3 else ("icd_code", ["icd_version"])
    table = folder.table("diagnoses_icd")
    table.require(["subject_id", "hadm_id", code, *version])
    mine = pl.col("subject_id").is_in(subjects.unique().implode())
    rows = table.batches(["subject_id", "hadm_id", *version], [code], Quarantine(), mine)
    none = pl.DataFrame(schema={**CODES, "icd_version": pl.Int64}).drop("time")
    found = [
        batch.with_columns(icd_version=pl.col("icd_version") if version else pl.lit(9, pl.Int64)).select(
            "subject_id", "hadm_id", "icd_version", code=pl.col(code).str.strip_chars()
        )
        for batch in rows
    ]
    codes = pl.concat([none, *(frame.select(none.columns) for frame in found)]).drop_nulls()
    return codes.join(_discharges(folder), on="hadm_id", maintain_order="left").drop_nulls("time").select(*CODES)


def _discharges(folder: MimicFolder) -> pl.DataFrame:
    table = folder.table("admissions")
    rows = read_table(table, ["hadm_id"], ["dischtime"], Quarantine(), ["hadm_id"])
    rows = read_times(unique_rows(rows, ["hadm_id"], table, Quarantine()), ["dischtime"], table, Quarantine())
    return rows.select("hadm_id", time="dischtime")
