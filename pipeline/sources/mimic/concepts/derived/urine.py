"""Urine: what came out in the hours before, how many hours of them are documented, and the rate by weight.

What irrigated the bladder is an amount below 0, and a sum may be too. An output covers the time since the one before.
"""

import polars as pl

from .given import HOUR, Given
from .weight import INGREDIENTS as OF_WEIGHT
from .weight import weight_at

WINDOWS = (6, 12, 24)
"""Hours."""
INGREDIENTS = ("urine", *OF_WEIGHT)


def urine_windows(given: Given) -> pl.DataFrame:
    """Return at each time at which an output of the stay became known what the windows before it hold.

    Columns: key, time, begin, and for 6, 12 and 24 hours urine6 (mL), hours6 (documented) and rate6 (mL/kg/h).
    """
    of_stay = pl.col("time").is_between(pl.col("begin"), pl.col("stop"))
    urine = given.with_stay(given["urine"]).filter(of_stay).sort("known", "time")
    before = pl.col("time").cum_max().shift(1).over("key").fill_null(pl.col("begin"))
    urine = urine.with_columns(hours=pl.max_horizontal(pl.col("time") - before, 0) / HOUR)
    amounts = urine.group_by("key", "begin", time="known").agg(pl.col("value", "hours").sum())
    amounts = amounts.sort("key", "time")
    for window in WINDOWS:
        rolling = amounts.rolling("time", period=f"{window * HOUR}i", group_by="key")
        sums = rolling.agg(pl.col("value").sum().alias("urine"), pl.col("hours").sum())
        amounts = amounts.with_columns(sums["urine"].alias(f"urine{window}"), sums["hours"].alias(f"hours{window}"))
    kg = weight_at(given, amounts)
    rates = [(pl.col(f"urine{w}") / (pl.col("kg") * pl.col(f"hours{w}"))).alias(f"rate{w}") for w in WINDOWS]
    return amounts.drop("value", "hours").with_columns(kg=kg).with_columns(rates).drop("kg")
