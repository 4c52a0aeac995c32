"""Acute kidney injury (KDIGO 2012): its stages by creatinine, by urine, and of both with renal replacement.

A creatinine is compared with the smallest of the 48 hours and of the 7 days before it, so that the first has stage 0,
and no later value is a baseline. Comparisons have a tolerance: in binary numbers 1.0 + 0.3 is more than 1.3, and a rise
of exactly 0.3 would be missed.
"""

import polars as pl

from .given import DAY, HOUR, TOLERANCE, Given, at_least, below, graded, points
from .ingredients import named
from .renal_replacement import INGREDIENTS as OF_REPLACEMENT
from .renal_replacement import replacement
from .urine import INGREDIENTS as OF_URINE
from .urine import urine_windows

CREATININE = "creatinine_lab"
CARRIED = 6 * HOUR
"""Seconds for which a stage by one criterion counts beside the others."""
EARLIEST_BY_URINE = 6 * HOUR
OF_REPLACEMENT_STAGE = 3.0

of_creatinine = named(CREATININE)
of_urine = named(*OF_URINE)
of_all = named(CREATININE, *OF_URINE, *OF_REPLACEMENT)


def creatinine_stage(given: Given) -> pl.DataFrame:
    """Return the stage at each time of a creatinine: 0 to 3.

    Values at one time count as their mean. Stage 1: 0.3 mg/dL more than in 48 hours, or 1.5 times that of 7 days; stage
    2: twice; stage 3: three times, or 4 mg/dL with either rise of stage 1.
    """
    value = given[CREATININE].group_by("key", pl.col("known").alias("time")).agg(c=pl.col("value").mean())
    value = value.sort("key", "time")
    lowest = [
        value.rolling("time", period=f"{seconds}i", closed="none", group_by="key").agg(pl.col("c").min().alias(name))[
            name
        ]
        for name, seconds in (("low48", 2 * DAY), ("low7d", 7 * DAY))
    ]
    value = value.with_columns(lowest)
    low7d = pl.col("low7d")
    rise = (at_least("c", pl.col("low48") + 0.3) | at_least("c", 1.5 * low7d)).fill_null(False)
    severe = at_least("c", 3 * low7d).fill_null(False) | (rise & at_least("c", 4))
    return points(value, graded({1: rise, 2: at_least("c", 2 * low7d), 3: severe}))


def urine_stage(given: Given) -> pl.DataFrame:
    """Return the stage at each time of an output of urine, from 6 hours in the unit on: 0 to 3.

    Stage 1: less than 0.5 mL/kg/h over 6 documented hours; stage 2: over 12; stage 3: less than 0.3 over 24, or nothing
    over 12. A window in which more was run in than came out tells nothing.
    """
    windows = given.once(urine_windows).filter(pl.col("time") >= pl.col("begin") + EARLIEST_BY_URINE)

    def low(hours: int, rate: float) -> pl.Expr:
        enough = at_least(f"hours{hours}", hours) & at_least(f"urine{hours}", 0)
        return enough & below(f"rate{hours}", rate)

    none = at_least("hours12", 12) & (pl.col("urine12").abs() <= TOLERANCE)
    return points(windows, graded({1: low(6, 0.5), 2: low(12, 0.5), 3: low(24, 0.3) | none}))


def stage(given: Given) -> pl.DataFrame:
    """Return the highest stage of the last 6 hours by creatinine, by urine, and 3 while renal replacement runs."""
    replaced = given.once(replacement).with_columns(value=pl.lit(OF_REPLACEMENT_STAGE))
    parts = [given.once(creatinine_stage), given.once(urine_stage), replaced]
    times = pl.concat(parts).group_by("key", "time").agg(pl.col("value").max()).sort("key", "time")
    highest = times.rolling("time", period=f"{CARRIED}i", group_by="key").agg(pl.col("value").max())
    return points(highest)
