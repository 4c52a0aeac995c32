"""What every step left of a MIMIC cohort, beside what was published for the same release."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files

import numpy as np
import polars as pl

from ....cache_schema import Task
from .benchmark import EhrSettings
from .cohort import IMAGES_STEP, OWN_STEP, TABLES_STEP, Step

Counting = Callable[[Sequence[Task], pl.DataFrame, Mapping[str, pl.DataFrame]], pl.DataFrame]
"""What counts the steps of a cohort, given its tasks, the counts of the quarantine and the splits."""

COHORT, EVENTS, TASK = "cohort", "events", "task"
KEY = ["scope", "step", "unit"]


def count_steps(
    steps: Sequence[Step],
    settings: EhrSettings,
    tasks: Sequence[Task],
    left_out: pl.DataFrame,
    _splits: Mapping[str, pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """Return scope, step, unit, count, published and source, one row a count; the last two for others to fill.

    ``left_out`` are the counts of the quarantine.
    """
    rows = [*_of_cohort(steps), *_of_events(left_out), *_of_tasks(tasks, settings.bin_hours)]
    counts = pl.DataFrame(rows, [*KEY, "count"], orient="row")
    return counts.with_columns(published=pl.lit(None, pl.Int64), source=pl.lit(None, pl.String))


def beside_published(
    counting: Counting,
    steps: Sequence[Step],
    settings: EhrSettings,
    limit: int | None,
    tasks: Sequence[Task],
    left_out: pl.DataFrame,
    splits: Mapping[str, pl.DataFrame],
) -> pl.DataFrame:
    """Return what is counted beside what was published for the same release.

    The release is known by its number of ICU stays; of another one, such as a subset, nothing was published. Published
    events are those that the benchmark's rules drop, so they stand beside no other profile's; with a ``limit``, or the
    stays of own tasks, only the cohort is compared and, without a limit, the tasks that say themselves whose they are.
    """
    counts = counting(tasks, left_out, splits)
    published = _published(steps[0].stays)
    excluded = set()
    if limit is not None or any(step.name in (OWN_STEP, IMAGES_STEP) for step in steps):
        excluded = {TASK, EVENTS}
    elif settings.profile == "clean":
        excluded = {EVENTS}
    scope = pl.col("scope")
    taken = ~scope.is_in(list(excluded)) if limit is None else scope == COHORT
    found = counts.join(published.filter(taken), on=KEY, how="left", maintain_order="left", suffix="_of_release")
    return found.with_columns(
        pl.coalesce(name, f"{name}_of_release").alias(name) for name in ("published", "source")
    ).drop("published_of_release", "source_of_release")


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
