"""Invasive ventilation: a procedure that runs, or before any is known, settings of the ventilator that are charted.

A setting holds until the next row that starts or ends ventilation, at most 8 hours (MIMIC-III) or 14 (IV): a rule of
ours that does not look ahead, where the published ones close a gap after the fact.
"""

import polars as pl

from ..definitions import starters
from .given import HOUR, Given
from .ingredients import named
from .latest import newest
from .vasopressors import without_gaps

PROCEDURE = "invasive_vent"
NUMBERS = ("peep", "plateau", "tidal_set", "tidal_observed", "minute_volume")
MODES = ("controlled", "pressure controlled", "intermittent", "spontaneous")
NO_TUBE = ("none", "nasal cannula", "mask", "non-rebreather", "high flow cannula", "non-invasive")
OTHER = "other"
TUBE = "endotracheal tube"
"""Levels of the starter concepts; standby is no ventilation."""
HOLDS = {3: 8 * HOUR, 4: 14 * HOUR}
OXYGEN, SETTING, EXTUBATION = range(3)
"""At one time the last of these counts."""

INGREDIENTS = (PROCEDURE, *NUMBERS, "vent_mode", "vent_type", "o2_device", "extubation")
of_ventilation = named(*INGREDIENTS)


def _levels(name: str) -> tuple[str, ...]:
    return starters(4)[name].levels


def _of_levels(given: Given, name: str, words: tuple[str, ...]) -> pl.DataFrame:
    levels = _levels(name)
    return given[name].filter(pl.col("value").is_in([float(levels.index(word)) for word in words]))


def ventilated(given: Given) -> pl.DataFrame:
    """Return the spans, of value 1, in which a patient is known to be ventilated through a tube."""
    types = tuple(level for level in _levels("vent_type") if level != OTHER)
    settings = [
        *(given[name] for name in NUMBERS),
        _of_levels(given, "vent_mode", MODES),
        _of_levels(given, "vent_type", types),
        _of_levels(given, "o2_device", (TUBE,)),
    ]
    said = {OXYGEN: [_of_levels(given, "o2_device", NO_TUBE)], SETTING: settings, EXTUBATION: [given["extubation"]]}
    rows = pl.concat([
        one.select("key", "time", "known", what=pl.lit(what)) for what, ones in said.items() for one in ones
    ])  # fmt: skip
    last = newest(rows.sort("what")).group_by("key", time="known").agg(pl.col("what").last()).sort("key", "time")
    following = pl.col("time").shift(-1).over("key")
    held = last.with_columns(end=pl.min_horizontal(following, pl.col("time") + HOLDS[given.version]))
    procedures = given[PROCEDURE].select("key", "time", "end", "known")
    first = procedures.group_by("key").agg(first=pl.col("known").min())
    held = held.filter(pl.col("what") == SETTING).join(first, on="key", how="left")
    held = held.with_columns(end=pl.min_horizontal("end", "first"))
    both = pl.concat([held.select("key", "time", "end"), procedures.select("key", "time", "end")])
    return without_gaps(both.filter(pl.col("end") > pl.col("time")))
