"""Concepts that are made of others: one file a score, and the table of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from ..definitions import Concept, Version
from . import kdigo, vasopressors


@dataclass(frozen=True)
class Derived:
    """A concept made of the events of others.

    ``ingredients`` are those for a release. ``make`` takes their events by name (key, time, end, known, value) and
    returns key, time, end, value, in order of both; the time is that at which the last ingredient was known. ``key`` is
    whose events they are: a stay's from ``before`` seconds before its t0 on, or all of a patient where that is None.
    """

    name: str
    ingredients: Callable[[Version], tuple[Concept, ...]]
    make: Callable[[Mapping[str, pl.DataFrame]], pl.DataFrame]
    before: int | None = None


DERIVED = {
    one.name: one
    for one in (
        Derived("kdigo_creatinine_stage", kdigo.ingredients, kdigo.creatinine_stage, kdigo.BEFORE),
        Derived("any_vasopressor", vasopressors.ingredients, vasopressors.running),
    )
}
