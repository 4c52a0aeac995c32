"""Vital signs in the emergency department, at hours before admission to the unit (or after it, until the patient left).

A value is known when it is charted. What is charted before arrival, or after the unit, belongs to no stay.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from .....cache_schema import Column
from ....source import Block, Quarantine
from ..tables import Table
from .measured import VITAL_SIGNS, numbers
from .visits import HOUR, STAGE, Visits, rows_of_visits, timed

TITLE = "vital signs in the emergency department"
OUTSIDE = "charted before arrival in the department, or after the unit"
NAMES = tuple(what.concept for what in VITAL_SIGNS.values())
COLUMNS = (
    *(Column(what.concept, what.unit, what.concept) for what in VITAL_SIGNS.values()),
    *(Column(f"mask->{name}", "", name, "mask") for name in NAMES),
)


def vital_blocks(tables: Mapping[str, Table], visits: Visits, quarantine: Quarantine) -> Iterator[Block]:
    """Yield the rows ``[R, 14]`` of all stays: seven values and their masks, one row each time of charting."""
    vitalsign = tables["vitalsign"]
    rows = rows_of_visits(vitalsign, visits.read(quarantine), ["charttime", *VITAL_SIGNS], quarantine)
    rows = timed(rows, ["charttime"], vitalsign, quarantine)
    within = pl.col("charttime").is_between("arrival", pl.coalesce("outtime", "charttime"))
    outside = rows.filter(~within)
    if len(outside):
        quarantine.add(STAGE, vitalsign.path.name, f"row {outside['row'][0]}", "", OUTSIDE, len(outside))
    rows = rows.filter(within).sort("stay_id", "charttime", "row")
    values = numbers(rows, VITAL_SIGNS, vitalsign, quarantine).fill_null(np.nan).to_numpy()  # [R, 7]
    known = ~np.isnan(values)
    kept = rows.select("stay_id", hours=(pl.col("charttime") - pl.col("intime")) / HOUR).filter(known.any(axis=1))
    of_stay = kept.group_by("stay_id", maintain_order=True).len()
    matrix = np.concatenate([values, known], axis=1)[known.any(axis=1)].astype(np.float32)  # [R, 14]
    time = kept["hours"].to_numpy().astype(np.float32)
    yield Block(of_stay["stay_id"].to_numpy(), of_stay["len"].to_numpy().astype(np.int64), matrix, time)
