"""Triage in the emergency department that a patient came to the unit from (MIMIC-IV-ED).

The ``stay_id`` of MIMIC-IV-ED is that of a stay in the department, not of one in the unit: it is ``ed_stay_id`` here. A
stay in the department belongs to a stay in the unit by the admission to the hospital, or else if the same patient left
the department in the 24 hours before. Triage has no time; it is taken to be known 15 minutes after arrival.

Diagnosis and disposition are assigned when all is over, and are read by nobody.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import polars as pl

from ....cache_schema import Column, MissingInputError
from ...source import Block, Quarantine, TableModality
from .folder import MimicFolder
from .tables import DEPTH, Table, read_table, unique_rows
from .times import read_times

VERSION = 1
"""To be raised whenever the same tables would give other values."""

STAGE = "ed"
HOUR = 3600
TRIAGE_SECONDS = 900
"""From arrival to triage: our choice, not a fact of MIMIC-IV-ED."""
BEFORE_UNIT_HOURS = 24
HOTTEST_CELSIUS = 50
"""Of a temperature: what is lower is in degrees Celsius, the others are in degrees Fahrenheit."""

VALUES = {
    "temperature": (Column("Temperature", "°C"), 25.0, 45.0),
    "heartrate": (Column("Heart Rate", "1/min"), 0.0, 350.0),
    "resprate": (Column("Respiratory rate", "1/min"), 0.0, 150.0),
    "o2sat": (Column("Oxygen saturation", "%"), 0.0, 100.0),
    "sbp": (Column("Systolic blood pressure", "mmHg"), 0.0, 375.0),
    "dbp": (Column("Diastolic blood pressure", "mmHg"), 0.0, 375.0),
    "pain": (Column("Pain", "0 to 10"), 0.0, 10.0),
    "acuity": (Column("Acuity", "1 worst to 5"), 1.0, 5.0),
}
"""Column of triage: what it becomes, and the lowest and the highest that it can be."""

TWO_STAYS = "ed_two_stays: of several stays in the department before the unit the last counts"
TOO_LATE = "triage is not known before admission to the unit"


def ed_tables(folder: MimicFolder) -> tuple[Table, Table]:
    """Return edstays and triage; raises :class:`MissingInputError` where one is missing."""
    tables = []
    for name in ("edstays", "triage"):
        path = folder.find_ed_table(name)
        if path is None:
            release = "" if folder.version == 4 else " MIMIC-III has no emergency department: use MIMIC-IV."
            raise MissingInputError(
                f"{folder.raw} (searched to {DEPTH} levels below) has no ed/{name}.csv(.gz) of MIMIC-IV-ED. Add it, or "
                f"leave ed out of --modalities.{release}"
            )
        tables.append(Table.open(path))
    return tables[0], tables[1]


def triage(folder: MimicFolder, stays: pl.DataFrame) -> TableModality:
    """Return the modality ``ed``: one row of 8 numbers for each stay of a patient who came through the department.

    ``stays`` has stay_id, subject_id, hadm_id, and intime in seconds. All of it was known before the stay, so that a
    row has no time.
    """
    departed, measured = ed_tables(folder)
    recipe = {"version": VERSION, "triage_seconds": TRIAGE_SECONDS, "before_unit_hours": BEFORE_UNIT_HOURS}
    columns = tuple(column for column, _, _ in VALUES.values())
    inputs = (folder.table("icustays").path, departed.path, measured.path)
    return TableModality(
        "ed", "features", columns, "triage before the stay", recipe, inputs,
        partial(_blocks, departed, measured, stays), "triage in the emergency department",
    )  # fmt: skip


def _blocks(departed: Table, measured: Table, stays: pl.DataFrame, quarantine: Quarantine) -> Iterator[Block]:
    visits = _visits(departed, stays, quarantine)
    rows = visits.join(_measured(measured, visits["ed_stay_id"], quarantine), on="ed_stay_id").sort("stay_id")
    values = rows.select(list(VALUES)).to_numpy().astype(np.float32)  # [n, 8]
    known = ~np.isnan(values).all(axis=1)
    count = int(known.sum())
    time = np.full(count, np.nan, np.float32)
    yield Block(rows["stay_id"].to_numpy()[known], np.ones(count, np.int64), values[known], time)


def _visits(table: Table, stays: pl.DataFrame, quarantine: Quarantine) -> pl.DataFrame:
    """Return stay_id and ed_stay_id: the last stay in the department before each stay in the unit."""
    table.require(["subject_id", "hadm_id", "stay_id", "intime", "outtime"])
    frame = read_table(table, ["subject_id", "hadm_id", "stay_id"], ["intime", "outtime"], quarantine, ["stay_id"])
    frame = frame.filter(pl.col("subject_id").is_in(stays["subject_id"].unique().implode()))
    frame = unique_rows(frame, ["stay_id"], table, quarantine)
    frame = read_times(frame, ["intime", "outtime"], table, quarantine, ["intime"]).drop_nulls("intime")
    frame = frame.rename({"stay_id": "ed_stay_id", "intime": "arrival", "outtime": "departure", "hadm_id": "of_hadm"})
    pairs = stays.select("stay_id", "subject_id", "hadm_id", "intime").join(frame, on="subject_id")
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
    return last.select("stay_id", "ed_stay_id")


def known_before_unit() -> pl.Expr:
    """Whether triage, 15 minutes after arrival, was over when the patient came to the unit."""
    return pl.col("arrival") + TRIAGE_SECONDS <= pl.col("intime")


def _measured(table: Table, wanted: pl.Series, quarantine: Quarantine) -> pl.DataFrame:
    """Return ed_stay_id and the values of triage; what is no number or cannot be is listed, and NaN."""
    table.require(["stay_id", *VALUES])
    keep = pl.col("stay_id").is_in(wanted.unique().implode())
    schema = pl.Schema({"row": pl.Int64(), "stay_id": pl.Int64(), **dict.fromkeys(VALUES, pl.String())})
    batches = table.batches(["stay_id"], list(VALUES), quarantine, keep)
    rows = pl.concat([schema.to_frame(), *(batch.select(list(schema)).cast(schema) for batch in batches)])
    rows = unique_rows(rows, ["stay_id"], table, quarantine)
    for name, (_, low, high) in VALUES.items():
        number = rows[name].str.strip_chars().cast(pl.Float64, strict=False)
        if name == "temperature":
            number = number.zip_with(number < HOTTEST_CELSIUS, (number - 32) / 1.8)
        possible = number.is_between(low, high).fill_null(False)
        written = rows[name].str.strip_chars().fill_null("") != ""
        for row, value in rows.filter(written & ~possible).select("row", name).iter_rows():
            quarantine.add(STAGE, table.path.name, f"row {row}", value, f"{name} is no number from {low:g} to {high:g}")
        rows = rows.with_columns(number.set(~possible, None).fill_null(float("nan")).alias(name))
    return rows.rename({"stay_id": "ed_stay_id"}).drop("row")
