"""Cohorts and labels of the ICU benchmark with one prediction a stay: in-hospital mortality and phenotyping.

Harutyunyan et al. 2019. A label is NaN outside the task's cohort; what is left after every filter is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .....cache_schema import Task
from .phenotypes import phenotypes

MORTALITY_HOURS = 48.0
EPSILON = 1e-6
"""Hours: the tolerance of the benchmark at the ends of a window."""

SELECTION: dict[str, dict[str, Any]] = {
    "cxr": {"rows": "last", "where": {"view_position": ["AP", "PA"]}},
    "rep": {"rows": "last"},
}
"""Inputs of all tasks: the last frontal image and the last report of the window."""

Flags = npt.NDArray[np.bool_]
Hours = npt.NDArray[np.float64]
Filter = tuple[str, Flags]
Counts = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Stays:
    """What decides cohorts and labels, aligned with the samples.

    ``los_hours`` ``[N]`` (NaN unknown), ``died`` ``[N]`` (in hospital), ``death_hours`` ``[N]`` from t0 to the time of
    death (NaN unknown), ``diagnosed`` ``[N]`` (any diagnosis code), ``phenotypes`` ``[N, 25]``; ``counts``: filters
    before; ``first_hours`` ``[N]``, time of the first event within the stay (NaN without any), or None where events
    are not wanted; ``dead_hours`` ``[N]``, time by which the patient is known to be dead (NaN unknown or alive), or
    None where predictions are made whatever happened, as in the benchmark.
    """

    los_hours: Hours
    died: Flags
    death_hours: Hours
    diagnosed: Flags
    phenotypes: Flags
    counts: Counts
    first_hours: Hours | None = None
    dead_hours: Hours | None = None


def mortality(stays: Stays, modalities: Sequence[str]) -> Task:
    """Death in hospital, from the first 48 hours of stays that last at least as long."""
    filters = [
        ("a diagnosis", stays.diagnosed),
        ("at least 48 hours long", stays.los_hours >= MORTALITY_HOURS - EPSILON),
        *_with_event(stays, MORTALITY_HOURS),
    ]
    filters += _alive(stays, filters, MORTALITY_HOURS, "alive after 48 hours")
    kept, counts = apply_filters(filters, stays.counts)
    y = np.where(kept, stays.died, np.nan).astype(np.float32)[:, None]  # [N, 1]
    return Task(
        "mortality", "binary", ("died",), y, MORTALITY_HOURS, selection(modalities), counts,
        title="in-hospital mortality",
    )  # fmt: skip


def phenotyping(stays: Stays, modalities: Sequence[str]) -> Task:
    """25 conditions coded for the admission, from the whole stay."""
    kept, counts = apply_filters(whole_stay_filters(stays), stays.counts)
    y = np.where(kept[:, None], stays.phenotypes, np.nan).astype(np.float32)  # [N, 25]
    return Task(
        "phenotyping", "multilabel", phenotypes(), y, None, selection(modalities), counts,
        title="acute care phenotypes",
    )  # fmt: skip


def whole_stay_filters(stays: Stays) -> list[Filter]:
    """Return what the benchmark asks of stays that are looked at from beginning to end."""
    filters = [
        ("a diagnosis", stays.diagnosed),
        ("a length of stay", ~np.isnan(stays.los_hours)),
        *_with_event(stays, np.inf),
    ]
    return filters + _alive(stays, filters, 0, "alive at admission to the unit")


def _alive(stays: Stays, filters: Sequence[Filter], hours: float, name: str) -> list[Filter]:
    """Return the filter on patients who are not known to be dead ``hours`` after t0, if it leaves anybody out.

    ``filters`` are those before it.
    """
    if stays.dead_hours is None:
        return []
    dead = stays.dead_hours <= hours
    return [(name, ~dead)] if (dead & np.all([passed for _, passed in filters], axis=0)).any() else []


def _with_event(stays: Stays, window_hours: float) -> list[Filter]:
    """Return the filter on events: the benchmark needs one of the 17 variables within the window."""
    if stays.first_hours is None:
        return []
    return [("an EHR event in the window", stays.first_hours < window_hours + EPSILON)]


def selection(modalities: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return which items of these modalities are inputs."""
    return {name: rule for name, rule in SELECTION.items() if name in modalities}


def apply_filters(filters: Sequence[Filter], counts: Counts) -> tuple[Flags, Counts]:
    """Return who passes every filter ``[N]``, and the counts with what was left after each."""
    kept = np.ones(len(filters[0][1]), dtype=bool)
    for name, passed in filters:
        kept = kept & passed
        counts = (*counts, (name, int(kept.sum())))
    return kept, counts
