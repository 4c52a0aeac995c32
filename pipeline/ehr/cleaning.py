"""Applies the rules of a profile to events and counts what each rule did."""

import polars as pl

from ..source import Quarantine
from .rules import TREATMENTS, Profile, Treatment, number
from .variables import Variable, items, variables

STAGE = "ehr"
SHOWN = 20
"""Values shown one by one for one rule, variable and group of events; the others are counted."""

USABLE = ("subject", "stay", "second", "variable", "number", "order")


def clean_values(
    events: pl.DataFrame, profile: Profile, without: frozenset[str], quarantine: Quarantine
) -> pl.DataFrame:
    """Return the usable events: subject, stay, second, variable, ``number`` and ``order``.

    ``events`` has subject, subject_id, stay, second, item (row of ``items()``), value, unit, valuenum, text_subject. Of
    a categorical variable ``number`` is the index of the category. Of several events at one time the one with the
    largest ``order`` is kept (by :mod:`.bins`).
    """
    known = events.with_columns(variable=items()["variable"].gather(events["item"]))
    parts = known.partition_by("variable", as_dict=True)
    cleaned = [_clean_variable(parts[key], profile, without, quarantine) for key in sorted(parts)]
    return pl.concat(cleaned) if cleaned else _nothing(known)


def treatment_of(variable: Variable, profile: Profile, without: frozenset[str]) -> Treatment:
    """Return the rules of a variable in a profile, apart from those switched off by name.

    Without ``order_ties_by_number`` and ``one_spelling`` the clean profile keeps the benchmark's order and categories.
    """
    benchmark, clean = TREATMENTS[variable.name]
    if profile == "benchmark":
        return benchmark
    if variable.categories and "one_spelling" in without:
        clean = benchmark
    ties = benchmark.ties if "order_ties_by_number" in without else clean.ties
    return Treatment(tuple(rule for rule in clean.rules if rule.__name__ not in without), ties)


def _clean_variable(
    events: pl.DataFrame, profile: Profile, without: frozenset[str], quarantine: Quarantine
) -> pl.DataFrame:
    variable = variables()[events["variable"][0]]
    treatment = treatment_of(variable, profile, without)
    read, *corrections = treatment.rules
    numbers = events.select(read(pl.lit(None), variable).alias("number")).to_series()
    unread = numbers.is_null()
    for rule in corrections:
        before = numbers
        numbers = events.select(rule(pl.lit(before), variable).alias("number")).to_series()
        lost = before.is_not_null() & numbers.is_null()
        _leave_out(events.filter(lost), variable, rule.__name__, quarantine)
        _count_changed(int((before.ne_missing(numbers) & ~lost).sum()), variable, rule.__name__, quarantine)
    _leave_out(events.filter(unread & numbers.is_null()), variable, read.__name__, quarantine)
    usable = events.with_columns(numbers).drop_nulls("number")
    return usable.with_columns(order=_order(usable, variable, treatment)).select(USABLE)


def _order(events: pl.DataFrame, variable: Variable, treatment: Treatment) -> pl.Series:
    """Return what decides between several values at one time, Float64."""
    if treatment.ties == "number":
        return events["number"]
    if treatment.ties == "score":
        scores = pl.Series(variable.scores, dtype=pl.Float64)
        return scores.gather(events["number"].cast(pl.UInt32))
    texts = events["value"].unique().sort()  # bytes of UTF-8 sort as code points do
    rank = events["value"].cast(pl.Enum(texts)).to_physical().cast(pl.Float64)
    by_number = events.select(number(pl.lit(None), variable)).to_series()
    return rank.zip_with(events["text_subject"], by_number)


def _leave_out(events: pl.DataFrame, variable: Variable, reason: str, quarantine: Quarantine) -> None:
    """Quarantine the values of some events, the first ones each with its place."""
    shown = events.head(SHOWN).with_columns(time=pl.from_epoch("second"))
    for row in shown.iter_rows(named=True):
        where = f"subject {row['subject_id']}, item {items()['itemid'][row['item']]}, {row['time']}"
        quarantine.add(STAGE, variable.name, where, str(row["value"])[:40], reason)
    if len(events) > SHOWN:
        quarantine.add(STAGE, variable.name, "further events", "", reason, len(events) - SHOWN)


def _count_changed(count: int, variable: Variable, reason: str, quarantine: Quarantine) -> None:
    if count:
        quarantine.add(STAGE, variable.name, "values changed", "", reason, count)


def _nothing(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(number=pl.lit(0.0), order=pl.lit(0.0)).select(USABLE)
