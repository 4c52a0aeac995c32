"""Numbers of rows in the units of their concepts."""

from collections.abc import Mapping
from functools import reduce

import polars as pl

from .definitions import Concept
from .units import Conversion, rules_for

NO_NUMBER = "no number"
NO_CONVERSION = "the unit cannot be converted"


def convert(rows: pl.DataFrame, concepts: Mapping[int, Concept], pairs: pl.DataFrame) -> pl.DataFrame:
    """Add ``value``, the number in the unit of its concept, ``power``, and to ``problem`` what cannot be converted.

    ``rows`` have pair (as ``pairs`` number concept and item), concept, kind, unit, number, kg and problem.
    """
    keys = rows.filter(pl.col("kind") != "categorical").select("pair", "concept", "unit").unique()
    of_keys = _rules(keys, concepts, pairs)
    numbers = {rules: number for number, rules in enumerate(dict.fromkeys(of_keys))}  # few, whatever units there are
    numbered = keys.select("pair", "unit", rules=pl.Series([numbers[rules] for rules in of_keys], dtype=pl.UInt32))
    rows = rows.join(numbered, on=["pair", "unit"], how="left", maintain_order="left")
    value, power, unconvertible = pl.col("number"), pl.lit(0, pl.Int8), pl.lit(False)
    for rules, number in numbers.items():
        mine = pl.col("rules") == number
        if not rules or rules[-1].conditional:
            unconvertible |= mine & ~reduce(pl.Expr.__or__, map(_holds, rules), pl.lit(False))
        for rule in reversed(rules) if rules != (Conversion(),) else ():
            changed = pl.when(mine & _holds(rule))
            value = changed.then(pl.col("number") * rule.scale + rule.offset).otherwise(value)
            power = changed.then(pl.lit(rule.power, pl.Int8)).otherwise(power)
    no_number = pl.when(pl.col("number").is_null()).then(pl.lit(NO_NUMBER))
    no_unit = pl.when(unconvertible.fill_null(False)).then(pl.lit(NO_CONVERSION))
    return rows.with_columns(value=value, power=power, problem=pl.coalesce("problem", no_number, no_unit))


def _rules(keys: pl.DataFrame, concepts: Mapping[int, Concept], pairs: pl.DataFrame) -> list[tuple[Conversion, ...]]:
    """Return the rules for each pair and unit."""
    items = pairs["itemid"].gather(keys["pair"])
    return [
        tuple(rules_for(concepts[number].conversions, item, unit, concepts[number].unit))
        for item, number, unit in zip(items, keys["concept"], keys["unit"], strict=True)
    ]


def _holds(rule: Conversion) -> pl.Expr:
    """Return whether the conditions of a rule on value and weight hold; those on item and unit are settled."""
    number = pl.col("number")
    conditions = [number >= rule.low] if rule.low is not None else []
    conditions += [number <= rule.high] if rule.high is not None else []
    conditions += [pl.col("kg") == rule.patient_weight] if rule.patient_weight is not None else []
    return pl.all_horizontal(*conditions).fill_null(False) if conditions else pl.lit(True)
