"""A task on frames: units with their anchors, and events of its predicates -> samples, labels, and what each step left.

Everything is an array over all samples at once: bounds are arithmetic or a search in sorted events, a count is the
difference of two places. Samples are only dropped at the end, so that every step is counted with its label.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from .checks import ends_of_index
from .labels import Labels, label_windows
from .language import END, START, TRIGGER, Bound, TaskFile, Window
from .predicates import Predicates
from .timeline import Floats, Integers

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Step:
    """What one step left: the unit of each sample ``[k]`` and its label ``[k, C]``."""

    name: str
    unit: Integers
    y: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Outcome:
    """The samples of a task, in order of unit and time.

    ``unit`` ``[K]`` row of the units, ``index`` ``[K]`` prediction time in seconds, ``y`` ``[K, C]``, ``hours_until``
    ``[K]`` hours from there to the first label event in the window (NaN without one), ``steps`` from the trigger on.
    """

    unit: Integers
    index: Floats
    y: npt.NDArray[np.float32]
    hours_until: Floats
    steps: tuple[Step, ...]


def execute(task: TaskFile, units: pl.DataFrame, events: Mapping[str, pl.DataFrame]) -> Outcome:
    """Return samples and labels.

    Parameters
    ----------
    units
        One row a unit: subject (Int64), the anchors (Int64 seconds, null where unknown), and death_by_day (whether of
        the death only the date is known).
    events
        By name of a predicate that looks at tables, or of a built-in one of the subject: subject, time, and where there
        are any end (of an interval), value, and known: when it could be read. Windows and labels ask when something
        happened; a trigger, and whatever else the time of prediction is found by, when it was known.
    """
    return _Execution(task, Predicates(task, units, events)).run()


class _Execution:
    """The samples of one task before any is dropped."""

    def __init__(self, task: TaskFile, predicates: Predicates) -> None:
        self.task, self.predicates = task, predicates
        self.unit, self.trigger = _triggered(task, predicates)
        self._bounds: dict[str, Floats] = {}
        self._leading = ends_of_index(task)
        self.steps: list[Step] = []

    def run(self) -> Outcome:
        """Drop samples step by step, each counted, and label what is left."""
        task, target = self.task, self.task.target
        index = self.time_of(task.index)
        start, end = self.ends(target)
        observed = self.time_of(target.observed, target) if target.observed is not None else None
        censor = self.time_of(target.label.censor, target) if target.label is not None else None
        labels = label_windows(task, self.predicates, self.unit, index, start, end, observed, censor)
        kept = ~(np.isnan(self.trigger) | np.isnan(index))
        self._step("a time of prediction", kept, labels)
        for window in task.windows:
            kept = self._filter(window, index, kept, labels)
        kept = kept & ~np.isnan(labels.y).all(axis=1)
        self._step(f"{target.name}: a label", kept, labels)
        if task.per_subject != "all":
            kept = self._one_per_subject(kept, index)
            self._step("one sample a patient", kept, labels)
        rows = np.flatnonzero(kept)
        hours = (labels.event - index) / 3600
        return Outcome(self.unit[rows], index[rows], labels.y[rows], hours[rows], tuple(self.steps))

    def ends(self, window: Window) -> tuple[Floats, Floats]:
        """Return start and end of a window for each sample ``[K]``, infinite where open, NaN where there is none."""
        return self._end(window, START), self._end(window, END)

    def time_of(self, bound: Bound, own: Window | None = None) -> Floats:
        """Return where a bound of a window lies for each sample ``[K]``."""
        if bound.reference is None:
            return np.full(len(self.unit), np.inf)
        if bound.reference == TRIGGER:
            base = self.trigger
        elif bound.reference in self.predicates.anchors:
            base = self.predicates.anchors[bound.reference][self.unit]
        else:
            name, _, end = bound.reference.rpartition(".")
            window = own if not name else next(window for window in self.task.windows if window.name == name)
            assert window is not None
            base = self._end(window, end)
        return base + bound.seconds if bound.seconds else base

    def _end(self, window: Window, end: str) -> Floats:
        """Return one end of a window ``[K]``; every end is worked out once."""
        name = f"{window.name}.{end}"
        if name not in self._bounds:
            bound = window.start if end == START else window.end
            if bound.reference is None:
                time = np.full(len(self.unit), -np.inf if end == START else np.inf)
            else:
                time = self.time_of(bound, window)
                if bound.predicate is not None:
                    time = self._searched(bound, window, end, time)
            self._bounds[name] = time
        return self._bounds[name]

    def _searched(self, bound: Bound, window: Window, end: str, base: Floats) -> Floats:
        """Return the next or previous event of a bound's predicate ``[K]``, or what stands where there is none."""
        assert bound.predicate is not None
        inclusive = window.start_inclusive if end == START else window.end_inclusive
        known = (window.name, end) in self._leading
        found = self.predicates.nearest(
            bound.predicate, self.unit, base, forward=bound.forward, inclusive=inclusive, known=known
        )
        none = np.isnan(found) & ~np.isnan(base)
        if window.missing == "record_end":
            return np.where(none, np.inf if bound.forward else -np.inf, found)
        if window.missing == "censor":
            return np.where(none, self.predicates.anchors["last_contact"][self.unit], found)
        return found

    def _filter(self, window: Window, index: Floats, kept: Flags, labels: Labels) -> Flags:
        """Apply the conditions of a window one after the other; those that nobody fails are only shown if asked for."""
        start, end = self.ends(window)
        for name, holds in {
            "both ends known": ~(np.isnan(start) | np.isnan(end)),
            "not reversed": ~(start > end),
        }.items():
            kept = self._quiet_step(f"{window.name}: {name}", kept, holds, labels)
        if window.label is not None:
            after = (start >= index) & (end > index)
            kept = self._quiet_step(f"{window.name}: after the prediction", kept, after, labels)
            kept = self._quiet_step(f"{window.name}: observed to its end", kept, labels.observed, labels)
            kept = self._quiet_step(f"{window.name}: a known time", kept, labels.timed, labels)
            kept = self._quiet_step(f"{window.name}: no death before", kept, labels.alive, labels)
        for predicate, (fewest, most) in window.has.items():
            number = self.predicates.count(predicate, self.unit, start, end, window)
            kept = kept & (number >= (fewest or 0)) & (number <= (np.inf if most is None else most))
            self._step(f"{window.name}.{predicate}", kept, labels)
        return kept

    def _quiet_step(self, name: str, kept: Flags, holds: Flags, labels: Labels) -> Flags:
        left = kept & holds
        if (left != kept).any():
            self._step(name, left, labels)
        return left

    def _step(self, name: str, kept: Flags, labels: Labels) -> None:
        rows = np.flatnonzero(kept)
        self.steps.append(Step(name, self.unit[rows], labels.y[rows]))

    def _one_per_subject(self, kept: Flags, index: Floats) -> Flags:
        """Keep the first, the last or a random sample of each subject."""
        rows = np.flatnonzero(kept)
        rule, time = self.task.per_subject, index[rows]
        if isinstance(rule, int):
            order = np.random.default_rng(rule).random(len(rows))
        else:
            order = time if rule == "first" else -time
        by = np.lexsort((order, self.predicates.subject[self.unit[rows]]))
        first = np.unique(self.predicates.subject[self.unit[rows]][by], return_index=True)[1]
        chosen = np.zeros(len(kept), dtype=bool)
        chosen[rows[by[first]]] = True
        return chosen


