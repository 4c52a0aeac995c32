"""In which units a stay began and ended, where the table of stays does not tell.

MIMIC-IV 3.1 is said to repeat the first unit of a stay as its last one in every row, which makes a filter of stays in
one unit remove nothing. The table ``transfers`` has the units with their times.
"""

import polars as pl

from ...source import Quarantine
from .benchmark import EhrSettings
from .benchmark.rules import described_by_name
from .folder import MimicFolder
from .tables import read_table
from .times import read_times

STAGE = "tables"
RULE = "units_from_transfers"
NO_UNIT = ("ed", "discharge")
"""Events of ``transfers`` that are no time in a unit of the hospital: a patient may still be registered in the
emergency department when a stay begins."""
FEWEST = 100
"""Of so many stays some changed the unit where the table tells of it: in MIMIC-IV 2.2 one in fourteen."""


def with_units_told(
    stays: pl.DataFrame, folder: MimicFolder, settings: EhrSettings, quarantine: Quarantine
) -> tuple[pl.DataFrame, str]:
    """Return the stays with their first and last units, and what a user has to know of these, if anything.

    Where icustays of a MIMIC-IV tells of no change at all, the units are those of the rows of ``transfers`` of the same
    admission that overlap the stay; one without an end lasts. A stay without such a row keeps its units. ``stays`` has
    stay_id, hadm_id, first_careunit, last_careunit, and intime and outtime in seconds.
    """
    same = (stays["first_careunit"] == stays["last_careunit"]).fill_null(False)
    if folder.version != 4 or not same.all():
        return stays, ""
    if not settings.uses(RULE):
        return stays, _not_told(stays, f"The rule {RULE} of the clean profile takes them from the table transfers.")
    if folder.find_table("transfers") is None:
        return stays, _not_told(stays, "Add the table transfers, which has them.")
    names = ["first_careunit", "last_careunit"]
    mended = stays.join(_units(stays, folder, quarantine), on="stay_id", how="left", maintain_order="left")
    mended = mended.with_columns(pl.coalesce(f"{name}_told", name).alias(name) for name in names).select(stays.columns)
    changed = mended.filter(pl.col("first_careunit") != pl.col("last_careunit"))
    if changed.is_empty():
        return mended, _not_told(stays, "Nor does the table transfers: is it complete?")
    quarantine.add(STAGE, "stays", f"stay {changed['stay_id'][0]}", "", described_by_name(RULE), len(changed))
    said = f"{len(changed):,} of {len(stays):,} stays changed the unit by the table transfers; icustays tells of none."
    return mended, said


def _not_told(stays: pl.DataFrame, mend: str) -> str:
    """Return the warning of stays none of which changed the unit; nothing where they are too few to tell."""
    if len(stays) < FEWEST:
        return ""
    return (
        "first_careunit is last_careunit in every row of icustays, so that nothing tells which stays changed the unit: "
        f"they are in the cohort. {mend}"
    )


def _units(stays: pl.DataFrame, folder: MimicFolder, quarantine: Quarantine) -> pl.DataFrame:
    """Return stay_id, first_careunit_told and last_careunit_told of the stays that some row overlaps."""
    table = folder.table("transfers")
    times = ["intime", "outtime"]
    table.require(["hadm_id", "careunit", "eventtype", *times])
    keep = pl.col("hadm_id").is_in(stays["hadm_id"].unique().implode())
    rows = read_table(table, ["hadm_id"], ["careunit", "eventtype", *times], quarantine, ["hadm_id"], keep)
    rows = read_times(rows, times, table, quarantine, ["intime"])
    rows = rows.filter(~pl.col("eventtype").str.to_lowercase().is_in(NO_UNIT).fill_null(False))
    rows = rows.filter(pl.col("careunit").str.strip_chars() != "").drop_nulls("intime")
    rows = rows.rename({"intime": "entry", "outtime": "exit"})
    pairs = stays.select("stay_id", "hadm_id", *times).join(rows, on="hadm_id")
    begins = (pl.col("entry") < pl.col("outtime")).fill_null(True)
    ends = (pl.col("exit") > pl.col("intime")).fill_null(True)
    in_order = pairs.filter(begins & ends).sort("stay_id", "entry", "row")
    return in_order.group_by("stay_id", maintain_order=True).agg(
        first_careunit_told=pl.col("careunit").first(), last_careunit_told=pl.col("careunit").last()
    )
