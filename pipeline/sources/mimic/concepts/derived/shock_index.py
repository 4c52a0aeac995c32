"""Shock index: heart rate over systolic pressure, both of one hour."""

import polars as pl

from .given import HOUR, Given, points
from .ingredients import named
from .latest import side_by_side

INGREDIENTS = ("heart_rate", "abp_sys", "nbp_sys")
of_shock_index = named(*INGREDIENTS)


def shock_index(given: Given) -> pl.DataFrame:
    """Return the index whenever a rate or a pressure becomes known; an arterial pressure comes before a cuff's."""
    pressures = {name: given[name].filter(pl.col("value") > 0) for name in ("abp_sys", "nbp_sys")}
    both = side_by_side({"heart_rate": given["heart_rate"], **pressures}, HOUR)
    index = both.with_columns(value=pl.col("heart_rate") / pl.coalesce("abp_sys", "nbp_sys"))
    return points(index.drop_nulls("value"))
