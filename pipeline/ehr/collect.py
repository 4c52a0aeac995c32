"""One pass over the event tables: keep the cohort's events of the 17 variables, on disk."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ..source import Quarantine
from .cleaning import STAGE
from .link import link_as_benchmark, link_by_stay_admission_or_time
from .spill import EventStore
from .times import seconds
from .variables import items

MISSING_TEXTS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "n/a", "nan", "null",
)  # fmt: skip
"""Texts that mean a missing value; ``None`` is not one of them: it is a category of eye opening."""

LOOK_AHEAD = 32

KEPT = ("subject", "subject_id", "stay", "second", "item", "value", "unit", "valuenum")


@dataclass
class Collected:
    """Events of the cohort on disk, the subjects whose values are text ``[subjects]``, and counts of events."""

    store: EventStore
    text_subjects: npt.NDArray[np.bool_]
    counts: Counter[str]


def collect_as_benchmark(batches: Iterable[pl.DataFrame], stays: pl.DataFrame, into: Collected) -> None:
    """Collect as the benchmark does: every valid event of a subject decides whether its values are text or numbers."""
    wanted = _wanted(pl.col("benchmark"))
    subjects = stays["subject_id"].unique().implode()
    for batch in batches:
        linked, counts = link_as_benchmark(batch.filter(pl.col("subject_id").is_in(subjects)), stays)
        into.counts.update(counts)
        valid = linked.filter(~_missing())
        _mark_text_subjects(valid, into.text_subjects)
        into.store.add(_timed(valid.join(wanted, on="itemid"), into.counts).select(KEPT))


def collect_clean(
    batches: Iterable[pl.DataFrame], stays: pl.DataFrame, into: Collected, without: frozenset[str]
) -> None:
    """Collect for the clean profile; ``without`` names its rules that are switched off."""
    wanted = _wanted(_clean_items(without))
    subjects = stays["subject_id"].unique().implode()
    error = pl.col("error").is_in(["1", "1.0", "true"]).fill_null(False)
    for batch in batches:
        mine = batch.filter(pl.col("subject_id").is_in(subjects)).join(wanted, on="itemid")
        into.counts["events"] += len(mine)
        if "drop_charted_errors" not in without:
            into.counts["drop_charted_errors"] += mine.select(error.sum()).item()
            mine = mine.filter(~error)
        valued = mine.filter(~(_missing() & pl.col("valuenum").is_null()))
        linked, counts = link_by_stay_admission_or_time(
            _timed(valued, into.counts),
            stays,
            by_stay="stay_without_admission" not in without,
            by_time="time_within_stay" not in without,
        )
        into.counts.update({name: count for name, count in counts.items() if name != "events"})
        into.store.add(linked.select(KEPT))


def report_counts(counts: Counter[str], quarantine: Quarantine) -> None:
    """Quarantine, as counts only, the events that were not used or were recovered."""
    for reason, count in sorted(counts.items()):
        if count and reason != "events":
            quarantine.add(STAGE, "events", "", "", reason, count)


def _clean_items(without: frozenset[str]) -> pl.Expr:
    used = pl.col("clean") if "new_items" not in without else pl.col("clean") & pl.col("benchmark")
    return used | pl.col("benchmark") if "blood_only" in without else used


def _wanted(condition: pl.Expr) -> pl.DataFrame:
    """Return itemid and item (row of ``items()``) of the items that are read."""
    return items().with_columns(item=pl.int_range(pl.len(), dtype=pl.UInt16)).filter(condition).select("itemid", "item")


def _missing() -> pl.Expr:
    return pl.col("value").is_null() | pl.col("value").is_in(MISSING_TEXTS)


def _timed(events: pl.DataFrame, counts: Counter[str]) -> pl.DataFrame:
    """Add the second of each event; events without a readable time are dropped and counted."""
    timed = events.with_columns(second=seconds(events["charttime"]))
    usable = timed.drop_nulls("second")
    counts["CHARTTIME unreadable"] += len(timed) - len(usable)
    return usable


def _mark_text_subjects(events: pl.DataFrame, text_subjects: npt.NDArray[np.bool_]) -> None:
    """Mark the subjects that have a value which is not a number."""
    is_number = pl.col("value").str.strip_chars().cast(pl.Float64, strict=False).is_not_nan().fill_null(False)
    for step in (LOOK_AHEAD, 1):  # most subjects show a text soon: a few rows spare the look at all
        undecided = events.filter(~pl.Series(text_subjects).gather(events["subject"])).gather_every(step)
        text_subjects[undecided.filter(~is_number)["subject"].unique().to_numpy()] = True
