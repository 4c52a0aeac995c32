"""Vasopressors: the spans in which any of them runs, and their sum as a rate of norepinephrine."""

import polars as pl

from .given import FRAME, TOLERANCE, Given, spans
from .ingredients import named

DRUGS = ("norepinephrine", "epinephrine", "phenylephrine", "vasopressin", "dopamine", "angiotensin_ii")
"""Not dobutamine and milrinone, which do not raise the pressure by themselves."""

EQUIVALENT = {
    "norepinephrine": 1.0, "epinephrine": 1.0, "phenylephrine": 1 / 10, "dopamine": 1 / 100, "vasopressin": 2.5 / 60,
}  # fmt: skip
"""mcg/kg/min of norepinephrine; vasopressin is in units/h, of which a unit/min counts 2.5."""

of_any = named(*DRUGS)
of_equivalent = named(*EQUIVALENT)


def running(given: Given) -> pl.DataFrame:
    """Return spans without a gap in which some drug runs, of value 1.

    A new rate or another drug begins no new span while one runs, or where one ends at that very time.
    """
    rates = pl.concat([given[name].select(*FRAME) for name in DRUGS])
    return without_gaps(rates.filter(pl.col("value") > 0, pl.col("end") > pl.col("time")))


def without_gaps(intervals: pl.DataFrame) -> pl.DataFrame:
    """Return the spans, of value 1, in which any interval runs."""
    ordered = intervals.sort("key", "time", "end")
    covered = pl.col("end").cum_max().shift(1).over("key")
    begins = (pl.col("time") > covered).fill_null(True)
    numbered = ordered.with_columns(span=begins.cum_sum().over("key"))
    merged = numbered.group_by("key", "span", maintain_order=True).agg(
        pl.col("time").min(), pl.col("end").max(), value=pl.lit(1.0)
    )
    return spans(merged)


def norepinephrine_equivalent(given: Given) -> pl.DataFrame:
    """Return the sum of all rates in mcg/kg/min, over the spans in which it does not change."""
    rates = pl.concat([given[name].with_columns(pl.col("value") * factor) for name, factor in EQUIVALENT.items()])
    rates = rates.filter(pl.col("end") > pl.col("time"))
    changes = pl.concat([
        rates.select("key", "time", change="value", number=1),
        rates.select("key", time="end", change=-pl.col("value"), number=-1),
    ])  # fmt: skip
    sums = changes.group_by("key", "time").agg(pl.col("change", "number").sum()).sort("key", "time")
    sums = sums.with_columns(pl.col("change", "number").cum_sum().over("key"), end=pl.col("time").shift(-1).over("key"))
    running_on = (pl.col("number") > 0) & (pl.col("change") > TOLERANCE)
    return spans(sums.filter(running_on).with_columns(value="change"))
