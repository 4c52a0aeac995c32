"""Applies the rules of a profile to events and counts what each rule did."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ..source import Quarantine
from .rules import TREATMENTS, TieOrder, Treatment, described, number
from .settings import EhrSettings
from .variables import Variable, items, variables

STAGE = "ehr"
SHOWN = 20
"""Values shown one by one for one rule, variable and group of events; the others are counted."""

Floats = npt.NDArray[np.float64]


def clean_values(
    events: pl.DataFrame, stays: pl.DataFrame, settings: EhrSettings, quarantine: Quarantine
) -> pl.DataFrame:
    """Return the usable events: subject, stay, second, variable, ``number`` and ``order``.

    ``events`` has subject, stay, second, item (row of ``items()``), value, unit, valuenum, text_subject; ``stays``
    subject and subject_id. Of a categorical variable ``number`` is the index of the category. Of several events at one
    time the one with the largest ``order`` is kept (by :mod:`.bins`).
    """
    variable = items()["variable"].gather(events["item"]).to_numpy()
    numbers, orders = np.full(len(events), np.nan), np.full(len(events), np.nan)
    rows = np.argsort(variable, kind="stable")
    bounds = np.searchsorted(variable[rows], np.arange(len(variables()) + 1))
    for index, kind in enumerate(variables()):
        mine = rows[bounds[index] : bounds[index + 1]]
        record = _Record(kind, stays, quarantine)
        numbers[mine], orders[mine] = _clean_variable(events[mine], treatment_of(kind, settings), record)
    found = events.select("subject", "stay", "second").with_columns(variable=variable, number=numbers, order=orders)
    return found.filter(pl.col("number").is_not_nan())


def treatment_of(variable: Variable, settings: EhrSettings) -> Treatment:
    """Return the rules of a variable in a profile, apart from those switched off by name.

    Without ``one_spelling`` or ``order_ties_by_number`` the clean profile keeps the benchmark's categories or order.
    """
    benchmark, clean = TREATMENTS[variable.name]
    if settings.profile == "benchmark":
        return benchmark
    if variable.categories and not settings.uses("one_spelling"):
        clean = benchmark
    ties = clean.ties if settings.uses("order_ties_by_number") else benchmark.ties
    return Treatment(tuple(rule for rule in clean.rules if rule.__name__ not in settings.without), ties)


@dataclass(frozen=True)
class _Record:
    """Quarantines the values of one variable; ``stays`` name the subjects."""

    variable: Variable
    stays: pl.DataFrame
    quarantine: Quarantine

    def left_out(self, events: pl.DataFrame, reason: str) -> None:
        """Quarantine the values of some events, the first ones each with its place."""
        if events.is_empty():
            return
        shown = events.head(SHOWN).join(self.stays.select("subject", "subject_id").unique(), on="subject")
        for row in shown.with_columns(time=pl.from_epoch("second")).sort("subject_id", "second").iter_rows(named=True):
            where = f"subject {row['subject_id']}, item {items()['itemid'][row['item']]}, {row['time']}"
            self.quarantine.add(STAGE, self.variable.name, where, str(row["value"])[:40], reason)
        if len(events) > SHOWN:
            self.quarantine.add(STAGE, self.variable.name, "further events", "", reason, len(events) - SHOWN)

    def changed(self, count: int, reason: str) -> None:
        """Count values that a rule changed."""
        if count:
            self.quarantine.add(STAGE, self.variable.name, "values changed", "", reason, count)


def _clean_variable(events: pl.DataFrame, treatment: Treatment, record: _Record) -> tuple[Floats, Floats]:
    """Return number and order of the events of one variable ``[n]``, NaN where a value is not usable."""
    read, *corrections = treatment.rules
    variable = record.variable
    numbers = events.select(read(pl.lit(None), variable).alias("number")).to_series()
    unread = numbers.is_null()
    for rule in corrections:
        before = numbers
        numbers = events.select(rule(pl.lit(before), variable).alias("number")).to_series()
        lost = before.is_not_null() & numbers.is_null()
        record.left_out(events.filter(lost), described(rule))
        record.changed(int((before.ne_missing(numbers) & ~lost).sum()), described(rule))
    record.left_out(events.filter(unread & numbers.is_null()), described(read))
    order = _order(events, numbers, variable, treatment.ties)
    return numbers.fill_null(np.nan).to_numpy(), order.fill_null(np.nan).to_numpy()


def _order(events: pl.DataFrame, numbers: pl.Series, variable: Variable, ties: TieOrder) -> pl.Series:
    """Return what decides between several values at one time, Float64."""
    if ties == "number":
        return numbers
    if ties == "score":
        return pl.Series(variable.scores, dtype=pl.Float64).gather(numbers.cast(pl.UInt32))
    texts = events["value"].unique().sort()  # bytes of UTF-8 sort as code points do
    rank = events["value"].cast(pl.Enum(texts)).to_physical().cast(pl.Float64)
    if events["text_subject"].all():
        return rank
    by_number = events.select(number(pl.lit(None), variable)).to_series()
    return rank.zip_with(events["text_subject"], by_number)
