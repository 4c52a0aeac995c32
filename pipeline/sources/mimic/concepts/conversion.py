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
    rows = rows.join(keys.with_row_index("key"), on=["pair", "concept", "unit"], how="left", maintain_order="left")
    value, power, unconvertible = pl.col("number"), pl.lit(0, pl.Int8), pl.lit(False)
    for rules, alike in _alike(keys, concepts, pairs).items():
        mine = pl.col("key").is_in(alike)
        if not rules or rules[-1].conditional:
            unconvertible |= mine & ~reduce(pl.Expr.__or__, map(_holds, rules), pl.lit(False))
        for rule in reversed(rules) if rules != (Conversion(),) else ():
            changed = pl.when(mine & _holds(rule))
            value = changed.then(pl.col("number") * rule.scale + rule.offset).otherwise(value)
            power = changed.then(pl.lit(rule.power, pl.Int8)).otherwise(power)
    no_number = pl.when(pl.col("number").is_null()).then(pl.lit(NO_NUMBER))
    no_unit = pl.when(unconvertible.fill_null(False)).then(pl.lit(NO_CONVERSION))
    return rows.with_columns(value=value, power=power, problem=pl.coalesce("problem", no_number, no_unit))


def _alike(
    keys: pl.DataFrame, concepts: Mapping[int, Concept], pairs: pl.DataFrame
) -> dict[tuple[Conversion, ...], list[int]]:
    """Return the keys, by their number, that have the same rules: few, however many units a table has."""
    alike: dict[tuple[Conversion, ...], list[int]] = {}
    items = pairs["itemid"].gather(keys["pair"])
    for key, (item, number, unit) in enumerate(zip(items, keys["concept"], keys["unit"], strict=True)):
        concept = concepts[number]
        rules = rules_for(concept.conversions, item, unit, concept.unit)
        alike.setdefault(tuple(rules), []).append(key)
    return alike


def _holds(rule: Conversion) -> pl.Expr:
    """Return whether the conditions of a rule on value and weight hold; those on item and unit are settled."""
    number = pl.col("number")
    conditions = [number >= rule.low] if rule.low is not None else []
    conditions += [number <= rule.high] if rule.high is not None else []
    conditions += [pl.col("kg") == rule.patient_weight] if rule.patient_weight is not None else []
    return pl.all_horizontal(*conditions).fill_null(False) if conditions else pl.lit(True)
