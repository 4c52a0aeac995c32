"""From the label window of each sample to its label, of every kind."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from .....cache_schema import offsets_of
from .language import ICU_DEATH_TOLERANCE, AnchorPredicate, Label, TaskFile, Window
from .predicates import Predicates
from .timeline import Floats, Integers

Flags = npt.NDArray[np.bool_]
DAY = 86_400


@dataclass(frozen=True)
class Labels:
    """What is predicted of each sample, and whether it can be known.

    ``y`` ``[K, C]`` (NaN unknown), ``event`` ``[K]`` time of the first label event in the window (NaN without one),
    and ``[K]`` each: ``observed`` to the end of the window, ``timed`` (no death whose time is not known decides it),
    ``alive`` (no death that ``deaths: drop`` leaves out).
    """

    y: npt.NDArray[np.float32]
    event: Floats
    observed: Flags
    timed: Flags
    alive: Flags


def label_windows(
    task: TaskFile,
    predicates: Predicates,
    unit: Integers,
    index: Floats,
    start: Floats,
    end: Floats,
    observed: Floats | None,
    censor: Floats | None,
) -> Labels:
    """Return the labels of samples.

    Parameters
    ----------
    unit, index, start, end
        Unit, prediction time and ends of the label window of each sample ``[K]``.
    observed, censor
        Up to when it is known what happens ``[K]``; of a survival label, up to when a patient is followed.
    """
    window = task.target
    label = window.label
    assert label is not None
    complete = np.ones(len(unit), dtype=bool) if observed is None else ~(end > observed)
    until = end if observed is None else np.fmin(end, observed)
    of = [_First(predicates, name, unit, start, until, window) for name in label.predicates.values()]
    event = np.fmin.reduce([one.time for one in of])
    if label.what == "survival":
        assert censor is not None
        y, complete = _survival(label, event, index, until, censor), np.ones(len(unit), dtype=bool)
    elif label.what in ("occurs", "any_of"):
        happened = np.stack([one.number > 0 for one in of], axis=1)  # [K, C]
        y = np.where(happened | complete[:, None], happened, np.nan)
        complete = complete | happened.any(axis=1)
    else:
        y = _quantity(label, of[0], index)[:, None]
        complete = complete | ((label.what == "time_until") & ~np.isnan(event))
        y = np.where(complete[:, None], y, np.nan)
    alive, y = _deaths(window, predicates, unit, start, until, event, y)
    by_hours = label.what in ("occurs", "any_of", "count") or label.unit < DAY
    timed = np.ones(len(unit), dtype=bool)
    for name in label.predicates.values() if by_hours else ():
        if not (isinstance(definition := task.predicates.get(name), AnchorPredicate) and definition.by_day):
            timed &= ~predicates.untimed(name)[unit]
    y = np.where((timed & alive)[:, None], y, np.nan)
    return Labels(y.astype(np.float32), event, complete, timed, alive)


class _First:
    """The events of one predicate in the label windows: ``number`` ``[K]`` and the ``time`` ``[K]`` of the first."""

    def __init__(
        self, predicates: Predicates, name: str, unit: Integers, start: Floats, end: Floats, window: Window
    ) -> None:
        self.timeline = predicates.timeline(name)[0]
        self.first, self.stop = predicates.span(name, unit, start, end, window)
        self.number = predicates.count(name, unit, start, end, window)
        there = self.stop > self.first
        self.time = np.full(len(unit), np.nan)
        self.time[there] = self.timeline.time[self.first[there]]


def _survival(label: Label, event: Floats, index: Floats, end: Floats, censor: Floats) -> npt.NDArray[np.float64]:
    """Return time and event ``[K, 2]``: the event if it comes by the end of what is followed, else that end."""
    last = np.minimum(censor, end)  # NaN where unknown
    if label.horizon is not None:
        last = np.minimum(last, index + label.horizon)
    died = event <= last
    time = (np.where(died, event, last) - index) / label.unit
    time = np.where((time >= 0) & np.isfinite(time), time, np.nan)
    return np.stack([time, np.where(np.isnan(time), np.nan, died)], axis=1)


def _quantity(label: Label, events: _First, index: Floats) -> Floats:
    """Return a count, a value, or a time until the first event ``[K]``."""
    if label.what == "count":
        return events.number.astype(np.float64)
    if label.what == "value":
        return _value(label, events)
    time = (events.time - index) / label.unit
    if label.classes:
        place = np.searchsorted(np.array(label.classes), time, side="right").astype(np.float64)
        return np.where(np.isnan(time), np.nan, place)
    return np.clip(time, *label.clip) if label.clip else time


def _value(label: Label, events: _First) -> Floats:
    """Return the first, last, smallest, largest, mean or median value of each window ``[K]``, NaN without any."""
    first, stop, value = events.first, events.stop, events.timeline.value
    there = np.flatnonzero(stop > first)
    y = np.full(len(first), np.nan)
    if label.which in ("first", "last"):
        y[there] = value[first[there] if label.which == "first" else stop[there] - 1]
        return y
    length = (stop - first)[there]
    row = np.repeat(first[there] - offsets_of(length)[:-1], length) + np.arange(length.sum())
    values = pl.DataFrame({"sample": np.repeat(there, length), "value": value[row]})
    of_window = values.group_by("sample", maintain_order=True).agg(getattr(pl.col("value"), label.which)())
    y[of_window["sample"].to_numpy()] = of_window["value"].to_numpy()
    return y


def _deaths(
    window: Window,
    predicates: Predicates,
    unit: Integers,
    start: Floats,
    end: Floats,
    event: Floats,
    y: npt.NDArray[np.float64],
) -> tuple[Flags, npt.NDArray[np.float64]]:
    """Return who is left ``[K]`` and the labels where a death before the label event (or with it) says otherwise.

    A death up to six hours after leaving the unit or the hospital is the way of leaving it.
    """
    if window.deaths == "keep" or window.label is None:
        return np.ones(len(unit), dtype=bool), y
    name = next(iter(window.label.predicates.values()))
    definition = predicates.definition(name)
    leaving = isinstance(definition, AnchorPredicate) and definition.anchor.endswith(("_out", "_discharge"))
    death = predicates.anchors["death"][unit]
    last = np.where(np.isnan(event), end, event + (ICU_DEATH_TOLERANCE if leaving else 0))
    died = (death > start) & (death <= last)
    if window.deaths == "drop":
        return ~died, y
    return np.ones(len(unit), dtype=bool), np.where(died[:, None] & ~np.isnan(y), 0, y)
