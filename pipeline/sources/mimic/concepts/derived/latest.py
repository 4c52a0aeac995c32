"""Values of several ingredients beside each other: the latest of each, those of one sample, those shortly before."""

from collections.abc import Mapping

import polars as pl


def newest(points: pl.DataFrame) -> pl.DataFrame:
    """Return points in order of when they were known, without those that are older than one that was known before."""
    ordered = points.sort("known", "time", maintain_order=True)
    return ordered.filter(pl.col("time") >= pl.col("time").cum_max().over("key"))


def side_by_side(ingredients: Mapping[str, pl.DataFrame], seconds: int) -> pl.DataFrame:
    """Return the latest value of each ingredient whenever one becomes known: key, time and a column for each.

    Null is what is older than ``seconds``: windows are (t - seconds, t].
    """
    times = pl.concat([one.select("key", time="known") for one in ingredients.values()]).unique().sort("time", "key")
    for name, one in ingredients.items():
        latest = newest(one).select("key", at="time", time="known", **{name: "value"})
        times = times.join_asof(latest, on="time", by="key", check_sortedness=False)
        fresh = pl.col("time") - pl.col("at") < seconds
        times = times.with_columns(pl.when(fresh).then(name).alias(name)).drop("at")
    return times.sort("key", "time")


def first_known(points: pl.DataFrame) -> pl.DataFrame:
    """Return one value for each key and time at which a sample was taken: the mean of those that were known first."""
    first = points.filter(pl.col("known") == pl.col("known").min().over("key", "time"))
    return first.group_by("key", "time", maintain_order=True).agg(pl.col("known").first(), pl.col("value").mean())


def of_one_sample(ingredients: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the values of samples that have all ingredients: key, time (when all were known) and a column for each."""
    (name, one), *others = ingredients.items()
    samples = first_known(one).rename({"value": name})
    for name, other in others:
        more = first_known(other).select("key", "time", name_known="known", **{name: "value"})
        samples = samples.join(more, on=["key", "time"])
        samples = samples.with_columns(known=pl.max_horizontal("known", "name_known")).drop("name_known")
    return samples.with_columns(time="known").drop("known")


def last_before(points: pl.DataFrame, others: pl.DataFrame, seconds: int) -> pl.Series:
    """Return for each point ``[N]`` the value of the last of the others at most ``seconds`` before it, null for none.

    That is by the times at which they were taken, of those that were known by when the point was.
    """
    numbered = points.with_row_index("point")
    block = pl.col("time") // seconds  # what is near enough lies in the same block or in the one before
    candidates = pl.concat([others.with_columns(block=block), others.with_columns(block=block + 1)])
    asked = numbered.select("point", "key", at="time", by="known", block=block)
    pairs = asked.join(candidates.select("key", "block", "time", "known", "value"), on=["key", "block"])
    near = (pl.col("time") <= pl.col("at")) & (pl.col("at") - pl.col("time") <= seconds)
    pairs = pairs.filter(near, pl.col("known") <= pl.col("by")).sort("point", "time", maintain_order=True)
    last = pairs.unique("point", keep="last", maintain_order=True).select("point", "value")
    return numbered.select("point").join(last, on="point", how="left", maintain_order="left")["value"]
