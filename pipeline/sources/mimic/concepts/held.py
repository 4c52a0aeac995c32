"""Rates that hold until the next row, and values per kilogram: what needs other rows of a patient."""

import polars as pl

from .values import FEWEST_KG, MOST_KG, within_limits

LONGEST_HOLD = 4 * 3600
"""Seconds that a rate of CareVue holds without another row."""
MOST_ROWS = 60
"""Rows of an item within that time that are looked at: one in four minutes."""
STOPS = {"time": "stops", "known": "stops_known"}
USUAL_KG = 80.0


def hold_rates(events: pl.DataFrame) -> pl.DataFrame:
    """Give the rates of CareVue, which are points in time, an end: the next row of the item, at most 4 hours on.

    ``events`` of some subjects; rows that say that a rate ended only end those before. Adds, null for all other events,
    ``open_end``, the end as long as no other row is known, and the times of the rows that may end it, ``stops``, with
    when these are known, ``stops_known``: rows are not always stored in order.
    """
    none, nones = pl.lit(None, pl.Int64), pl.lit(None, pl.List(pl.Int64))
    events = events.with_columns(open_end=none, stops=nones, stops_known=nones)
    points = events.filter("hold")
    if points.is_empty():
        return events
    points = points.sort("subject", "pair", "time", "row").with_row_index("point")
    latest = pl.col("time") + LONGEST_HOLD
    stops = _following(points).group_by("point").agg("stops", "stops_known")
    points = points.drop("stops", "stops_known").join(stops, on="point", how="left", maintain_order="left")
    end = pl.min_horizontal(pl.col("stops").list.min(), latest)
    points = points.with_columns(end=end, open_end=latest).filter(~pl.col("stopped"))
    return pl.concat([events.filter(~pl.col("hold")), points.select(events.columns)])


def _following(points: pl.DataFrame) -> pl.DataFrame:
    """Return for each point the later rows of its item while it may hold: point, stops, stops_known."""
    found = []
    for ahead in range(1, MOST_ROWS + 1):
        later = points.select(
            "point",
            "time",
            *(pl.col(name).shift(-ahead).over("subject", "pair").alias(to) for name, to in STOPS.items()),
        ).filter(pl.col("stops") < pl.col("time") + LONGEST_HOLD)
        found.append(later.drop("time"))
        if later.is_empty():
            break
    return pl.concat(found)


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
