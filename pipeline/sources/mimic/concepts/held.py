"""Rates that hold until the next row, and values per kilogram: what needs other rows of a patient."""

import polars as pl

from .values import FEWEST_KG, MOST_KG, within_limits

LONGEST_HOLD = 4 * 3600
"""Seconds that a rate of CareVue holds without another row."""
USUAL_KG = 80.0
ENDS = pl.List(pl.Struct({"known": pl.Int64, "end": pl.Int64}))
"""Ends of a rate, each with the second from which it is known."""


def hold_rates(events: pl.DataFrame) -> pl.DataFrame:
    """Give the rates of CareVue, which are points in time, an end: the next row of the item, at most 4 hours on.

    ``events`` of some subjects; rows that say that a rate ended only end the one before. Adds ``open_end``, the end as
    long as no other row is known, and ``end_known``, when the next one is; null for all other events. A rate whose
    next row is known later than one behind it has several ends, one after the other: ``ends`` lists them from the
    first that is known (known, end); null for all others.
    """
    events = events.with_columns(
        open_end=pl.lit(None, pl.Int64), end_known=pl.lit(None, pl.Int64), ends=pl.lit(None, ENDS)
    )
    points = events.filter("hold")
    if points.is_empty():
        return events
    points = points.sort("subject", "pair", "time", "row").with_row_index("point")
    latest, item = pl.col("time") + LONGEST_HOLD, ("subject", "pair")
    following = pl.col("time").shift(-1).over(item).fill_null(latest)
    next_known = pl.when(following < latest).then(pl.col("known").shift(-1).over(item))
    points = points.with_columns(end=pl.min_horizontal(following, latest), open_end=latest, end_known=next_known)
    points = points.drop("ends").join(_ends(points), on="point", how="left", maintain_order="left")
    held = points.filter(~pl.col("stopped")).select(events.columns)
    return pl.concat([events.filter(~pl.col("hold")), held])


def _ends(points: pl.DataFrame) -> pl.DataFrame:
    """Return the ends of points whose next row is known later than one behind it: point, ends.

    ``points`` are in order of time within each item of a subject.
    """
    item = ["subject", "pair"]
    earliest = pl.col("known").cum_min(reverse=True).shift(-1).over(item)  # of all rows behind
    late = points.filter(pl.col("end_known") > earliest).select("point", *item, latest="open_end")
    behind = late.join(points.select(*item, "known", number="point", end="time"), on=item)
    behind = behind.filter(pl.col("number") > pl.col("point"), pl.col("end") < pl.col("latest"))
    behind = behind.sort("point", "known", "end")
    sooner = pl.col("end") < pl.col("end").cum_min().shift(1).over("point").fill_null(pl.col("latest"))
    return behind.filter(sooner).group_by("point", maintain_order=True).agg(ends=pl.struct("known", "end"))


def one_end_at_a_time(events: pl.DataFrame) -> pl.DataFrame:
    """Return events of which each has the end that is known from ``known`` until ``gone``, null where that stays.

    An event with several ``ends`` becomes one without end, as long as none is known, and one for each of them.
    """
    alone = events.with_columns(gone=pl.lit(None, pl.Int64))
    several = events.filter(pl.col("ends").is_not_null())
    if several.is_empty():
        return alone
    open_ = several.with_columns(
        end="open_end", end_known=pl.lit(None, pl.Int64), gone=pl.col("ends").list.first().struct.field("known")
    )
    numbered = several.with_row_index("event").explode("ends")
    told, end = (pl.col("ends").struct.field(name) for name in ("known", "end"))
    ended = numbered.with_columns(gone=told.shift(-1).over("event"), told=told, end=end, open_end=end)
    ended = ended.with_columns(
        known=pl.max_horizontal("known", "told"), end_known=pl.lit(None, pl.Int64), ends=pl.lit(None, ENDS)
    )
    return pl.concat([alone.filter(pl.col("ends").is_null()), open_, ended.select(open_.columns)])


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
