"""The cohort of the ICU benchmark from the tables of stays, admissions and patients, and its diagnoses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ....cache_schema import InputError
from ...source import Quarantine
from .benchmark import EhrSettings
from .benchmark.phenotypes import phenotype_flags
from .benchmark.rules import described_by_name
from .care_units import with_units_told
from .deaths import OF_ADMISSION, dead_second, died_by_times, died_in_hospital
from .folder import MimicFolder
from .tables import read_table, unique_rows
from .times import quarantine_values, read_times, refuse_dates

STAGE = "tables"
TABLES_STEP = "ICU stays in the tables"
IMAGES_STEP = "of patients with an image in MIMIC-CXR"
OWN_STEP = "with the stays of own tasks"
"""All that own tasks may be about, beside the cohort of the benchmark."""
YEAR_SECONDS = 365 * 24 * 3600
"""The benchmark's year has 365 days."""
ADULT = 18
OLDEST = 90
LONGEST_STAY_DAYS = 1000
DESCRIPTIVE = ("race", "insurance", "language")
"""Columns of an admission that are kept for reports by group, as they are written; MIMIC-III calls race ethnicity."""

OF_TASKS = ("edregtime", "edouttime", "admission_type")
"""Columns of an admission that only tasks of one's own ask for."""


@dataclass(frozen=True)
class Step:
    """What is left after one filter of the cohort."""

    name: str
    stays: int
    admissions: int
    subjects: int


@dataclass(frozen=True)
class Recorded:
    """All stays and admissions of the tables, whatever the cohort: what tasks of one's own are about.

    ``stays`` has one row a stay that has an admission and a patient: the columns of the three tables, times in seconds,
    ``age`` in years, and ``benchmark``, whether it is in the cohort of the ICU benchmark. ``admissions`` has one row an
    admission: subject_id, hadm_id, admittime, dischtime and deathtime.
    """

    stays: pl.DataFrame
    admissions: pl.DataFrame


@dataclass(frozen=True)
class Cohort:
    """ICU stays in order of ``stay_id``, and how many were left after each filter.

    Columns: stay_id, subject_id, hadm_id, intime and outtime (seconds), los_hours, age, sex, first_careunit, race,
    insurance, language, anchor_year_group (as written, null where empty), died (in hospital), death_hours (from intime
    to the time of death; null where that is unknown), dead_hours (from intime to the time by which death is known from
    any source, null where there is none or nobody asks), benchmark (whether it is in the cohort of the ICU benchmark,
    of which ``steps`` tell).
    """

    stays: pl.DataFrame
    steps: tuple[Step, ...]
    recorded: Recorded
    limited: bool = False
    """Whether only the first stays were taken."""
    notes: tuple[str, ...] = ()
    """What a user has to know of the tables."""

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """Name of each filter of the benchmark's cohort and ICU stays left after it."""
        return tuple((step.name, step.stays) for step in self.steps if step.name != OWN_STEP)


def read_cohort(
    folder: MimicFolder,
    settings: EhrSettings,
    quarantine: Quarantine,
    limit: int | None = None,
    wide: Sequence[Callable[[pl.DataFrame], pl.Series]] = (),
    subjects: pl.Series | None = None,
) -> Cohort:
    """Select the cohort: stays in one unit, alone in their admission, of adults; of these the first ``limit``.

    ``wide`` say each which of `Recorded.stays` are taken beside them; ``subjects`` are those with an image, if no
    others are wanted.

    Raises
    ------
    InputError
        If no stay is left.
    """
    stays, note = with_units_told(_read_stays(folder, quarantine), folder, settings, quarantine)
    admissions, patients = _read_admissions(folder, quarantine), _read_patients(folder, quarantine)
    everyone = stays.join(admissions, on=["subject_id", "hadm_id"]).join(patients, on="subject_id")
    everyone = _with_age(everyone, folder.version, settings, Quarantine())
    steps = [_step(TABLES_STEP, stays)]
    stays = stays.filter(_in_one_unit(folder.version))
    steps.append(_step("no transfer between units", stays))
    stays = stays.join(admissions, on=["subject_id", "hadm_id"])
    stays = stays.join(patients, on="subject_id")
    stays = stays.filter(pl.len().over("hadm_id") == 1)
    steps.append(_step("one stay in the admission", stays))
    stays = _with_age(stays, folder.version, settings, quarantine).filter(pl.col("age") >= ADULT)
    steps.append(_step("adults", stays))
    everyone = everyone.with_columns(benchmark=pl.col("stay_id").is_in(stays["stay_id"].implode()))
    stays = stays.with_columns(benchmark=True)
    if wide:
        wanted = pl.any_horizontal(pl.lit(chosen(everyone)) for chosen in wide)
        others = everyone.filter(wanted & ~pl.col("benchmark"))
        stays = pl.concat([stays, others.select(stays.columns)])
        steps.append(_step(OWN_STEP, stays))
    if subjects is not None:
        stays = stays.filter(pl.col("subject_id").is_in(subjects.implode()))
        steps.append(_step(IMAGES_STEP, stays))
    if stays.is_empty():
        left = ", ".join(f"{step.stays} {step.name}" for step in steps)
        raise InputError(f"No ICU stay of {folder.raw} is left for the cohort: {left}. Are the tables complete?")
    stays = stays.sort("stay_id")
    if limit is not None:
        stays = stays.head(limit)
        steps.append(_step(f"the first {limit}", stays))
    stays = stays.with_columns(pl.col("los") * 24, death_hours=_hours_until(pl.col("deathtime")))
    stays = _with_deaths(_mended(stays, settings, quarantine), settings, quarantine)
    times = ["intime", "outtime", pl.col("los").alias("los_hours")]
    columns = ["stay_id", "subject_id", "hadm_id", *times, "age", "sex", "first_careunit", *DESCRIPTIVE]
    columns += ["anchor_year_group"]
    columns += ["died", "death_hours", "dead_hours", "benchmark"]
    notes = (note,) if note else ()
    return Cohort(stays.select(columns), tuple(steps), Recorded(everyone, admissions), limit is not None, notes)


