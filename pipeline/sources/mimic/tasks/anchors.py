"""The units of a task with their exact times, from the tables of stays, admissions and patients.

What is known of deaths, and for how long patients are followed, differs between the releases of MIMIC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from .....cache_schema import InputError
from ....series.times import seconds
from ..cohort import OLDEST, Recorded
from ..folder import MimicFolder
from .checks import position
from .language import ANCHORS, AnchorPredicate, CohortFilter, DerivedPredicate, TaskFile, Unit

HOUR, DAY = 3600, 86_400
Release = Literal["III", "IV 1", "IV"]
"""``IV 1``: versions 1.0 to 1.x, which know deaths in hospital alone; ``IV``: from 2.0 on."""

FOLLOWED_DAYS = {"III": 90, "IV 1": 0, "IV": 365}
"""Days after the last discharge of a patient for which a death is known."""
FOLLOWED_DAYS_CAREVUE = 4 * 365
"""Of patients of MIMIC-III who were charted in CareVue."""
NEWBORN = "NEWBORN"
STAY_SECONDS = 6 * HOUR


@dataclass(frozen=True)
class Units:
    """The units of a task in order: ``frame`` as :func:`.execute` takes it, and stay_id, hadm_id, subject_id.

    ``stays`` are the stays of each (unit, stay_id, icu_in); ``steps`` the units left after every filter of the cohort,
    by their rows in the frame of all.
    """

    frame: pl.DataFrame
    stays: pl.DataFrame
    steps: tuple[tuple[str, pl.DataFrame], ...]


def release_of(folder: MimicFolder) -> Release:
    """Return which release a folder holds, as far as deaths go: only MIMIC-IV before 2.0 has a folder ``core``."""
    if folder.version == 3:
        return "III"
    return "IV 1" if any(path.name.lower() == "core" for path in folder.folders) else "IV"


def check_release(task: TaskFile, release: Release) -> None:
    """Raise :class:`InputError` where a label asks for deaths after the time for which patients are followed."""
    label, target = task.target.label, task.target
    assert label is not None
    if label.kind == "survival" or not any(_is_death(task, name) for name in label.predicates.values()):
        return
    end = position(task, target.end, target)
    until = position(task, target.observed, target) if target.observed else None
    if any(where and where[0] in ("icu_out", "hosp_out") and where[1] <= STAY_SECONDS for where in (end, until)):
        return
    carevue = release == "III" and task.cohort.dbsource == "carevue"
    days = FOLLOWED_DAYS_CAREVUE if carevue else FOLLOWED_DAYS[release]
    if release == "IV 1" or end is None or end[1] > days * DAY:
        knows = {
            "III": f"MIMIC-III knows deaths for {days} days after the last discharge"
            + ("" if carevue else "; with `cohort: {dbsource: carevue}` for four years"),
            "IV 1": "MIMIC-IV before version 2.0 knows deaths in hospital alone; end the window at hosp_out, or say "
            "`observed_until: hosp_out`",
            "IV": "MIMIC-IV knows deaths for a year after the last discharge",
        }[release]
        raise InputError(f"{task.source}: windows.{target.name}.end is {target.end.text!r}. {knows}.")


def _is_death(task: TaskFile, name: str) -> bool:
    predicate = task.predicates.get(name)
    if isinstance(predicate, DerivedPredicate):
        return any(_is_death(task, argument) for argument in predicate.arguments)
    if isinstance(predicate, AnchorPredicate):
        return predicate.anchor == "death" and predicate.within is None
    return name == "death"


def stay_anchors(recorded: Recorded, release: Release, left_hospital: pl.Series | None = None) -> pl.DataFrame:
    """Return every stay with its anchors in seconds and what filters of a cohort ask for.

    Columns: stay_id, hadm_id, subject_id, `ANCHORS`, death_by_day, age, icu_hours, first_stay, stays_of_admission,
    one_unit, newborn, dbsource, benchmark, left_hospital (see :func:`.left_hospital_from`, of the stays in their order;
    of none where nobody asks).

    A death is the admission's time of death, or that of another admission of the subject. Without one it is the end of
    the date of death, or the discharge of who died in hospital if that is earlier; both are marked ``death_by_day``.
    Who dies in hospital leaves it then, whatever time of discharge is written.
    """
    admissions = recorded.admissions.with_columns(hosp_out=pl.max_horizontal("dischtime", "deathtime"))
    of_subject = admissions.select(
        "subject_id",
        "hadm_id",
        "hosp_out",
        last_discharge=pl.col("hosp_out").max().over("subject_id"),
        other_death=pl.col("deathtime").min().over("subject_id"),
    )
    left = pl.lit(False) if left_hospital is None else left_hospital
    stays = recorded.stays.with_columns(left_hospital=left).join(of_subject, on=["subject_id", "hadm_id"], how="left")
    exact = pl.coalesce("deathtime", "other_death")
    flag = pl.col("hospital_expire_flag").cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False) == 1
    by_day = pl.min_horizontal(pl.col("dod") // DAY * DAY + DAY - 1, pl.when(flag).then("hosp_out"))
    followed = pl.lit(FOLLOWED_DAYS[release])
    units = [pl.col("first_careunit") == pl.col("last_careunit")]
    dbsource = pl.lit(None, pl.String)
    if release == "III":
        dbsource = pl.col("dbsource").str.strip_chars().str.to_lowercase()
        followed = pl.when(dbsource == "carevue").then(FOLLOWED_DAYS_CAREVUE).otherwise(followed)
        units.append(pl.col("first_wardid") == pl.col("last_wardid"))
    return stays.select(
        "stay_id", "hadm_id", "subject_id",
        icu_in="intime", icu_out="outtime", hosp_in="admittime", hosp_out="hosp_out",
        ed_in=seconds(stays["edregtime"]), ed_out=seconds(stays["edouttime"]),
        death=pl.coalesce(exact, by_day),
        last_contact=pl.col("last_discharge") + followed.cast(pl.Int64) * DAY,
        death_by_day=exact.is_null() & by_day.is_not_null(),
        age=pl.col("age").clip(upper_bound=OLDEST),
        icu_hours=(pl.col("outtime") - pl.col("intime")) / HOUR,
        first_stay=pl.col("intime").rank("ordinal").over("subject_id") == 1,
        stays_of_admission=pl.len().over("hadm_id"),
        one_unit=pl.all_horizontal(units),
        newborn=pl.col("admission_type").str.strip_chars().str.to_uppercase().eq(NEWBORN).fill_null(False),
        dbsource=dbsource,
        benchmark="benchmark",
        left_hospital="left_hospital",
    ).sort("stay_id")  # fmt: skip


def bands_of(recorded: Recorded) -> pl.DataFrame:
    """Return stay_id and band: the years in which a patient of MIMIC-IV was first there, the system of MIMIC-III."""
    stays = recorded.stays
    columns = [name for name in ("anchor_year_group", "dbsource") if name in stays.columns]
    band = pl.coalesce(pl.col(columns).str.strip_chars().replace("", None))
    return stays.select("stay_id", band=band)


def in_cohort(cohort: CohortFilter, stays: pl.DataFrame) -> list[tuple[str, pl.Series]]:
    """Return the filters of a cohort on stays (the columns of :func:`stay_anchors`) in order: their names and masks."""
    if cohort.benchmark:
        return [("in the cohort of the benchmark", stays["benchmark"])]
    low, high = cohort.age
    wanted: list[tuple[str, pl.Expr]] = []
    if low is not None or high is not None:
        at_least = pl.lit(True) if low is None else pl.col("age") >= low
        at_most = pl.lit(True) if high is None else pl.col("age") <= high
        name = f"age {'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'}"
        wanted.append((name.strip() if high is not None else f"age {low:g} and over", at_least & at_most))
    if cohort.exclude_newborns:
        wanted.append(("no newborns", ~pl.col("newborn")))
    if cohort.dbsource:
        wanted.append((f"charted in {cohort.dbsource}", pl.col("dbsource") == cohort.dbsource))
    if cohort.first_icu_stay:
        wanted.append(("the first stay", pl.col("first_stay")))
    if cohort.one_unit:
        wanted.append(("no transfer between units", pl.col("one_unit")))
    if cohort.one_stay_per_admission:
        wanted.append(("one stay in the admission", pl.col("stays_of_admission") == 1))
    if cohort.min_icu_hours is not None:
        wanted.append((f"at least {cohort.min_icu_hours:g} h in the unit", pl.col("icu_hours") >= cohort.min_icu_hours))
    return [(name, stays.select(one.fill_null(False).alias("kept"))["kept"]) for name, one in wanted]


def units_of(task: TaskFile, stays: pl.DataFrame) -> Units:
    """Return the units of a task from all stays (:func:`stay_anchors`).

    An admission has the first entry and the last exit of its stays; a subject those of its first and last admission.
    """
    steps = [(f"all {NOUN[task.unit]}", stays)]
    for name, mask in in_cohort(task.cohort, stays):
        before = steps[-1][1]
        steps.append((name, before.join(stays.filter(mask).select("stay_id"), on="stay_id", how="semi")))
    frame, of_unit = _grouped(steps[-1][1], task.unit)
    return Units(frame, of_unit, tuple((name, _grouped(left, task.unit)[0]) for name, left in steps))


NOUN = {"icu_stay": "ICU stays", "admission": "admissions with an ICU stay", "subject": "patients with an ICU stay"}
KEY = {"icu_stay": "stay_id", "admission": "hadm_id", "subject": "subject_id"}


def _grouped(stays: pl.DataFrame, unit: Unit) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row a unit, and the stays of each."""
    key = KEY[unit]
    ordered = stays.sort("icu_in", "stay_id")
    first, last = ("icu_in", "hosp_in", "ed_in", "ed_out"), ("icu_out", "hosp_out")
    others = [name for name in ("stay_id", "hadm_id", "subject_id") if name != key]
    frame = (
        ordered.group_by(key, maintain_order=True)
        .agg(
            *(pl.col(name).first() for name in others),
            *(pl.col(name).min() for name in first),
            *(pl.col(name).max() for name in last),
            *(pl.col(name).last() for name in ("death", "death_by_day", "last_contact", "left_hospital")),
        )
        .sort(key)
        .with_columns(subject=pl.col("subject_id"))
        .with_row_index("unit")
        .with_columns(pl.col("unit").cast(pl.Int64))
    )
    of_unit = ordered.join(frame.select(key, "unit"), on=key).select("unit", "stay_id", "icu_in")
    return frame.select(
        "unit", "stay_id", "hadm_id", "subject_id", "subject", *ANCHORS, "death_by_day", "left_hospital"
    ), of_unit


def subject_events(recorded: Recorded) -> dict[str, pl.DataFrame]:
    """Return the built-in predicates of subjects: every stay and every admission of the tables, and their ends."""

    def times(frame: pl.DataFrame, column: str) -> pl.DataFrame:
        return frame.select(subject="subject_id", time=column).drop_nulls()

    stays, admissions = recorded.stays, recorded.admissions
    ends: Sequence[pl.DataFrame] = [times(admissions, name) for name in ("admittime", "dischtime", "deathtime")]
    record = pl.concat(ends).group_by("subject")
    return {
        "icu_admission": times(stays, "intime"),
        "icu_discharge": times(stays, "outtime"),
        "hospital_admission": times(admissions, "admittime"),
        "hospital_discharge": times(admissions, "dischtime"),
        "_RECORD_START": record.agg(pl.col("time").min()),
        "_RECORD_END": record.agg(pl.col("time").max()),
    }
