"""What scores are made of: events of their ingredients as they were known, and the stays that they are of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from ..definitions import Version
from ..held import ENDS, one_end_at_a_time

HOUR, DAY = 3600, 86_400
BEFORE = 7 * DAY
"""Seconds before the admission to the unit from which events are ingredients of the scores of a stay."""
TOLERANCE = 1e-6
"""Of comparisons: in binary numbers 1.0 + 0.3 is more than 1.3."""

FRAME = {"key": pl.Int64, "time": pl.Int64, "end": pl.Int64, "known": pl.Int64, "value": pl.Float64}
"""Columns of ingredients and of scores: whose it is, seconds since 1970, and the value."""
STAYS = {"key": pl.Int64, "subject_id": pl.Int64, "begin": pl.Int64, "stop": pl.Int64, "age": pl.Float64}
CODES = {"subject_id": pl.Int64, "hadm_id": pl.Int64, "time": pl.Int64, "code": pl.String, "icd_version": pl.Int64}


@dataclass(frozen=True)
class Given:
    """The ingredients of scores.

    Parameters
    ----------
    events
        By name of the ingredient key, time, end, known and value. A value counts as known from ``known`` on; an
        interval is as :func:`as_known` makes it.
    stays
        key, subject_id, begin and stop (seconds; stop may be null) and age in years; nothing where the key is a
        patient.
    codes
        Coded diagnoses of these patients: subject_id, hadm_id, time (the discharge), code and icd_version.
    version
        Of MIMIC.
    """

    events: Mapping[str, pl.DataFrame]
    stays: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=STAYS))
    codes: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CODES))
    version: Version = 4
    _made: dict["Make", pl.DataFrame] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pl.DataFrame:
        """Return the events of an ingredient, none where the release does not have it."""
        return self.events.get(name, pl.DataFrame(schema=FRAME))

    def once(self, make: "Make") -> pl.DataFrame:
        """Return what another score is, made once for all that need it."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]

    def with_stay(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return events with begin and stop of their stay; one without an end lasts to its last event."""
        stays = self.stays.select("key", "begin", "stop")
        last = pl.max_horizontal(pl.col("known").max().over("key"), "begin")
        return events.join(stays, on="key").with_columns(stop=pl.col("stop").fill_null(last))


Make = Callable[[Given], pl.DataFrame]
"""Returns key, time, end (null but of intervals), known and value; nothing in it depends on what was known later."""


def points(frame: pl.DataFrame, value: str | pl.Expr = "value") -> pl.DataFrame:
    """Return a frame with key and time as the events of a score, known at that time, in order."""
    value = pl.col(value) if isinstance(value, str) else value
    none = pl.lit(None, pl.Int64)
    return frame.select("key", "time", end=none, known="time", value=value.cast(pl.Float64)).sort("key", "time")


def spans(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with key, time, end and value as intervals of a score, in order."""
    return frame.select("key", "time", "end", known="time", value=pl.col("value").cast(pl.Float64)).sort("key", "time")


def as_known(intervals: pl.DataFrame) -> pl.DataFrame:
    """Return intervals as they were known while they ran: time is when that was known, end when its end was.

    One that became known after its end has no length and lies where it became known. Events need open_end, end_known
    and ends, see :func:`.held.hold_rates`.
    """
    start = pl.max_horizontal("time", "known")
    one = one_end_at_a_time(intervals.with_columns(first=start))
    believed = pl.min_horizontal("open_end", pl.max_horizontal("end", "end_known"))
    end = pl.when(pl.col("end_known").is_null()).then("end").otherwise(believed)
    without_length = (pl.col("end") <= pl.col("time")) & (pl.col("end_known") <= pl.col("known")).fill_null(True)
    seen = one.filter(~without_length).with_columns(time=start, known=start, end=pl.max_horizontal(end, start))
    seen = seen.filter((pl.col("gone") > pl.col("time")).fill_null(True)).with_columns(
        end=pl.min_horizontal("end", "gone")
    )
    seen = seen.filter((pl.col("end") > pl.col("time")) | (pl.col("time") == pl.col("first")))
    none = pl.lit(None, pl.Int64)
    return seen.drop("gone", "first").with_columns(open_end=none, end_known=none, ends=pl.lit(None, ENDS))


def above(value: str, limit: float) -> pl.Expr:
    """Return whether a column is more than a limit."""
    return pl.col(value) > limit + TOLERANCE


def below(value: str, limit: float) -> pl.Expr:
    """Return whether a column is less than a limit."""
    return pl.col(value) < limit - TOLERANCE


def at_least(value: str, limit: float | pl.Expr) -> pl.Expr:
    """Return whether a column reaches a limit."""
    return pl.col(value) >= limit - TOLERANCE


def graded(steps: Mapping[int, pl.Expr]) -> pl.Expr:
    """Return the highest grade whose condition holds, 0 where none does; conditions of nothing hold not."""
    grade = pl.lit(0.0)
    for number, condition in sorted(steps.items()):
        grade = pl.when(condition.fill_null(False)).then(pl.lit(float(number))).otherwise(grade)
    return grade
