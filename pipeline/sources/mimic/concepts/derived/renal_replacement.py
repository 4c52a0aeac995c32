"""Renal replacement: dialysis or filtration that runs, as procedures and the unit's charts say."""

import polars as pl

from .given import Given, points
from .hours import every_hour

CHARTED = ("crrt_mode", "crrt_charted", "dialysis_carevue")
PROCEDURES = ("haemodialysis", "crrt", "peritoneal")
INGREDIENTS = (*CHARTED, *PROCEDURES)


def replacement(given: Given) -> pl.DataFrame:
    """Return 1 at each time of the stay at which it runs: when it is charted, and every hour of a procedure."""
    charted = [
        given[name].filter((pl.col("value") > 0) | pl.lit(name != "crrt_charted")).select("key", time="known")
        for name in CHARTED
    ]
    procedures = [every_hour(given[name]).select("key", "time") for name in PROCEDURES]
    times = pl.concat([*charted, *procedures]).unique()
    owned = given.with_stay(times.with_columns(known="time"))
    return points(owned.filter(pl.col("time").is_between(pl.col("begin"), pl.col("stop"))), pl.lit(1.0))
