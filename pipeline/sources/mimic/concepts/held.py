"""Rates that hold until the next row, and values per kilogram: what needs other rows of a patient."""

import polars as pl

from .values import FEWEST_KG, MOST_KG, within_limits

LONGEST_HOLD = 4 * 3600
"""Seconds that a rate of CareVue holds without another row."""
USUAL_KG = 80.0


def hold_rates(events: pl.DataFrame) -> pl.DataFrame:
    """Give the rates of CareVue, which are points in time, an end: the next row of the item, at most 4 hours on.

    ``events`` of some subjects; rows that say that a rate ended only end the one before. Adds ``open_end``, the end as
    long as no other row is known, and ``end_known``, when the next one is; null for all other events.
    """
    events = events.with_columns(open_end=pl.lit(None, pl.Int64), end_known=pl.lit(None, pl.Int64))
    points = events.filter("hold")
    if points.is_empty():
        return events
    points = points.sort("subject", "pair", "time", "row")
    latest = pl.col("time") + LONGEST_HOLD
    following = pl.col("time").shift(-1).over("subject", "pair").fill_null(latest)
    points = points.with_columns(
        end=pl.min_horizontal(following, latest),
        open_end=latest,
        end_known=pl.when(following < latest).then(pl.col("known").shift(-1).over("subject", "pair")),
    )
    return pl.concat([events.filter(~pl.col("hold")), points.filter(~pl.col("stopped"))])


def apply_weights(events: pl.DataFrame, weights: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """Multiply values by the weight of the patient to their ``power``.

    That is the weight of the row itself, or else the last in ``weights`` (subject, known, weight) that was known by
    then, or else 80 kg, which ``usual`` marks. ``beyond`` marks those that are then outside their ``limits`` (concept,
    low, high).
    """
    events = events.with_columns(usual=pl.lit(False), beyond=pl.lit(False))
    weighed = events.filter(pl.col("power") != 0)
    if weighed.is_empty():
        return events
    charted = weights.sort("known").select("subject", "known", "weight")
    weighed = weighed.sort("known").join_asof(charted, on="known", by="subject", check_sortedness=False)
    own = pl.when(pl.col("kg").is_between(FEWEST_KG, MOST_KG)).then("kg")
    kg = pl.coalesce(own, "weight")
    weighed = weighed.with_columns(
        usual=kg.is_null(), value=pl.col("value") * kg.fill_null(USUAL_KG) ** pl.col("power")
    ).join(limits, on="concept", maintain_order="left")
    weighed = weighed.with_columns(beyond=~within_limits(pl.col("value")))
    return pl.concat([events.filter(pl.col("power") == 0), weighed.select(events.columns)])
