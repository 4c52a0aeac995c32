"""The hours of stays: what became known in each, and the worst of a day."""

from collections.abc import Mapping

import polars as pl

from .given import DAY, HOUR, Given, Make

FIRST = -24
"""The hour of the first row; that of the admission to the unit is 0, and holds the hour before it."""
ROWS_OF_A_DAY = 24


def hours_of(given: Given, last: pl.DataFrame) -> pl.DataFrame:
    """Return the hours of some stays: key, hour and time, its end; the last ends with the stay.

    ``last`` has key and hour, which is the last of a stay of which no end is known.
    """
    stays = given.stays.select("key", "begin", "stop").join(last, on="key", maintain_order="left")
    stays = stays.with_columns(stop=pl.coalesce("stop", pl.col("begin") + pl.max_horizontal("hour", 0) * HOUR))
    stays = stays.filter(pl.col("stop") >= pl.col("begin"))
    hours = stays.with_columns(hour=pl.int_ranges(FIRST, hour_of("stop") + 1)).explode("hour")
    end = pl.min_horizontal(pl.col("begin") + pl.col("hour") * HOUR, "stop")
    return hours.select("key", "hour", time=end).sort("key", "hour")


def hour_of(time: str) -> pl.Expr:
    """Return the hour in which a column of times lies: hour h is (h - 1, h] from ``begin`` on."""
    return -((pl.col("begin") - pl.col(time)) // HOUR)


def worst_of_hours(given: Given, events: pl.DataFrame, score: pl.Expr) -> pl.DataFrame:
    """Return the highest score of what became known in each hour: key, hour, score."""
    inside = given.with_stay(events).filter(pl.col("known") <= pl.col("stop"))
    scored = inside.with_columns(hour=hour_of("known"), score=score)
    return scored.group_by("key", "hour").agg(pl.col("score").max()).drop_nulls("score")


def running_hours(given: Given, spans: pl.DataFrame, score: pl.Expr) -> pl.DataFrame:
    """Return the highest score of what runs at any time of each hour: key, hour, score."""
    inside = given.with_stay(spans).filter(pl.col("time") <= pl.col("stop"), pl.col("end") >= pl.col("begin") - DAY)
    scored = inside.with_columns(pl.min_horizontal("end", "stop"), score=score)
    first = pl.max_horizontal(hour_of("time"), FIRST)
    hours = scored.select("key", "score", hour=pl.int_ranges(first, hour_of("end") + 1)).explode("hour")
    return hours.group_by("key", "hour").agg(pl.col("score").max())


def of_parts(given: Given, parts: Mapping[str, Make]) -> pl.DataFrame:
    """Return the hours of stays: key, time, each part, `total` (the worst of each of the last 24 rows) and `known`.

    Rows begin with the first in which a part is known.
    """
    scores = {name: given.once(part) for name, part in parts.items()}
    last = (
        pl.concat([score.select("key", "hour") for score in scores.values()]).group_by("key").agg(pl.col("hour").max())
    )
    rows = hours_of(given, last)
    for name, score in scores.items():
        highest = score.group_by("key", "hour").agg(pl.col("score").max().alias(name))
        rows = rows.join(highest, on=["key", "hour"], how="left", maintain_order="left")
    of_a_day = (pl.col(name).rolling_max(ROWS_OF_A_DAY, min_samples=1).over("key") for name in parts)
    worst = rows.with_columns(of_a_day)
    total = worst.select(total=pl.sum_horizontal(*parts), known=pl.sum_horizontal(pl.col(*parts).is_not_null()))
    rows = pl.concat([rows, total], how="horizontal")
    return rows.filter(pl.col("known").cum_max().over("key") > 0)


def every_hour(spans: pl.DataFrame) -> pl.DataFrame:
    """Return each span as points, one at its beginning and one an hour while it goes on: key, time, value."""
    times = pl.int_ranges("time", pl.max_horizontal("end", pl.col("time") + 1), step=HOUR)
    return spans.select("key", "value", time=times).explode("time")
