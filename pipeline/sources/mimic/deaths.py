"""Who died in hospital and when, from four columns that need not agree.

``deathtime``, ``hospital_expire_flag`` and ``discharge_location`` are of the admission, ``dod`` is of the patient and a
date: its midnight lies before a discharge of the same day, so it cannot tell who died before it from who died after.
"""

import polars as pl

from ...source import Quarantine

STAGE = "tables"
DAY_SECONDS = 24 * 3600
DEAD = ("DIED", "DEAD/EXPIRED", "EXPIRED", "DEAD")
"""Places of discharge of those who died: MIMIC-IV has the first, MIMIC-III the second."""

RULE = "death_in_hospital"
BY_ADMISSION = f"{RULE}: died by the flag, the place of discharge or a time of death outside the admission"
BY_DATE = f"{RULE}: left the hospital alive, the date of death is a day of the admission"
CONTRADICTION = f"{RULE}: the admission says both that the patient died and that the patient left alive"
OF_ADMISSION = ["hospital_expire_flag", "discharge_location"]
"""Columns of the table of admissions; without them its times have to do."""


def died_by_times() -> pl.Expr:
    """Return whether date or time of death lies between admission and discharge, as the benchmark asks."""
    return (_in_admission("dod") | _in_admission("deathtime")).alias("died")


def died_in_hospital(stays: pl.DataFrame, quarantine: Quarantine) -> pl.Series:
    """Return who died in hospital ``[N]``; what differs from :func:`died_by_times` or contradicts itself is counted.

    ``stays`` has stay_id, admittime, dischtime, deathtime and dod (seconds), and the texts of `OF_ADMISSION`.
    """
    flag = pl.col("hospital_expire_flag").cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    place = pl.col("discharge_location").str.strip_chars().str.to_uppercase().replace("", None)
    dead = (flag == 1).fill_null(False) | place.is_in(DEAD).fill_null(False)
    alive = (flag == 0).fill_null(False) | (~place.is_in(DEAD)).fill_null(False)
    known_time = pl.col("deathtime").is_not_null()
    said = stays.select(
        died_by_times().alias("by_times"),
        died=_in_admission("deathtime") | dead | (~alive & (known_time | _in_admission("dod"))),
        contradiction=(dead | known_time) & alive,
    )
    died, by_times = said["died"], said["by_times"]
    for reason, where in {
        BY_ADMISSION: died & ~by_times,
        BY_DATE: ~died & by_times,
        CONTRADICTION: said["contradiction"],
    }.items():
        for stay in stays.filter(where)["stay_id"]:
            quarantine.add(STAGE, "stays", f"stay {stay}", "", reason)
    return died


def dead_second() -> pl.Expr:
    """Return the second by which a patient is known to be dead, null if alive.

    That is the time of death, without one the discharge of who ``died`` in hospital; or the end of the date of death
    where that is earlier or stands alone.
    """
    left = pl.coalesce("deathtime", pl.when("died").then("dischtime"))
    end_of_date = pl.col("dod") // DAY_SECONDS * DAY_SECONDS + DAY_SECONDS - 1
    return pl.min_horizontal(left, end_of_date).alias("dead")


def _in_admission(time: str) -> pl.Expr:
    return pl.col(time).is_between(pl.col("admittime"), pl.col("dischtime")).fill_null(False)
