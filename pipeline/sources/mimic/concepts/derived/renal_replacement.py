"""Renal replacement: dialysis or filtration that runs, as procedures and the unit's charts say."""

import polars as pl

from .given import Given, points
from .hours import every_hour

CHARTED = ("crrt_mode", "crrt_charted", "dialysis_carevue")
PROCEDURES = ("haemodialysis", "crrt", "peritoneal")
INGREDIENTS = (*CHARTED, *PROCEDURES)


def replacement(given: Given) -> pl.DataFrame:
    """Return 1 at each time at which it runs: when it is charted, and every hour of a procedure."""
    charted = [
        given[name].filter((pl.col("value") > 0) | pl.lit(name != "crrt_charted")).select("key", time="known")
        for name in CHARTED
    ]
    procedures = [every_hour(given[name]).select("key", "time") for name in PROCEDURES]
    times = pl.concat([*charted, *procedures]).unique()
    stays = given.stays.select("key", "begin")
    inside = times.join(stays, on="key").filter(pl.col("time") >= pl.col("begin"))
    return points(inside, pl.lit(1.0))
