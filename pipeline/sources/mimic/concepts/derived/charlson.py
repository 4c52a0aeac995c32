"""Charlson comorbidity index by the codes of Quan (2005), from diagnoses that are coded after a discharge.

The codes of an admission tell what was found during it. As an input, therefore, those of earlier admissions alone
count: :func:`charlson`. :func:`points_of_admissions` is of the same admission: it describes a cohort, and predicts
nothing.
"""

from functools import cache, reduce
from operator import or_

import polars as pl

from ..units import RESOURCES
from .given import Given, points

CONDITIONS = RESOURCES / "charlson.csv"
AGES = (50, 60, 70, 80)
"""Years from which on each adds a point."""
ICD = {9: "icd9", 10: "icd10"}


@cache
def conditions() -> pl.DataFrame:
    """Return the conditions: condition, group (of which the gravest counts), weight, and codes icd9 and icd10."""
    return pl.read_csv(CONDITIONS.read_bytes(), schema_overrides=dict.fromkeys(ICD.values(), pl.String))


def matches(codes: str) -> pl.Expr:
    """Return whether ``code`` begins with one of some prefixes, or with one between two, such as ``4254-4259``."""
    found = []
    for prefix in codes.split():
        low, _, high = prefix.partition("-")
        start = pl.col("code").str.slice(0, len(low))
        found.append(start.is_between(pl.lit(low), pl.lit(high or low)) & (start.str.len_chars() == len(low)))
    return reduce(or_, found)


def conditions_of(codes: pl.DataFrame) -> pl.DataFrame:
    """Return the conditions that codes stand for: code, icd_version, condition, group, weight."""
    different = codes.select("code", "icd_version").unique()
    plain = different.with_columns(
        written="code", code=pl.col("code").str.replace_all(".", "", literal=True).str.strip_chars().str.to_uppercase()
    )
    found = [
        plain.filter(pl.col("icd_version") == version, matches(row[column])).select(
            "icd_version", code="written", condition=pl.lit(row["condition"]), group=pl.lit(row["group"]),
            weight=pl.lit(row["weight"]),
        )
        for row in conditions().iter_rows(named=True)
        for version, column in ICD.items()
    ]  # fmt: skip
    return pl.concat(found)


def _summed(codes: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return the points of each key: of the conditions of a group the gravest counts, and each group once."""
    gravest = codes.join(conditions_of(codes), on=["code", "icd_version"]).group_by(key, "group").agg(
        pl.col("weight").max()
    )  # fmt: skip
    sums = gravest.group_by(key).agg(value=pl.col("weight").sum())
    return codes.select(key).unique().join(sums, on=key, how="left").with_columns(pl.col("value").fill_null(0))


def points_of_admissions(codes: pl.DataFrame) -> pl.DataFrame:
    """Return hadm_id and value, the index without age by the admission's own codes: a description, never an input.

    ``codes`` has hadm_id, code and icd_version (9 or 10).
    """
    return _summed(codes, "hadm_id").sort("hadm_id")


def _earlier(given: Given) -> pl.DataFrame:
    """Return the codes of the admissions that had ended when a stay began: key, hadm_id, code, icd_version."""
    stays = given.stays.select("key", "subject_id", "begin")
    return given.codes.join(stays, on="subject_id").filter(pl.col("time") <= pl.col("begin"))


def charlson(given: Given) -> pl.DataFrame:
    """Return the index at the beginning of each stay: points of earlier admissions, and of age (0 to 4)."""
    of_age = pl.sum_horizontal((pl.col("age") >= years).fill_null(False).cast(pl.Float64) for years in AGES)
    stays = given.stays.join(_summed(given.once(_earlier), "key"), on="key", how="left", maintain_order="left")
    return points(stays.with_columns(time="begin"), of_age + pl.col("value").fill_null(0))


def charlson_admissions(given: Given) -> pl.DataFrame:
    """Return from how many earlier admissions with codes that is: without any, only the age is known."""
    number = given.once(_earlier).group_by("key").agg(value=pl.col("hadm_id").n_unique())
    stays = given.stays.join(number, on="key", how="left", maintain_order="left")
    return points(stays.with_columns(time="begin"), pl.col("value").fill_null(0))
