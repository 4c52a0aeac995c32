"""Applies the rules of a profile to events and counts what each rule did."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from ....source import Quarantine
from .rules import TREATMENTS, Rule, TieOrder, Treatment, described, number
from .settings import EhrSettings
from .variables import Variable, items, variables

STAGE = "ehr"
SHOWN = 20
"""Values shown one by one for one rule, variable and group of events; the others are counted."""

KEPT = ("subject", "stay", "second", "variable")


def clean_values(
    events: pl.DataFrame, stays: pl.DataFrame, settings: EhrSettings, quarantine: Quarantine
) -> pl.DataFrame:
    """Return the usable events: subject, stay, second, variable, ``number`` and ``order``.

    ``events`` has subject, stay, second, item (row of ``items()``), value, unit, valuenum, text_subject; ``stays``
    subject and subject_id. Of a categorical variable ``number`` is the index of the category. Of several events at one
    time the one with the largest ``order`` is kept (by :mod:`.bins`).
    """
    variable = items()["variable"].gather(events["item"]).alias("variable")
    parts = events.with_columns(variable).partition_by("variable", as_dict=True)
    cleaned = [
        _clean_variable(part, treatment_of(kind, settings), _Record(kind, stays, quarantine))
        for (number,), part in sorted(parts.items())
        for kind in [variables()[number]]
    ]
    return pl.concat(cleaned) if cleaned else events.clear().select(KEPT, number=None, order=None)


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


def _clean_variable(events: pl.DataFrame, treatment: Treatment, record: _Record) -> pl.DataFrame:
    """Return the usable events of one variable."""
    numbers = _numbers_after_each_rule(events, treatment.rules, record.variable)
    first, last = numbers.columns[0], numbers.columns[-1]
    lost = {first: pl.col(first).is_null() & pl.col(last).is_null()}
    changed = {}
    for before, after in pairwise(numbers.columns):
        lost[after] = pl.col(before).is_not_null() & pl.col(after).is_null()
        changed[after] = pl.col(before).ne_missing(pl.col(after)) & ~lost[after]
    for rule, count in _counts(numbers, lost).items():
        if count:
            record.left_out(events.filter(numbers.select(lost[rule]).to_series()), rule)
    for rule, count in _counts(numbers, changed).items():
        record.changed(count, rule)
    order = _order(events, numbers[last], record.variable, treatment.ties)
    return events.select(KEPT).with_columns(number=numbers[last], order=order).drop_nulls("number")


def _numbers_after_each_rule(events: pl.DataFrame, rules: Sequence[Rule], variable: Variable) -> pl.DataFrame:
    """Return the numbers ``[n]`` that each rule left, one column for each, with the rule's description as its name."""
    names = [described(rule) for rule in rules]
    numbers = events.lazy().with_columns(rules[0](pl.lit(None), variable).alias(names[0]))
    for (before, after), rule in zip(pairwise(names), rules[1:], strict=True):
        numbers = numbers.with_columns(rule(pl.col(before), variable).alias(after))
    return numbers.select(names).collect()


def _counts(numbers: pl.DataFrame, conditions: dict[str, pl.Expr]) -> dict[str, int]:
    """Return for how many rows each condition holds."""
    if not conditions:
        return {}
    return numbers.select(condition.sum().alias(name) for name, condition in conditions.items()).row(0, named=True)


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
