"""One pass over the event tables: keep the cohort's events of the 17 variables, on disk."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from ....series.spill import EventStore
from ....series.times import seconds
from ....source import Quarantine
from .cleaning import STAGE
from .link import TAKEN_FROM_ADMISSION, link_by_stay_admission_or_time, match_admissions
from .rules import EVENT_RULES, described_by_name
from .settings import EhrSettings
from .variables import items

MISSING_TEXTS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "n/a", "nan", "null",
)  # fmt: skip
"""Texts that mean a missing value; ``None`` is not one of them: it is a category of eye opening."""

LOOK_AHEAD = 32
"""Of every so many values one is looked at first, to find the subjects with texts."""

KEPT = ("subject", "stay", "second", "item", "value", "unit", "valuenum")

OUTSIDE = "outside the stay"
UNREADABLE = "CHARTTIME unreadable"


@dataclass
class Collected:
    """Events of the cohort on disk, the subjects whose values are text ``[subjects]``, and counts of events.

    ``examples`` shows one event of a count: where it stands, and its value.
    """

    store: EventStore
    text_subjects: npt.NDArray[np.bool_]
    counts: Counter[str]
    examples: dict[str, tuple[str, str]] = field(default_factory=dict)


def events_to_read(stays: pl.DataFrame, settings: EhrSettings) -> pl.Expr:
    """Return which rows of the event tables :func:`collect` takes; it counts only those."""
    mine = pl.col("subject_id").is_in(stays["subject_id"].unique().implode())
    if settings.profile == "benchmark":  # every event of a subject decides whether its values are text or numbers
        return mine
    return mine & pl.col("itemid").is_in(list(_wanted(settings)))


def collect(batches: Iterable[pl.DataFrame], stays: pl.DataFrame, settings: EhrSettings, into: Collected) -> None:
    """Keep the linked events of the 17 variables that have a value and a time."""
    wanted, owner = _wanted(settings), "stay" if settings.uses("own_stay_only") else "subject"
    spans = _spans(stays, owner)
    take = _events_of_benchmark if settings.profile == "benchmark" else _events_of_clean
    for batch in batches:
        events = take(batch, wanted, stays, settings, into)
        near = _within(events, spans, owner)
        if settings.profile == "clean":
            _count_outside(events, near, into)
        into.store.add(events.filter(near).select(KEPT))


def _events_of_benchmark(
    batch: pl.DataFrame, wanted: Mapping[int, int], stays: pl.DataFrame, _: EhrSettings, into: Collected
) -> pl.DataFrame:
    events, linked, counts = match_admissions(batch, stays)
    into.counts.update(counts)
    _mark_text_subjects(events.select("subject", "value", linked=linked), into.text_subjects)
    measured = events.filter(linked, pl.col("itemid").is_in(list(wanted)), ~_missing())
    return _timed(measured.with_columns(_item(wanted), _valuenum()), into)


def _events_of_clean(
    batch: pl.DataFrame, wanted: Mapping[int, int], stays: pl.DataFrame, settings: EhrSettings, into: Collected
) -> pl.DataFrame:
    mine = batch.with_columns(_item(wanted), _valuenum())
    into.counts["events"] += len(mine)
    if settings.uses("drop_charted_errors"):
        error = pl.col("error").is_in(["1", "1.0", "true"]).fill_null(False)
        into.counts["drop_charted_errors"] += mine.select(error.sum()).item()
        mine = mine.filter(~error)
    valued = mine.filter(~(_missing() & pl.col("valuenum").is_null()))
    linked, counts = link_by_stay_admission_or_time(
        _timed(valued, into),
        stays,
        by_stay=settings.uses("stay_without_admission"),
        by_time=settings.uses("time_within_stay"),
    )
    into.counts.update({name: count for name, count in counts.items() if name != "events"})
    return linked


def report_counts(collected: Collected, settings: EhrSettings, quarantine: Quarantine) -> None:
    """Quarantine, as counts with one example at most, the events that were dropped or recovered.

    What the benchmark profile reports stays as it was: counts alone.
    """
    examples = {} if settings.profile == "benchmark" else collected.examples
    for reason, count in sorted(collected.counts.items()):
        if count and reason not in ("events", TAKEN_FROM_ADMISSION):
            meaning = described_by_name(reason) if reason in EVENT_RULES else reason
            quarantine.add(STAGE, "events", *examples.get(reason, ("", "")), meaning, count)


def _wanted(settings: EhrSettings) -> dict[int, int]:
    """Return the items that are read: the row in ``items()`` of each ITEMID."""
    used = pl.col("benchmark")
    if settings.profile == "clean":
        used = pl.col("clean") if settings.uses("new_items") else pl.col("clean") & pl.col("benchmark")
        used = used if settings.uses("blood_only") else used | pl.col("benchmark")
    return dict(items().with_row_index("item").filter(used).select("itemid", "item").iter_rows())


def _item(wanted: Mapping[int, int]) -> pl.Expr:
    """Look up ``item``, the row in ``items()``."""
    return pl.col("itemid").replace_strict(wanted, return_dtype=pl.UInt16).alias("item")


def _valuenum() -> pl.Expr:
    return pl.col("valuenum").cast(pl.Float64, strict=False)


def _missing() -> pl.Expr:
    return pl.col("value").is_null() | pl.col("value").is_in(MISSING_TEXTS)


def _timed(events: pl.DataFrame, into: Collected) -> pl.DataFrame:
    """Add the second of each event; events without a readable time are dropped and counted."""
    timed = events.with_columns(second=seconds(events["charttime"]))
    usable = timed.drop_nulls("second")
    into.counts[UNREADABLE] += len(timed) - len(usable)
    if len(usable) < len(timed) and UNREADABLE not in into.examples:
        _show(UNREADABLE, timed.filter(pl.col("second").is_null()), into)
    return usable


def _spans(stays: pl.DataFrame, owner: str) -> pl.DataFrame:
    """Return the first and last second that can be used of each ``owner``, a stay or all stays of a subject, in order.

    A stay has rows up to its length; where only a subject is asked for, its times count as well.
    """
    end = pl.col("intime") + (pl.col("los_hours") * 3600).ceil().cast(pl.Int64)
    last = end if owner == "stay" else pl.max_horizontal("outtime", end)
    return stays.group_by(owner).agg(first=pl.col("intime").min(), last=last.max()).sort(owner)


def _within(events: pl.DataFrame, spans: pl.DataFrame, owner: str) -> pl.Series:
    """Return which events lie in the span of their owner: no stay has rows before or after."""
    first, last = (spans[name].gather(events[owner]) for name in ("first", "last"))
    return ((events["second"] >= first) & (events["second"] <= last)).fill_null(False)


def _count_outside(events: pl.DataFrame, near: pl.Series, into: Collected) -> None:
    """Count the events that are not ``near`` their stay; one is shown."""
    outside = len(events) - int(near.sum())
    into.counts[OUTSIDE] += outside
    if outside and OUTSIDE not in into.examples:
        _show(OUTSIDE, events.filter(~near), into)


def _show(reason: str, events: pl.DataFrame, into: Collected) -> None:
    """Keep the first event as the example of a reason: its patient, item and time, never its value."""
    subject, item, time = events.select("subject_id", "itemid", pl.col("charttime").cast(pl.String)).row(0)
    into.examples[reason] = f"subject {subject}, item {item}", str(time)[:40]


def _mark_text_subjects(values: pl.DataFrame, text_subjects: npt.NDArray[np.bool_]) -> None:
    """Mark the subjects that have a linked value which is not a number; ``values`` has subject, value and linked."""
    number = pl.col("value").str.strip_chars().cast(pl.Float64, strict=False)
    is_text = ~(_missing() | number.is_not_nan().fill_null(False))
    for some in (values.gather_every(LOOK_AHEAD), values):  # most subjects have texts: a few rows spare the rest
        marked = pl.Series(text_subjects).gather(some["subject"])
        undecided = some.filter(pl.col("linked") & ~marked)
        text_subjects[undecided.filter(is_text)["subject"].unique().to_numpy()] = True
