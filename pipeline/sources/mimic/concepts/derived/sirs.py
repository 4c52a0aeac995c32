"""Systemic inflammatory response (Bone 1992), every hour: each of four criteria that held in the last 24 hours."""

from collections.abc import Mapping

import polars as pl

from .given import Given, Make, above, below, graded, points
from .hours import of_parts, worst_of_hours
from .ingredients import named
from .oxygenation import OF_ARTERIAL, arterial

of_sirs = named("temperature", "heart_rate", "respiratory_rate", "pco2", *OF_ARTERIAL, "wbc", "bands_pct")


def _one(given: Given, events: pl.DataFrame, condition: pl.Expr) -> pl.DataFrame:
    return worst_of_hours(given, events, graded({1: condition}))


def _temperature(given: Given) -> pl.DataFrame:
    return _one(given, given["temperature"], below("value", 36) | above("value", 38))


def _heart_rate(given: Given) -> pl.DataFrame:
    return _one(given, given["heart_rate"], above("value", 90))


def _breathing(given: Given) -> pl.DataFrame:
    fast = _one(given, given["respiratory_rate"], above("value", 20))
    return pl.concat([fast, _one(given, arterial(given, "pco2"), below("value", 32))])


def _leukocytes(given: Given) -> pl.DataFrame:
    count = _one(given, given["wbc"], below("value", 4) | above("value", 12))
    return pl.concat([count, _one(given, given["bands_pct"], above("value", 10))])


CRITERIA: Mapping[str, Make] = {
    "temperature": _temperature, "heart_rate": _heart_rate, "breathing": _breathing, "leukocytes": _leukocytes,
}  # fmt: skip


def _rows(given: Given) -> pl.DataFrame:
    return of_parts(given, CRITERIA)


def sirs(given: Given) -> pl.DataFrame:
    """Return how many criteria held in the last 24 hours, 0 to 4; one that is not known counts 0."""
    return points(given.once(_rows), "total")


def sirs_known(given: Given) -> pl.DataFrame:
    """Return how many criteria of the last 24 hours are known, 0 to 4."""
    return points(given.once(_rows), "known")
