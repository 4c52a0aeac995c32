"""The predicates of a task over frames: which events each has, of the unit or of the subject, and questions to them."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from .....cache_schema import InputError
from .language import (
    ANCHORS,
    AnchorPredicate,
    ConceptPredicate,
    DerivedPredicate,
    Predicate,
    TaskFile,
    Window,
)
from .timeline import Floats, Integers, Running, Timeline

DAY_SECONDS = 86_400
SPAN = {"icu": ("icu_in", "icu_out"), "hospital": ("hosp_in", "hosp_out"), "ed": ("ed_in", "ed_out")}
SPAN["last_ward"] = SPAN["hospital"]
SPAN_OF_UNIT = {"icu_stay": SPAN["icu"], "admission": SPAN["hospital"], "subject": None}


class Predicates:
    """Events by predicate; those of anchors belong to a unit, all others to its subject.

    ``anchors`` are the times of each unit ``[U]`` in seconds, NaN where unknown, ``subject`` ``[U]`` is the running
    number of whose it is.
    """

    def __init__(self, task: TaskFile, units: pl.DataFrame, events: Mapping[str, pl.DataFrame]) -> None:
        self.task = task
        self._subjects, self.subject = np.unique(units["subject"].to_numpy(), return_inverse=True)
        self.anchors: dict[str, Floats] = {
            name: units[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ANCHORS
        }
        self._by_day = units["death_by_day"].to_numpy()
        self._left_hospital = units["left_hospital"].to_numpy()
        self._events = events
        self._found: dict[str, tuple[pl.DataFrame, bool]] = {}
        self._timelines: dict[tuple[str, bool], Timeline] = {}

    def definition(self, name: str) -> Predicate:
        """Return what a predicate is, built-in ones included."""
        return self.task.predicates.get(name, AnchorPredicate(name))

    def timeline(self, name: str, *, known: bool = False) -> tuple[Timeline, bool]:
        """Return the events of a predicate, and whether their key is the unit (else the subject).

        Their times are those at which they happened, or at which they were ``known``.
        """
        if name not in self._found:
            self._found[name] = self._make(name)
        events, by_unit = self._found[name]
        if (name, known) not in self._timelines:
            if known and "known" in events.columns:
                events = events.with_columns(time=pl.max_horizontal("time", "known"))
            self._timelines[name, known] = _timeline(events)
        return self._timelines[name, known], by_unit

    def count(self, name: str, unit: Integers, start: Floats, end: Floats, window: Window) -> Integers:
        """Return how many events lie in the window of each sample ``[K]``."""
        definition = self.definition(name)
        if isinstance(definition, ConceptPredicate) and definition.event == "running":
            running, by_unit = self._running(name, definition)
            key = unit if by_unit else self.subject[unit]
            return running.count(key, start, end, end_inclusive=window.end_inclusive)
        if isinstance(definition, AnchorPredicate) and definition.by_day and definition.anchor == "death":
            return self._days_of(definition).count(unit, start, end, end_inclusive=window.end_inclusive)
        first, stop = self.span(name, unit, start, end, window)
        return stop - first

    def span(self, name: str, unit: Integers, start: Floats, end: Floats, window: Window) -> tuple[Integers, Integers]:
        """Return the first event in each window and the one after its last ``[K]``, as places in the timeline."""
        timeline, by_unit = self.timeline(name)
        key = unit if by_unit else self.subject[unit]
        return timeline.span(
            key, start, end, start_inclusive=window.start_inclusive, end_inclusive=window.end_inclusive
        )

    def nearest(
        self, name: str, unit: Integers, time: Floats, *, forward: bool, inclusive: bool, known: bool = False
    ) -> Floats:
        """Return the next or the previous event of each time ``[K]``, NaN without any; or when it was ``known``."""
        timeline, by_unit = self.timeline(name, known=known)
        key = unit if by_unit else self.subject[unit]
        look = timeline.next_time if forward else timeline.previous_time
        return look(key, time, inclusive=inclusive)

    def within_units(self, name: str) -> tuple[Integers, Floats]:
        """Return unit and time of a predicate's events within the span of each unit, each time once, in order.

        The time is that at which an event was known: nobody could predict from it before.
        """
        timeline, by_unit = self.timeline(name, known=True)
        span = SPAN_OF_UNIT[self.task.unit]
        units = pl.DataFrame({"unit": np.arange(len(self.subject)), "subject": self.subject})
        events = pl.DataFrame(
            {"unit" if by_unit else "subject": timeline.key, "time": timeline.time.astype(np.float64)}
        )
        found = units.join(events, on="unit" if by_unit else "subject")
        if span is not None:
            found = found.filter(self._in_span(found["unit"], found["time"], span, 0))
        found = found.select("unit", "time").unique().sort("unit", "time")
        return found["unit"].to_numpy(), found["time"].to_numpy()

    def untimed(self, name: str) -> npt.NDArray[np.bool_]:
        """Return of which units ``[U]`` a death counts here of which only the date is known, a day of their stay."""
        definition = self.definition(name)
        if not isinstance(definition, AnchorPredicate) or definition.anchor != "death":
            return np.zeros(len(self.subject), dtype=bool)
        end = np.fmax(self.anchors["icu_out"], self.anchors["hosp_out"])
        midnight = np.floor(self.anchors["death"] / DAY_SECONDS) * DAY_SECONDS
        return self._by_day & ~(midnight > end)

    def _make(self, name: str) -> tuple[pl.DataFrame, bool]:
        """Return key, time, and where there are any value and known."""
        definition = self.definition(name)
        if isinstance(definition, DerivedPredicate):
            return self._derived(definition)
        if isinstance(definition, AnchorPredicate) and definition.anchor in ANCHORS:
            return self._anchored(definition).frame(), True
        source = definition.anchor if isinstance(definition, AnchorPredicate) else name
        if source not in self._events:
            raise InputError(f"{self.task.source}: there are no events of {source!r} in this data set.")
        events, by_unit = self._keyed(self._events[source])
        if isinstance(definition, ConceptPredicate):
            events = _of_value(events, definition)
            if definition.event == "end":
                events = _ended(events)
            if definition.within is not None:
                events = self._lifted(events, by_unit)
                span = SPAN[definition.within]
                events = events.filter(self._in_span(events["key"], events["time"], span, definition.tolerance))
                by_unit = True
        return events, by_unit

    def _in_span(self, unit: pl.Series, time: pl.Series, span: tuple[str, str], tolerance: int) -> pl.Series:
        """Return which times lie between two anchors of their units, or up to ``tolerance`` seconds after."""
        begin, end = (self.anchors[anchor][unit.to_numpy()] for anchor in span)
        times = time.to_numpy()
        return pl.Series((times >= begin) & (times <= end + tolerance))  # not for polars, to which NaN is the largest

    def _running(self, name: str, definition: ConceptPredicate) -> tuple[Running, bool]:
        events, by_unit = self._keyed(self._events[name])
        events = _of_value(events, definition)
        return Running(_timeline(events), _timeline(_ended(events))), by_unit

    def _keyed(self, events: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
        """Return events with the ``key`` that they are asked for by, and whether that is the unit."""
        if "unit" in events.columns:
            return events.rename({"unit": "key"}), True
        events = events.filter(pl.col("subject").is_in(pl.Series(self._subjects).implode()))
        key = pl.Series("key", np.searchsorted(self._subjects, events["subject"].to_numpy()), dtype=pl.Int64)
        return events.with_columns(key), False

    def _lifted(self, events: pl.DataFrame, by_unit: bool) -> pl.DataFrame:
        """Return events of subjects as events of each of their units."""
        if by_unit:
            return events
        units = pl.DataFrame({"unit": np.arange(len(self.subject)), "key": self.subject})
        return units.join(events, on="key").drop("key").rename({"unit": "key"})

    def _days_of(self, definition: AnchorPredicate) -> Running:
        """Return of each death its day up to its time: it lies in a window that has any of that day."""
        death = self._anchored(definition)
        midnight = Timeline(death.key, death.time // DAY_SECONDS * DAY_SECONDS, death.value)
        return Running(midnight, death)

    def _anchored(self, definition: AnchorPredicate) -> Timeline:
        time = self.anchors[definition.anchor]
        there = ~np.isnan(time)
        if definition.within is not None:
            begin, end = (self.anchors[anchor] for anchor in SPAN[definition.within])
            there &= (time >= begin) & (time <= end + definition.tolerance)
        if definition.within == "last_ward":
            there &= self._left_hospital
        unit = np.flatnonzero(there).astype(np.int64)
        return Timeline.of(unit, time[unit].astype(np.int64))

    def _derived(self, definition: DerivedPredicate) -> tuple[pl.DataFrame, bool]:
        """Return each time at which any or all of the arguments happen once; of the unit if one of them is.

        Any is known when the first of them is, all are when the last is.
        """
        parts = []
        for name in dict.fromkeys(definition.arguments):
            self.timeline(name)
            parts.append(self._found[name])
        by_unit = any(of_unit for _, of_unit in parts)
        frames = []
        for events, of_unit in parts:
            known = pl.col("known" if "known" in events.columns else "time").alias("known")
            frames.append(self._lifted(events.select("key", "time", known), of_unit or not by_unit))
        once = [
            frame.group_by("key", "time").agg(pl.col("known").min()).select("key", "time", "known") for frame in frames
        ]
        any_of = definition.operator == "or"
        known = pl.col("known").min() if any_of else pl.col("known").max()
        happened = pl.concat(once).group_by("key", "time").agg(known, number=pl.len())
        return happened.filter(pl.col("number") >= (1 if any_of else len(frames))).drop("number"), by_unit


def _of_value(events: pl.DataFrame, definition: ConceptPredicate) -> pl.DataFrame:
    """Return the events whose value lies within the bounds."""
    value, conditions = pl.col("value").fill_nan(None), []
    if definition.low is not None:
        conditions.append(value >= definition.low if definition.low_inclusive else value > definition.low)
    if definition.high is not None:
        conditions.append(value <= definition.high if definition.high_inclusive else value < definition.high)
    return events.filter(*conditions) if conditions else events


def _ended(events: pl.DataFrame) -> pl.DataFrame:
    """Return the ends of intervals; one that never ends has none."""
    return events.drop_nulls("end").with_columns(time=pl.col("end"))


def _timeline(events: pl.DataFrame) -> Timeline:
    value = events["value"].cast(pl.Float64).fill_null(np.nan).to_numpy() if "value" in events.columns else None
    return Timeline.of(events["key"].to_numpy(), events["time"].to_numpy(), value)
