"""Which stay in the emergency department belongs to which stay in the unit.

It is the one of the same admission to the hospital, or else that of the same patient who left the department in the 24
hours before. Triage has no time; it is taken to be known 15 minutes after arrival, and must be so before admission to
the unit. What was known by then has the hour 0, so that a task sees it whose inputs begin with the stay, and no task
that predicts before.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ....source import Block, Quarantine
from ..tables import Table, read_table, unique_rows
from ..times import read_times, refuse_dates
from ..within import of_cohort

STAGE = "ed"
HOUR = 3600
TRIAGE_SECONDS = 900
"""From arrival to triage: our choice, not a fact of MIMIC-IV-ED."""
BEFORE_UNIT_HOURS = 24

TWO_STAYS = "ed_two_stays: of several stays in the department before the unit the last counts"
TOO_LATE = "triage is not known before admission to the unit"


class Visits:
    """The last stay in the department before each stay in the unit, of those that have one.

    ``stays`` has stay_id, subject_id, hadm_id, and intime and outtime in seconds.
    """

    def __init__(self, edstays: Table, stays: pl.DataFrame) -> None:
        self._table, self._stays = edstays, stays
        self._read: pl.DataFrame | None = None

    def read(self, quarantine: Quarantine) -> pl.DataFrame:
        """Return stay_id, ed_stay_id, and arrival, intime and outtime (of the unit) in seconds.

        What is wrong with the table is listed when it is read first: several modalities ask for the same.
        """
        if self._read is None:
            self._read = _visits(self._table, self._stays, quarantine)
        return self._read


def _visits(table: Table, stays: pl.DataFrame, quarantine: Quarantine) -> pl.DataFrame:
    table.require(["subject_id", "hadm_id", "stay_id", "intime", "outtime"])
    frame = read_table(table, ["subject_id", "hadm_id", "stay_id"], ["intime", "outtime"], quarantine, ["stay_id"])
    frame = of_cohort(frame, stays, table, quarantine)
    frame = unique_rows(frame, ["stay_id"], table, quarantine)
    frame = timed(frame, ["intime", "outtime"], table, quarantine)
    frame = frame.rename({"stay_id": "ed_stay_id", "intime": "arrival", "outtime": "departure", "hadm_id": "of_hadm"})
    pairs = stays.select("stay_id", "subject_id", "hadm_id", "intime", "outtime").join(frame, on="subject_id")
    same = (pl.col("hadm_id") == pl.col("of_hadm")).fill_null(False)
    since = pl.col("intime") - pl.col("departure")
    shortly = pl.col("of_hadm").is_null() & since.is_between(0, BEFORE_UNIT_HOURS * HOUR).fill_null(False)
    pairs = pairs.filter(same | shortly)
    late = pairs.filter(~known_before_unit())
    if len(late):
        quarantine.add(STAGE, table.path.name, f"row {late['row'][0]}", "", TOO_LATE, len(late))
    pairs = pairs.filter(known_before_unit()).sort("stay_id", "arrival", "ed_stay_id")
    last = pairs.unique("stay_id", keep="last", maintain_order=True)
    if len(pairs) > len(last):
        quarantine.add(STAGE, table.path.name, "", "", TWO_STAYS, len(pairs) - len(last))
    return last.select("stay_id", "ed_stay_id", "arrival", "intime", "outtime")


def known_before_unit() -> pl.Expr:
    """Whether triage, 15 minutes after arrival, was over when the patient came to the unit."""
    return pl.col("arrival") + TRIAGE_SECONDS <= pl.col("intime")


def rows_of_visits(
    table: Table, visits: pl.DataFrame, texts: list[str], quarantine: Quarantine, ids: tuple[str, ...] = ()
) -> pl.DataFrame:
    """Return the rows of a table of the department that belong to some visits, with the columns of these.

    Columns: those of `Visits.read`, row (line in the file), ``ids`` (integers) and ``texts``.
    """
    table.require(["stay_id", *ids, *texts])
    keep = pl.col("stay_id").is_in(visits["ed_stay_id"].unique().implode()) | pl.col("stay_id").is_null()
    rows = read_table(table, ["stay_id", *ids], texts, quarantine, ["stay_id"], keep)
    return visits.join(rows.rename({"stay_id": "ed_stay_id"}), on="ed_stay_id", maintain_order="left_right")


def timed(rows: pl.DataFrame, names: list[str], table: Table, quarantine: Quarantine) -> pl.DataFrame:
    """Return rows with times in seconds, without those that lack the first, which are counted.

    Raises :class:`InputError` where all of a column are dates alone: nobody knows what was before admission then.
    """
    for name in names:
        refuse_dates(rows, name, table)
    needed = names[0]
    rows_without = rows.filter(pl.col(needed).is_null() | (pl.col(needed).cast(pl.String) == ""))
    if len(rows_without):
        first = f"row {rows_without['row'][0]}"
        quarantine.add(STAGE, table.path.name, first, "", f"{needed} empty", len(rows_without))
    return read_times(rows, names, table, quarantine, [needed]).drop_nulls(needed)


def known_at_admission(stay_ids: npt.NDArray[Any], values: npt.NDArray[np.float32]) -> Block:
    """Return one row ``[D]`` a stay at its hour 0."""
    return Block(stay_ids, np.ones(len(stay_ids), np.int64), values, np.zeros(len(stay_ids), np.float32))
