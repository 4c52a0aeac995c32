"""Which rows of a modality a task may see: its time window and its choice among items."""

from collections.abc import Mapping
from dataclasses import replace
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
