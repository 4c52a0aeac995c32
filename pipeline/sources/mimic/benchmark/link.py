"""Which ICU stay an event belongs to, in both profiles.

``stays`` has one row per stay of the cohort: ``subject_id``, ``hadm_id``, ``stay_id``, ``subject`` and ``stay``
(running numbers), ``intime`` and ``outtime`` (seconds). Linked events gain ``subject`` and ``stay``; the others are
counted.
"""

from collections import Counter

import polars as pl

TAKEN_FROM_ADMISSION = "stay id empty, taken from HADM_ID"
"""Count of events that are linked as usual: laboratory tables have no stay id."""


def match_admissions(events: pl.DataFrame, stays: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series, Counter[str]]:
    """Return all events, and for which of them HADM_ID leads to a stay of the subject, as in the benchmark.

    A stay id may be empty but must not contradict; events without HADM_ID do not match even if they name their stay.
    """
    key = stays.select("hadm_id", "subject", "stay", owner="subject_id", expected="stay_id")
    matched = events.join(key, on="hadm_id", how="left")
    checks = matched.select(
        pl.col("hadm_id").is_null().alias("empty"),
        pl.col("owner").eq_missing(pl.col("subject_id")).alias("inside"),
        pl.col("stay_id").is_null().alias("unnamed"),
        (pl.col("stay_id") != pl.col("expected")).fill_null(False).alias("other"),
    )
    empty, inside, unnamed, other = checks
    counts = {
        "events": len(events),
        "HADM_ID empty": empty.sum(),
        "HADM_ID outside the cohort": (~empty & ~inside).sum(),
        TAKEN_FROM_ADMISSION: (inside & unnamed).sum(),
        "stay id contradicts HADM_ID": (inside & other).sum(),
    }
    return matched.drop("owner", "expected"), inside & ~other, Counter(counts)


def link_by_stay_admission_or_time(
    events: pl.DataFrame, stays: pl.DataFrame, *, by_stay: bool = True, by_time: bool = True
) -> tuple[pl.DataFrame, Counter[str]]:
    """Link events through the stay id, else HADM_ID, else the time within the stay.

    ``by_stay`` links events that name a stay but no admission, ``by_time`` those that name neither (many laboratory
    rows). Ids that contradict each other drop the event.
    """
    matched, linked, counts = match_admissions(events, stays)
    through_hadm = matched.filter(linked)
    without = events.filter(pl.col("hadm_id").is_null())
    named = pl.col("stay_id").is_not_null()
    through_stay = without.filter(named & by_stay).join(
        stays.select("subject_id", "stay_id", "subject", "stay"), on=["subject_id", "stay_id"]
    )
    through_time = _within_stay(without.filter(~named & by_time), stays)
    found = {"stay_without_admission": len(through_stay), "time_within_stay": len(through_time)}
    counts["HADM_ID empty"] -= sum(found.values())
    columns = through_hadm.columns
    parts = [through_hadm, through_stay.select(columns), through_time.select(columns)]
    return pl.concat(parts), counts + Counter(found)


def _within_stay(events: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Link each event to the stay of its subject that had begun last, if the event is not after its end."""
    known = stays.filter(pl.col("intime").is_not_null()).sort("intime")
    linked = events.sort("second").join_asof(
        known.select("subject_id", "subject", "stay", "intime", "outtime"),
        left_on="second", right_on="intime", by="subject_id", check_sortedness=False,
    )  # fmt: skip
    return linked.filter(pl.col("second") <= pl.col("outtime"))
