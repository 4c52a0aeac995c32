"""The tasks of the ICU benchmark with many predictions a stay: decompensation and remaining length of stay.

Harutyunyan et al. 2019. Predictions are made where bins end: every hour, as in the benchmark, with bins of one hour,
every other hour with bins of two. A prediction at time t sees the rows up to t, its own bin included.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .....cache_schema import Task, offsets_of
from .tasks import EPSILON, Counts, Flags, Hours, Stays, apply_filters, selection, whole_stay_filters

EARLIEST_HOURS = 4.0
"""Predictions are made after this time."""
HORIZON_HOURS = 24.0
BUCKET_ENDS = 24.0 * np.array([1, 2, 3, 4, 5, 6, 7, 8, 14])
"""Hours; a bucket of the remaining stay begins where the one before it ends, its beginning included."""
BUCKETS = ("under 1 day", *(f"{day} to {day + 1} days" for day in range(1, 8)), "8 to 14 days", "14 days or more")
DECIMALS = 6
"""The benchmark writes the remaining hours down with this precision before it cuts them into buckets."""


def decompensation(stays: Stays, modalities: Sequence[str], step_hours: float, *, known_times_only: bool) -> Task:
    """Return death within 24 hours, of patients who die in hospital, at every step of the stay while they live.

    The benchmark also predicts at the time of death itself; where ``stays.dead_hours`` is given, nothing is predicted
    from then on, of the remaining length of stay neither.

    Where only the date of a death in hospital is known, the benchmark labels all predictions 0; with
    ``known_times_only`` such a stay is left out.
    """
    filters = whole_stay_filters(stays)
    if known_times_only:
        filters.append(("a time of death if they died", ~stays.died | ~np.isnan(stays.death_hours)))
    kept, counts = apply_filters(filters, stays.counts)
    sample, time, counts = _prediction_times(
        stays, kept, counts, np.fmin(stays.los_hours, stays.death_hours), step_hours
    )
    soon = stays.died[sample] & (stays.death_hours[sample] - time < HORIZON_HOURS)  # [K]
    return Task(
        "decompensation", "binary", ("dies within 24 hours",), soon.astype(np.float32)[:, None], None,
        selection(modalities), counts, sample, time.astype(np.float32), "death within the next 24 hours",
    )  # fmt: skip


def length_of_stay(stays: Stays, modalities: Sequence[str], step_hours: float) -> Task:
    """Return the remaining length of stay in ten buckets, at every step of the stay.

    The remaining hours themselves are the sample's ``los_hours`` minus ``time``.
    """
    kept, counts = apply_filters(whole_stay_filters(stays), stays.counts)
    sample, time, counts = _prediction_times(stays, kept, counts, stays.los_hours, step_hours)
    remaining = np.round(stays.los_hours[sample] - time, DECIMALS)  # [K]
    bucket = np.searchsorted(BUCKET_ENDS, remaining, side="right").astype(np.float32)
    return Task(
        "length_of_stay", "multiclass", BUCKETS, bucket[:, None], None,
        selection(modalities), counts, sample, time.astype(np.float32), "the remaining length of stay",
    )  # fmt: skip


def _prediction_times(
    stays: Stays, kept: Flags, counts: Counts, end_hours: Hours, step_hours: float
) -> tuple[npt.NDArray[np.int64], Hours, Counts]:
    """Return sample and hours ``[K]`` of all predictions of the stays that are ``kept``, and the counts with them.

    These are the multiples of ``step_hours`` after 4 hours and the first event, up to ``end_hours`` ``[N]`` and before
    ``stays.dead_hours``.
    """
    earliest = np.full(len(end_hours), EARLIEST_HOURS)
    begin = earliest if stays.first_hours is None else np.fmax(earliest, stays.first_hours)
    first: Hours = np.floor(begin / step_hours) + 1  # [N], in steps
    last = np.ceil((end_hours + EPSILON) / step_hours) - 1
    number = np.where(kept, np.maximum(last - first + 1, 0), 0).astype(np.int64)
    sample = np.repeat(np.arange(len(number), dtype=np.int64), number)
    time: Hours = (first[sample] + np.arange(len(sample)) - offsets_of(number)[sample]) * step_hours
    if stays.dead_hours is not None:
        alive = ~(stays.dead_hours[sample] <= time)
        counts = counts if alive.all() else (*counts, ("predictions, those after death included", len(sample)))
        sample, time = sample[alive], time[alive]
    return sample, time, (*counts, ("a prediction time", len(np.unique(sample))), ("predictions", len(sample)))