def _triggered(task: TaskFile, predicates: Predicates) -> tuple[Integers, Floats]:
    """Return the unit and the trigger time of every sample ``[K]``, in order; NaN where a unit has no trigger."""
    trigger, units = task.trigger, np.arange(len(predicates.subject), dtype=np.int64)
    if trigger.predicate is not None:
        return predicates.within_units(trigger.predicate)
    if trigger.at is not None:
        return units, _anchored(predicates, trigger.at)
    assert trigger.begin is not None and trigger.until is not None and trigger.every is not None
    begin, until = (_anchored(predicates, bound) for bound in (trigger.begin, trigger.until))
    steps = np.floor((until - begin) / trigger.every) + 1
    number = np.maximum(np.nan_to_num(steps, nan=0, posinf=0, neginf=0), 0).astype(np.int64)
    unit = np.repeat(units, number)
    within = np.arange(len(unit)) - np.repeat(np.cumsum(number) - number, number)
    return unit, begin[unit] + within * float(trigger.every)


def _anchored(predicates: Predicates, bound: Bound) -> Floats:
    """Return a time of the trigger for each unit ``[U]``."""
    assert bound.reference is not None
    units = np.arange(len(predicates.subject), dtype=np.int64)
    base = predicates.anchors[bound.reference] + bound.seconds
    if bound.predicate is None:
        return base
    return predicates.nearest(bound.predicate, units, base, forward=bound.forward, inclusive=True, known=True)
