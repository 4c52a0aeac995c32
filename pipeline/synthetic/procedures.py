"""Who is ventilated invasively, and for how long: the higher the planted statistic of the EHR, the more."""

from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import expit

from .cohort import Cohort, Layout
from .law import MODALITIES
from .layouts import write_table
from .people import HOUR

VENTILATION, LABEL, CATEGORY = 225792, "Invasive Ventilation", "Ventilation"
LOG_ODDS, SHARED, OWN = -0.6, 0.9, 0.6
"""Of being ventilated: of a usual stay, and the effects of the statistic's two numbers."""
TYPICAL_HOURS, SPREAD, LONGER = 18.0, 0.5, 0.3
"""Of a ventilation, with the standard deviation of its logarithm and the effect of the first number on that."""
LATEST_START = 12 * HOUR
SHORTEST = HOUR


def write_procedures(raw: Path, cohort: Cohort, layout: Layout, rng: np.random.Generator) -> None:
    """Write the table of procedures of the stays that have events."""
    stays = cohort.stays.with_row_index("row").filter("has_events")
    statistic = cohort.draw.statistic[stays["row"].to_numpy(), MODALITIES.index("ehr")]  # [stays, 2]
    ventilated = rng.random(len(stays)) < expit(LOG_ODDS + statistic @ np.array([SHARED, OWN]))
    begin = stays["intime"] + pl.Series(rng.integers(0, LATEST_START // 60, len(stays)) * 60)
    hours = TYPICAL_HOURS * np.exp(SPREAD * rng.standard_normal(len(stays)) + LONGER * statistic[:, 0])
    length = pl.Series((hours * 60).astype(np.int64) * 60)
    end = pl.min_horizontal(pl.col("starttime") + length, pl.col("outtime") // 60 * 60)
    rows = stays.with_columns(starttime=begin // 60 * 60).with_columns(endtime=end)
    rows = rows.filter(pl.Series(ventilated) & (pl.col("endtime") - pl.col("starttime") >= SHORTEST))
    name = "procedureevents" if layout == "mimic4" else "procedureevents_mv"
    given = rows.sort("subject_id", "starttime").with_columns(
        itemid=pl.lit(VENTILATION), value=(pl.col("endtime") - pl.col("starttime")) // 60, valueuom=pl.lit("min"),
        storetime=pl.col("starttime") + pl.Series(60 * rng.integers(1, 40, len(rows))),
        orderid=pl.int_range(1, pl.len() + 1), ordercategoryname=pl.lit(CATEGORY),
        ordercategorydescription=pl.lit("Task"), statusdescription=pl.lit("FinishedRunning"),
    )  # fmt: skip
    write_table(raw, layout, name, [given])


def procedure_labels() -> pl.DataFrame:
    """Return the rows of the dictionary of items."""
    columns = ["itemid", "table", "label", "unit", "category"]
    return pl.DataFrame([(VENTILATION, "procedure", LABEL, "min", CATEGORY)], columns, orient="row")
