"""The labels of the four tasks of the benchmark, for the stays of a cohort."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ....cache_schema import Task
from ...source import FirstHours, Quarantine
from .benchmark import EhrSettings
from .benchmark.long_tasks import decompensation, length_of_stay
from .benchmark.tasks import Stays, mortality, phenotyping
from .cohort import Cohort, read_phenotypes
from .folder import MimicFolder


def read_stays(folder: MimicFolder, cohort: Cohort, settings: EhrSettings, quarantine: Quarantine) -> Stays:
    """Read what labels depend on, apart from the events."""
    flags, diagnosed = read_phenotypes(folder, cohort.stays, settings, quarantine)
    los_hours, death_hours, dead_hours = (
        cohort.stays[name].fill_null(np.nan).to_numpy() for name in ("los_hours", "death_hours", "dead_hours")
    )
    return Stays(
        los_hours, cohort.stays["died"].to_numpy(), death_hours, diagnosed & cohort.stays["benchmark"].to_numpy(),
        flags, cohort.counts,
        dead_hours=dead_hours if settings.uses("no_prediction_after_death") else None,
    )  # fmt: skip


def benchmark_tasks(
    stays: Stays, modalities: Sequence[str], settings: EhrSettings, first_hours: FirstHours
) -> tuple[Task, ...]:
    """Label the stays; ``first_hours`` says which of them have events, if those are wanted."""
    stays = replace(stays, first_hours=first_hours.get("ehr"))
    step, known_times_only = settings.bin_hours, settings.uses("known_time_of_death")
    return (
        mortality(stays, modalities),
        phenotyping(stays, modalities),
        decompensation(stays, modalities, step, known_times_only=known_times_only),
        length_of_stay(stays, modalities, step),
    )
