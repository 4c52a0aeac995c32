"""Oxygen in the blood for the oxygen that is breathed: P/F of arterial samples, S/F of the pulse oximeter.

The fraction of inspired oxygen is the laboratory's for the sample itself, else the last charted one of at most 4 hours
before. Charted values of 1.0 and 100 % count: they are of the sickest.
"""

import polars as pl

from ..definitions import starters
from .given import HOUR, Given, points
from .ingredients import named
from .latest import first_known, last_before

LOOK_BACK = 4 * HOUR
HIGHEST_SPO2 = 97.0
"""%; above it the saturation says nothing of the pressure."""
OF_ARTERIAL = ("specimen_type",)
OF_PF = ("po2", *OF_ARTERIAL, "fio2_lab", "fio2")

of_pf = named(*OF_PF)
of_sf = named("spo2", "fio2")


def arterial(given: Given, name: str) -> pl.DataFrame:
    """Return the values of a blood gas in arterial samples: key, time (of the sample), known, value.

    Patient and time tell samples apart; where that gives two kinds of sample, it is none.
    """
    levels = starters(4)["specimen_type"].levels
    kinds = first_known(given["specimen_type"])  # the mean of two kinds is none, or between them
    several = given["specimen_type"].group_by("key", "time", "known").agg(pl.col("value").n_unique().alias("kinds"))
    kinds = kinds.join(several, on=["key", "time", "known"])
    arteries = kinds.filter(pl.col("kinds") == 1, pl.col("value") == levels.index("arterial"))
    arteries = arteries.select("key", "time", kind_known="known")
    values = first_known(given[name]).join(arteries, on=["key", "time"])
    return values.with_columns(known=pl.max_horizontal("known", "kind_known")).drop("kind_known")


def pf_ratio(given: Given) -> pl.DataFrame:
    """Return P/F, in mmHg, of every arterial sample for which the fraction of oxygen is known."""
    samples = given.once(pf_samples)
    return points(samples.drop_nulls("value").select("key", "value", time="known"))


def pf_samples(given: Given) -> pl.DataFrame:
    """Return all arterial samples: key, time, known, po2, fio2_lab and fio2 (charted, both as fractions), and value."""
    samples = arterial(given, "po2").rename({"value": "po2"})
    lab = first_known(given["fio2_lab"]).select("key", "time", lab_known="known", fio2_lab=pl.col("value") / 100)
    samples = samples.join(lab, on=["key", "time"], how="left", maintain_order="left")
    in_time = pl.col("lab_known") <= pl.col("known")
    samples = samples.with_columns(
        pl.when(in_time).then("fio2_lab").alias("fio2_lab"), fio2=last_before(samples, given["fio2"], LOOK_BACK)
    )
    return samples.with_columns(value=pl.col("po2") / pl.coalesce("fio2_lab", "fio2")).drop("lab_known")


def sf_ratio(given: Given) -> pl.DataFrame:
    """Return S/F, in %, for each saturation of at most 97 % for which the fraction of oxygen is known."""
    spo2 = given["spo2"].filter(pl.col("value") <= HIGHEST_SPO2)
    ratio = spo2.with_columns(value=pl.col("value") / last_before(spo2, given["fio2"], LOOK_BACK))
    return points(ratio.drop_nulls("value").select("key", "value", time="known"))
