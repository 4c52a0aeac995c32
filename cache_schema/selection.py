"""Which rows of a modality a task may see: its time window and its choice among items."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .elements import Task
from .errors import CacheError, InputError, shown

if TYPE_CHECKING:
    from .ragged import Modality


CHOICES = ("all", "last", "first")
"""Which items of a sample a rule may choose: ``{"rows": "last", "max": 5}`` are the last five."""


def input_rows(modality: "Modality", task: Task) -> "Modality":
    """Return a modality reduced to the rows that the task may see; samples left without rows are missing.

    Raises
    ------
    InputError
        For a long task, whose inputs are other ones at every prediction time.
    """
    if task.long:
        raise InputError(
            f"Task {task.name!r} predicts at several times a sample, each from the rows up to that time. Read its "
            "`sample` and `time`, and of each modality the rows with a time up to that."
        )
    keep = in_window(modality.time, task.window_hours, task.history_hours)
    rule = task.select.get(modality.name)
    if rule and modality.items is not None:
        keep &= _chosen_rows(modality.items, keep, rule)
    return replace(modality.keep_rows(keep), items=None)


def in_window(
    time: npt.NDArray[np.float32], window_hours: float | None, history_hours: float | None = 0.0
) -> npt.NDArray[np.bool_]:
    """Return which rows ``[R]`` have a time in [-history_hours, window_hours], or none at all (NaN)."""
    if window_hours is None:
        return np.ones(len(time), dtype=bool)
    earliest = -np.inf if history_hours is None else -history_hours
    return np.isnan(time) | ((time >= earliest) & (time <= window_hours))


def most_items(rule: Mapping[str, Any]) -> int | None:
    """Return how many items of a sample a rule chooses at most, None without a limit.

    ``rows`` is ``first``, ``last`` or ``all`` (of which ``max`` are the last).

    Raises
    ------
    InputError
        If ``rows`` is another word, or ``max`` no number of at least 1.
    """
    which, most = rule.get("rows", "all"), rule.get("max")
    if which not in CHOICES:
        raise InputError(f"A task selects rows {which!r}; known: {', '.join(CHOICES)}.")
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise InputError(f"A task selects at most {most!r} items; give a number of at least 1.")
    return most if which == "all" else most or 1


def _chosen_rows(items: pl.DataFrame, visible: npt.NDArray[np.bool_], rule: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Return which rows ``[R]`` belong to items that the rule chooses among those with a visible first row."""
    candidates = items.filter(pl.col("rows") > 0)
    candidates = candidates.filter(pl.Series(visible[candidates["first_row"].to_numpy()], dtype=pl.Boolean))
    for attribute, values in rule.get("where", {}).items():
        if attribute not in candidates.columns:
            raise CacheError(f"A task selects items by {shown(attribute)}, which they do not have.")
        candidates = candidates.filter(pl.col(attribute).is_in(values))
    which, most = rule.get("rows", "all"), most_items(rule)
    if most is not None:
        in_order = candidates.sort("sample", "time", "item_id", nulls_last=False).group_by(
            "sample", maintain_order=True
        )
        candidates = in_order.head(most) if which == "first" else in_order.tail(most)
    edges = np.zeros(len(visible) + 1, dtype=np.int64)  # +1 where an item begins, -1 where it ends
    first = candidates["first_row"].to_numpy()
    np.add.at(edges, first, 1)
    np.add.at(edges, first + candidates["rows"].to_numpy(), -1)
    return np.cumsum(edges[:-1]) > 0


@dataclass(frozen=True)
class KnownRows:
    """What the K predictions of a long task may see of a modality: rows that they share.

    ``rows`` are those that any of them may see, in order of time; prediction k sees ``lengths[k]`` of them from
    ``starts[k]`` on, both ``[K]``: none where nothing was known yet.
    """

    rows: "Modality"
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]


def known_rows(modality: "Modality", task: Task) -> KnownRows:
    """Return the rows that each prediction of a long task may see: without time, or with one up to its own.

    A rule that selects items is asked anew at every time: the last ones are the last by then.
    """
    assert task.sample is not None and task.time is not None
    latest = np.full(len(modality), -np.inf)  # [N], of its predictions
    np.maximum.at(latest, task.sample, task.time)
    keep = in_window(modality.time, np.inf, task.history_hours)
    keep &= np.repeat(latest, modality.lengths) >= _known_from(modality.time)
    rule, begins = task.select.get(modality.name, {}), np.ones(len(keep), dtype=bool)
    if rule and modality.items is not None:
        keep &= _chosen_rows(modality.items, keep, {"where": rule.get("where", {})})
        begins[:] = False
        begins[modality.items.filter(pl.col("rows") > 0)["first_row"].to_numpy()] = True
    rows, begins = _in_order_of_time(replace(modality.keep_rows(keep), items=None), begins[keep])
    time = _known_from(rows.time)
    starts, ends = rows.offsets[task.sample], rows.offsets[task.sample + 1]
    stops = first_after(time, starts, ends, task.time)
    most = most_items(rule) if modality.items is not None else None
    if most is not None and len(time):
        first = np.flatnonzero(begins)  # [I], the row with which each item begins
        edges = np.append(first, len(time))
        if rule.get("rows") == "first":
            begun = np.searchsorted(first, starts)
            stops = np.minimum(stops, edges[np.minimum(begun + most, len(first))])
        else:
            known = np.searchsorted(first, stops)  # items up to then, those of earlier samples included
            starts = np.maximum(starts, edges[np.maximum(known - most, 0)])
    return KnownRows(rows, starts, np.maximum(stops - starts, 0))


def first_after(
    time: npt.NDArray[Any], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], hours: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """Return the first place from ``starts`` up to ``ends`` with a time after ``hours``, all of the same shape.

    Times [R] must not fall between start and end; where none is later, the end is returned.
    """
    low, high = starts.copy(), ends.copy()
    while (between := low < high).any():
        middle = (low + high) // 2
        known = between & (time[np.where(between, middle, 0)] <= hours)
        low = np.where(known, middle + 1, low)
        high = np.where(between & ~known, middle, high)
    return low


def _known_from(time: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return from when on rows are known [R]: from the beginning those without a time."""
    return np.where(np.isnan(time), np.float32(-np.inf), time)


def _in_order_of_time(rows: "Modality", begins: npt.NDArray[np.bool_]) -> tuple["Modality", npt.NDArray[np.bool_]]:
    """Return rows, and which of them begin an item [R], with those of each sample in order of time."""
    time, sample = _known_from(rows.time), np.repeat(np.arange(len(rows)), rows.lengths)
    if not ((time[1:] < time[:-1]) & (sample[1:] == sample[:-1])).any():
        return rows, begins
    order = np.lexsort((time, sample))
    return replace(rows, values=rows.values[order], time=rows.time[order]), begins[order]
