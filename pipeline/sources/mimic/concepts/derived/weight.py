"""Body weight of a stay: the last that was known, never a later one."""

import polars as pl

from ..held import USUAL_KG
from .given import HOUR, Given, points
from .ingredients import named
from .latest import newest

INGREDIENTS = ("weight_daily", "weight_admit")
ADMISSION_BEFORE = 2 * HOUR
"""Seconds before the stay from which a weight at admission counts."""

of_weight = named(*INGREDIENTS)


def _weights(given: Given) -> pl.DataFrame:
    """Return the weights of stays: at the admission to the unit the one known by then or null, then each other."""
    daily = given.with_stay(given["weight_daily"]).filter(pl.col("time") >= pl.col("begin"))
    admission = given.with_stay(given["weight_admit"]).filter(pl.col("time") >= pl.col("begin") - ADMISSION_BEFORE)
    known = newest(pl.concat([daily, admission])).with_columns(time=pl.max_horizontal("known", "begin"))
    begin = given.stays.select("key", time="begin", value=pl.lit(None, pl.Float64))
    weights = pl.concat([begin, known.select("key", "time", "value")])
    return weights.unique(["key", "time"], keep="last", maintain_order=True).sort("time", "key")


def weight(given: Given) -> pl.DataFrame:
    """Return the weight in kg: the last at or before a time, at admission or daily; 80 until one is known."""
    return points(given.once(_weights), pl.col("value").fill_null(USUAL_KG))


def weight_known(given: Given) -> pl.DataFrame:
    """Return whether the weight is one that was measured (1) or the usual one (0)."""
    return points(given.once(_weights), pl.col("value").is_not_null())


def weight_at(given: Given, frame: pl.DataFrame) -> pl.Series:
    """Return the weight in kg at the key and time of each row ``[N]``; before the stay 80."""
    weights = given.once(weight).select("key", "time", kg="value").sort("time")
    rows = frame.select("key", "time").with_row_index("row_number").sort("time")
    return (
        rows.join_asof(weights, on="time", by="key", check_sortedness=False)
        .sort("row_number")["kg"]
        .fill_null(USUAL_KG)
    )
