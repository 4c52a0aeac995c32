"""What every step left of a MIMIC cohort, beside what was published for the same release."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files

import numpy as np
import polars as pl

from ....cache_schema import Task
from .benchmark import EhrSettings
from .cohort import IMAGES_STEP, OWN_STEP, TABLES_STEP, Step

COHORT, EVENTS, TASK = "cohort", "events", "task"
KEY = ["scope", "step", "unit"]


def count_steps(
    steps: Sequence[Step],
    settings: EhrSettings,
    limit: int | None,
    tasks: Sequence[Task],
    left_out: pl.DataFrame,
    _splits: Mapping[str, pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """Return scope, step, unit, count, published and source, one row a count.

    The release is known by its number of ICU stays; of another one, such as a subset, nothing was published. Published
    events are those that the benchmark's rules drop, so they stand beside no other profile's; with a ``limit``, or the
    stays of own tasks, only the cohort is compared. ``left_out`` are the counts of the quarantine.
    """
    rows = [*_of_cohort(steps), *_of_events(left_out), *_of_tasks(tasks, settings.bin_hours)]
    counts = pl.DataFrame(rows, [*KEY, "count"], orient="row")
    comparable = [COHORT]
    if limit is None and not any(step.name in (OWN_STEP, IMAGES_STEP) for step in steps):
        comparable += [TASK] if settings.profile == "clean" else [TASK, EVENTS]
    published = _published(steps[0].stays).filter(pl.col("scope").is_in(comparable))
    return counts.join(published, on=KEY, how="left", maintain_order="left")


Row = tuple[str, str, str, int]


def _of_cohort(steps: Sequence[Step]) -> Iterator[Row]:
    for step in steps:
        yield COHORT, step.name, "ICU stays", step.stays
        yield COHORT, step.name, "admissions", step.admissions
        yield COHORT, step.name, "subjects", step.subjects


def _of_events(left_out: pl.DataFrame) -> Iterator[Row]:
    for reason, count in left_out.filter(source="events").select("reason", "count").iter_rows():
        yield EVENTS, reason, "events", count


def _of_tasks(tasks: Sequence[Task], bin_hours: float) -> Iterator[Row]:
    for task in tasks:
        unit = f"predictions every {bin_hours:g} h" if task.long else "samples"
        yield TASK, task.name, unit, int((~np.isnan(task.y).all(axis=1)).sum())
        if task.kind == "binary":
            yield TASK, task.name, f"positive {unit}", int(np.nansum(task.y))


def _published(icu_stays: int) -> pl.DataFrame:
    """Return scope, step, unit, published and source of the release with so many ICU stays."""
    table = pl.read_csv(files(__package__).joinpath("published_counts.csv").read_bytes())
    release = table.filter(scope=COHORT, step=TABLES_STEP, unit="ICU stays", count=icu_stays)["release"]
    source = pl.format("{}: {}", "release", "source")
    return table.filter(pl.col("release").is_in(release.implode())).select(*KEY, published="count", source=source)
