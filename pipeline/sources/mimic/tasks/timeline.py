"""Events of one predicate in order of time, asked for many keys and times at once, without a loop or a cross join."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Timeline:
    """Events sorted by key and time: ``key`` ``[E]`` int64, ``time`` ``[E]`` whole seconds, ``value`` ``[E]``.

    Every question takes a key and times for each sample ``[K]``; a time may be infinite, NaN finds nothing.
    """

    key: Integers
    time: Integers
    value: Floats

    @classmethod
    def of(cls, key: Integers, time: Integers, value: Floats | None = None) -> "Timeline":
        """Sort events; those at one time keep their order."""
        order = np.lexsort((time, key))
        values = np.full(len(key), np.nan) if value is None else value
        return cls(key[order], time[order], values[order])

    def frame(self) -> pl.DataFrame:
        """Return the events as a table of key, time and value."""
        return pl.DataFrame({"key": self.key, "time": self.time, "value": self.value})

    def places(self, key: Integers, time: Floats, *, after_equal: bool) -> Integers:
        """Return ``[K]`` how many events are sorted before a key and time: those at this very time too, or not."""
        first, last = (int(self.time.min()), int(self.time.max())) if len(self.time) else (0, 0)
        width = last - first + 3
        known = np.nan_to_num(np.clip(time, first - 1, last + 1), nan=first - 1).astype(np.int64)
        wanted = key * width + known - first + 1
        return np.searchsorted(
            self.key * width + self.time - first + 1, wanted, side="right" if after_equal else "left"
        ).astype(np.int64)

    def span(
        self, key: Integers, start: Floats, end: Floats, *, start_inclusive: bool, end_inclusive: bool
    ) -> tuple[Integers, Integers]:
        """Return for each window the first event in it and the one after its last, ``[K]`` each."""
        first = self.places(key, start, after_equal=not start_inclusive)
        stop = self.places(key, end, after_equal=end_inclusive)
        known = ~(np.isnan(start) | np.isnan(end))
        return first, np.where(known, np.maximum(stop, first), first)

    def next_time(self, key: Integers, time: Floats, *, inclusive: bool) -> Floats:
        """Return the time of the first event after (or at) each time ``[K]``, NaN without any."""
        return self._time_at(self.places(key, time, after_equal=not inclusive), key, time)

    def previous_time(self, key: Integers, time: Floats, *, inclusive: bool) -> Floats:
        """Return the time of the last event before (or at) each time ``[K]``, NaN without any."""
        return self._time_at(self.places(key, time, after_equal=inclusive) - 1, key, time)

    def _time_at(self, place: Integers, key: Integers, time: Floats) -> Floats:
        there = (place >= 0) & (place < len(self.key)) & ~np.isnan(time)
        safe = np.where(there, place, 0)
        if not len(self.key):
            return np.full(len(key), np.nan)
        return np.where(there & (self.key[safe] == key), self.time[safe], np.nan)


EMPTY = Timeline.of(np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True)
class Running:
    """Intervals of one predicate: at a time they run from their start on, and at their end no longer."""

    starts: Timeline
    ends: Timeline

    def count(self, key: Integers, start: Floats, end: Floats, *, end_inclusive: bool) -> Integers:
        """Return how many run at any time of each window ``[K]``."""
        begun = self.starts.places(key, end, after_equal=end_inclusive)
        over = self.ends.places(key, start, after_equal=True)
        known = ~(np.isnan(start) | np.isnan(end))
        return np.where(known, np.maximum(begun - over, 0), 0)