def read_phenotypes(
    folder: MimicFolder, stays: pl.DataFrame, settings: EhrSettings, quarantine: Quarantine
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return the 25 phenotypes ``[N, 25]`` of the stays' admissions and which have any diagnosis ``[N]``.

    Codes that the dictionary of codes does not know do not count; without a dictionary every code counts.
    """
    with_version = settings.uses("code_with_version")
    code = "icd9_code" if folder.version == 3 else "icd_code"
    version = [] if folder.version == 3 else ["icd_version"]
    table = folder.table("diagnoses_icd")
    table.require(["hadm_id", code, *version])
    numbers = ["subject_id", "hadm_id", *version]
    admissions = stays["hadm_id"].implode()
    rows = table.batches(numbers, [code], quarantine, pl.col("hadm_id").is_in(admissions))
    empty = pl.DataFrame(schema={**dict.fromkeys(numbers, pl.Int64), code: pl.String})
    codes = (
        pl.concat([empty, *(batch.select(empty.columns) for batch in rows)])
        .rename({code: "code"})
        .drop_nulls("code")
        .with_columns(pl.col("code").str.strip_chars())
    )
    codes = codes.with_columns(icd_version=pl.col("icd_version") if version else pl.lit(9, pl.Int64))
    known = _in_dictionary(codes, folder, code, version if with_version else [], quarantine)
    if unknown := len(codes) - len(known):
        quarantine.add(STAGE, table.path.name, "", "", "code is not in d_icd_diagnoses", unknown)
    return phenotype_flags(
        known,
        stays.select("subject_id", "hadm_id"),
        with_version=with_version,
        all_icd10=settings.uses("all_icd10_codes"),
    )


def _in_dictionary(
    codes: pl.DataFrame, folder: MimicFolder, code: str, version: Sequence[str], quarantine: Quarantine
) -> pl.DataFrame:
    if folder.find_table("d_icd_diagnoses") is None:
        return codes
    table = folder.table("d_icd_diagnoses")
    table.require([code, *version])
    known = read_table(table, version, [code], quarantine, version).rename({code: "code"})
    known = known.with_columns(pl.col("code").str.strip_chars())
    return codes.join(known, on=["code", *version], how="semi")


def _read_stays(folder: MimicFolder, quarantine: Quarantine) -> pl.DataFrame:
    table = folder.table("icustays")
    wards = ["first_wardid", "last_wardid"] if folder.version == 3 else []
    texts = ["first_careunit", "last_careunit", "intime", "outtime", "los", *wards]
    of_tasks = ["dbsource"] if folder.version == 3 else []
    needed = ["subject_id", "hadm_id", "stay_id"]
    table.require([*needed, *texts])
    frame = read_table(table, needed, [*texts, *of_tasks], quarantine, needed)
    frame = unique_rows(frame, ["stay_id"], table, quarantine)
    refuse_dates(frame, "intime", table)
    frame = read_times(frame, ["intime", "outtime"], table, quarantine, ["intime"])
    days = frame["los"].str.strip_chars().cast(pl.Float64, strict=False)
    plausible = days.is_between(0, LONGEST_STAY_DAYS).fill_null(False)
    quarantine_values(frame, "los", ~plausible, "no plausible length of stay in days", table, quarantine)
    frame = frame.with_columns(days.set(~plausible, None).alias("los"))
    return frame.drop_nulls("intime")


def _read_admissions(folder: MimicFolder, quarantine: Quarantine) -> pl.DataFrame:
    table = folder.table("admissions")
    needed, times = ["subject_id", "hadm_id"], ["admittime", "dischtime", "deathtime"]
    table.require([*needed, *times])
    frame = read_table(table, needed, [*times, *OF_ADMISSION, *DESCRIPTIVE, "ethnicity", *OF_TASKS], quarantine, needed)
    frame = unique_rows(frame, needed, table, quarantine)
    frame = frame.with_columns(race=pl.coalesce("race", "ethnicity")).drop("ethnicity")
    frame = frame.with_columns(pl.col(DESCRIPTIVE).str.strip_chars().replace("", None))
    return read_times(frame, times, table, quarantine, ["admittime"]).drop("row")


def _read_patients(folder: MimicFolder, quarantine: Quarantine) -> pl.DataFrame:
    table = folder.table("patients")
    times, numbers = (["dob"], []) if folder.version == 3 else ([], ["anchor_age", "anchor_year"])
    table.require(["subject_id", "gender", "dod", *times, *numbers[:1]])
    texts = ["gender", "dod", "anchor_year_group", *times, *numbers]
    frame = read_table(table, ["subject_id"], texts, quarantine, ["subject_id"])
    frame = unique_rows(frame, ["subject_id"], table, quarantine)
    frame = read_times(frame, ["dod", *times], table, quarantine, times)
    for name in numbers:
        number = frame[name].str.strip_chars().cast(pl.Float64, strict=False)
        plausible = (number >= 0).fill_null(False)
        reason = "no plausible age in years" if name == "anchor_age" else "no plausible year"
        quarantine_values(frame, name, ~plausible, reason, table, quarantine)
        frame = frame.with_columns(number.set(~plausible, None).alias(name))
    frame = frame.with_columns(pl.col("anchor_year_group").str.strip_chars().replace("", None))
    return frame.drop("row").rename({"gender": "sex"})


def _in_one_unit(version: int) -> pl.Expr:
    same_unit = pl.col("first_careunit") == pl.col("last_careunit")
    return same_unit & (pl.col("first_wardid") == pl.col("last_wardid")) if version == 3 else same_unit


def _with_age(stays: pl.DataFrame, version: int, settings: EhrSettings, quarantine: Quarantine) -> pl.DataFrame:
    """Add the age in years; III: at admission to the unit (negative: 90), IV: at admission, or in the anchor year."""
    if version == 3:
        years = (pl.col("intime") - pl.col("dob")) / YEAR_SECONDS
        return stays.with_columns(age=pl.when(years < 0).then(OLDEST).otherwise(years))
    if not settings.uses("age_at_admission"):
        return stays.with_columns(age=pl.col("anchor_age"))
    since = pl.from_epoch(pl.coalesce("admittime", "intime")).dt.year() - pl.col("anchor_year")
    stays = stays.with_columns(age=pl.col("anchor_age") + since.fill_null(0))
    _count("age_at_admission", stays.filter(pl.col("age") != pl.col("anchor_age")), quarantine)
    _count("age_at_admission", stays.filter(pl.col("anchor_year").is_null()), quarantine, ": not without anchor_year")
    return stays


def _mended(stays: pl.DataFrame, settings: EhrSettings, quarantine: Quarantine) -> pl.DataFrame:
    """Apply the rules of the clean profile that act on stays."""
    if settings.uses("implausible_age"):
        _count("implausible_age", stays.filter(pl.col("age") > OLDEST), quarantine)
        stays = stays.with_columns(pl.col("age").clip(upper_bound=OLDEST))
    if settings.uses("length_from_times"):
        hours = (pl.col("outtime") - pl.col("intime")) / 3600
        _count("length_from_times", stays.filter(pl.col("los").is_null() & (hours >= 0)), quarantine)
        stays = stays.with_columns(pl.coalesce("los", pl.when(hours >= 0).then(hours)))
    return stays


def _with_deaths(stays: pl.DataFrame, settings: EhrSettings, quarantine: Quarantine) -> pl.DataFrame:
    """Add who died in hospital, and when a patient is known to be dead."""
    died = died_in_hospital(stays, quarantine) if settings.uses("death_in_hospital") else died_by_times()
    dead = dead_second() if settings.uses("no_prediction_after_death") else pl.lit(None, pl.Int64)
    return stays.with_columns(died.alias("died")).with_columns(dead_hours=_hours_until(dead))


def _hours_until(second: pl.Expr) -> pl.Expr:
    return (second - pl.col("intime")) / 3600


def _count(rule: str, stays: pl.DataFrame, quarantine: Quarantine, exception: str = "") -> None:
    """Count the stays that a rule changed; one is shown."""
    if len(stays):
        where = f"stay {stays['stay_id'][0]}"
        quarantine.add(STAGE, "stays", where, "", described_by_name(rule) + exception, len(stays))


def _step(name: str, stays: pl.DataFrame) -> Step:
    return Step(name, stays["stay_id"].n_unique(), stays["hadm_id"].n_unique(), stays["subject_id"].n_unique())
