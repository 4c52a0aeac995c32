"""Acute kidney injury by creatinine (KDIGO 2012), the part without urine.

A creatinine is compared with the smallest of the 48 hours and of the 7 days before it, so that the first has stage 0.
Comparisons have a tolerance: in binary numbers 1.0 + 0.3 is more than 1.3, and a rise of exactly 0.3 would be missed.
"""

from collections.abc import Mapping

import polars as pl

from ..definitions import Concept, Version

BLOOD_CREATININE = 50912
"""The laboratory's own; whole blood and point of care differ from it by more than the rises that count."""
HIGHEST = 150.0
"""mg/dL; values above are mistakes."""
TOLERANCE = 1e-6
BEFORE = 7 * 86_400
"""Seconds before the admission to the unit from which creatinine counts."""


def ingredients(version: Version) -> tuple[Concept, ...]:  # noqa: ARG001  (the item is the same in all releases)
    """Return the concept that stages are made of."""
    items = {"labevents": (BLOOD_CREATININE,)}
    return (Concept("derived", "creatinine of stages", items, unit="mg/dL", low=0, high=HIGHEST),)


def creatinine_stage(events: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the stage at each time of a creatinine: key, time, end (null), value 0 to 3.

    Values at one time count as their mean. Stage 1: 0.3 mg/dL more than in 48 hours, or 1.5 times that of 7 days; stage
    2: twice; stage 3: three times, or 4 mg/dL with either rise of stage 1.
    """
    (creatinine,) = events.values()
    value = creatinine.group_by("key", pl.col("known").alias("time")).agg(c=pl.col("value").mean())
    value = value.sort("key", "time").with_columns(at=pl.from_epoch("time"))
    c = pl.col("c")
    lowest = [
        value.rolling("at", period=period, closed="none", group_by="key").agg(c.min().alias(name))[name]
        for name, period in (("low48", "48h"), ("low7d", "7d"))
    ]
    rise = (c >= pl.col("low48") + 0.3 - TOLERANCE) | (c >= 1.5 * pl.col("low7d") - TOLERANCE)
    severe = (c >= 3 * pl.col("low7d") - TOLERANCE) | (rise & (c >= 4 - TOLERANCE))
    twice = c >= 2 * pl.col("low7d") - TOLERANCE
    stage = pl.when(severe).then(3).when(twice).then(2).when(rise).then(1).otherwise(0)
    staged = value.with_columns(lowest).with_columns(value=stage.cast(pl.Float64), end=pl.lit(None, pl.Int64))
    return staged.select("key", "time", "end", "value")
