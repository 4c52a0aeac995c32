"""What names a subject and a time, placed in the ICU stays of that subject."""

import polars as pl

from ...source import Quarantine
from .tables import Table

STAGE = "items"
SECONDS_PER_HOUR = 3600
STRANGER = "subject is not in the cohort"


def of_cohort(rows: pl.DataFrame, stays: pl.DataFrame, table: Table, quarantine: Quarantine) -> pl.DataFrame:
    """Return the rows of the subjects of the stays; those of others are counted.

    Where these are all, the table is of another release, or its ids were made others.
    """
    known = rows.join(stays.select("subject_id").unique(), on="subject_id", how="semi", maintain_order="left")
    if strangers := rows.height - known.height:
        quarantine.add(STAGE, table.path.name, "", "", STRANGER, strangers)
    return known


def within_stays(
    rows: pl.DataFrame, stays: pl.DataFrame, name: str, quarantine: Quarantine, what: str = "study"
) -> pl.DataFrame:
    """Give every row the stays of its subject that it lies in, or in whose history; the others are counted.

    ``rows`` has subject_id and second (since 1970), ``stays`` stay_id, subject_id, and since, intime and outtime in
    seconds: a row lies between the first, null where everything before counts, and the last, both included. Added are
    sample_id and time, float32 hours since the beginning of the stay.
    """
    numbered = rows.with_row_index("number")
    within = numbered.join(
        stays.select("subject_id", "since", "intime", "outtime", sample_id="stay_id"),
        on="subject_id",
        maintain_order="left",
    )
    begun = (pl.col("second") >= pl.col("since")).fill_null(pl.col("since").is_null())
    within = within.filter(begun & (pl.col("second") <= pl.col("outtime")))
    if outside := rows.height - within["number"].n_unique():
        quarantine.add(STAGE, name, "", "", f"{what} lies outside the ICU stays", outside)
    return within.with_columns(time=((pl.col("second") - pl.col("intime")) / SECONDS_PER_HOUR).cast(pl.Float32))
