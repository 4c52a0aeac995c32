"""Any vasopressor: the spans in which at least one of them runs."""

from collections.abc import Mapping

import polars as pl

from ..definitions import Concept, Version, starter_set

DRUGS = ("norepinephrine", "epinephrine", "phenylephrine", "vasopressin", "dopamine", "angiotensin_ii")
"""Not dobutamine and milrinone, which do not raise the pressure by themselves."""


def ingredients(version: Version) -> tuple[Concept, ...]:
    """Return the drugs that a release has."""
    return tuple(concept for concept in starter_set("vasopressors", version) if concept.name in DRUGS)


def running(events: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return spans without a gap: key, time, end, value 1.

    A new rate or another drug begins no new span while one runs, or where one ends at that very time.
    """
    rates = pl.concat(events.values()).filter(pl.col("value") > 0, pl.col("end") > pl.col("time"))
    rates = rates.sort("key", "time", "end")
    covered = pl.col("end").cum_max().shift(1).over("key")
    begins = (pl.col("time") > covered).fill_null(True)
    spans = rates.with_columns(span=begins.cum_sum().over("key"))
    merged = spans.group_by("key", "span", maintain_order=True).agg(
        pl.col("time").min(), pl.col("end").max(), value=pl.lit(1.0)
    )
    return merged.select("key", "time", "end", "value")
