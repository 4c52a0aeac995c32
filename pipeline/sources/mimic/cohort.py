"""The cohort of the ICU benchmark from the tables of stays, admissions and patients, and its diagnoses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ....cache_schema import InputError
from ...ehr import EhrSettings
from ...ehr.times import seconds
from ...phenotypes import phenotype_flags
from ...source import Quarantine
from .folder import MimicFolder
from .tables import Table, read_table, unique_rows

STAGE = "tables"
TABLES_STEP = "ICU stays in the tables"
YEAR_SECONDS = 365 * 24 * 3600
"""The benchmark's year has 365 days."""
ADULT = 18
OLDEST = 90
LONGEST_STAY_DAYS = 1000


@dataclass(frozen=True)
class Step:
    """What is left after one filter of the cohort."""

    name: str
    stays: int
    admissions: int
    subjects: int


@dataclass(frozen=True)
class Cohort:
    """ICU stays in order of ``stay_id``, and how many were left after each filter.

    Columns: stay_id, subject_id, hadm_id, intime and outtime (seconds), los_hours, age, sex, first_careunit, died
    (in hospital), death_hours (from intime to the time of death; null where that is unknown).
    """

    stays: pl.DataFrame
    steps: tuple[Step, ...]

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """Name of each filter and ICU stays left after it."""
        return tuple((step.name, step.stays) for step in self.steps)


def read_cohort(folder: MimicFolder, settings: EhrSettings, quarantine: Quarantine, limit: int | None = None) -> Cohort:
    """Select the cohort: stays in one unit, alone in their admission, of adults; of these the first ``limit``.

    Raises
    ------
    InputError
        If no stay is left.
    """
    stays = _read_stays(folder, quarantine)
    steps = [_step(TABLES_STEP, stays)]
    stays = stays.filter(_in_one_unit(folder.version))
    steps.append(_step("no transfer between units", stays))
    stays = stays.join(_read_admissions(folder, quarantine), on=["subject_id", "hadm_id"])
    stays = stays.join(_read_patients(folder, quarantine), on="subject_id")
    stays = stays.filter(pl.len().over("hadm_id") == 1)
    steps.append(_step("one stay in the admission", stays))
    stays = stays.with_columns(_age(folder.version)).filter(pl.col("age") >= ADULT)
    steps.append(_step("adults", stays))
    if stays.is_empty():
        left = ", ".join(f"{step.stays} {step.name}" for step in steps)
        raise InputError(f"No ICU stay of {folder.raw} is left for the cohort: {left}. Are the tables complete?")
    death_hours = (pl.col("deathtime") - pl.col("intime")) / 3600
    stays = stays.with_columns(_died(), pl.col("los") * 24, death_hours=death_hours)
    stays = _mended(stays, settings).sort("stay_id")
    if limit is not None:
        stays = stays.head(limit)
        steps.append(_step(f"the first {limit}", stays))
    times = ["intime", "outtime", pl.col("los").alias("los_hours")]
    columns = ["stay_id", "subject_id", "hadm_id", *times, "age", "sex", "first_careunit", "died", "death_hours"]
    return Cohort(stays.select(columns), tuple(steps))


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
    needed = ["subject_id", "hadm_id", "stay_id"]
    table.require([*needed, *texts])
    frame = unique_rows(read_table(table, needed, texts, quarantine, needed), ["stay_id"], table, quarantine)
    frame = _times(frame, ["intime", "outtime"], table, quarantine)
    days = frame["los"].str.strip_chars().cast(pl.Float64, strict=False)
    plausible = days.is_between(0, LONGEST_STAY_DAYS).fill_null(False)
    _quarantine_values(frame, "los", ~plausible, "no plausible length of stay in days", table, quarantine)
    frame = frame.with_columns(days.set(~plausible, None).alias("los"))
    return frame.drop_nulls("intime")


def _read_admissions(folder: MimicFolder, quarantine: Quarantine) -> pl.DataFrame:
    table = folder.table("admissions")
    needed, times = ["subject_id", "hadm_id"], ["admittime", "dischtime", "deathtime"]
    table.require([*needed, *times])
    frame = unique_rows(read_table(table, needed, times, quarantine, needed), needed, table, quarantine)
    return _times(frame, times, table, quarantine).drop("row")


def _read_patients(folder: MimicFolder, quarantine: Quarantine) -> pl.DataFrame:
    table = folder.table("patients")
    age = "dob" if folder.version == 3 else "anchor_age"
    table.require(["subject_id", "gender", age, "dod"])
    frame = read_table(table, ["subject_id"], ["gender", age, "dod"], quarantine, ["subject_id"])
    frame = unique_rows(frame, ["subject_id"], table, quarantine)
    frame = _times(frame, ["dod", "dob"] if age == "dob" else ["dod"], table, quarantine)
    if age == "anchor_age":
        plausible = (frame[age].str.strip_chars().cast(pl.Float64, strict=False) >= 0).fill_null(False)
        _quarantine_values(frame, age, ~plausible, "no plausible age in years", table, quarantine)
    return frame.drop("row").rename({"gender": "sex"})


def _in_one_unit(version: int) -> pl.Expr:
    same_unit = pl.col("first_careunit") == pl.col("last_careunit")
    return same_unit & (pl.col("first_wardid") == pl.col("last_wardid")) if version == 3 else same_unit


def _age(version: int) -> pl.Expr:
    """Age in years; III: at admission to the unit (negative: over 89), IV: in the anchor year."""
    if version == 4:
        return pl.col("anchor_age").cast(pl.Float64, strict=False).alias("age")
    years = (pl.col("intime") - pl.col("dob")) / YEAR_SECONDS
    return pl.when(years < 0).then(OLDEST).otherwise(years).alias("age")


def _died() -> pl.Expr:
    """Whether the patient died in hospital: date or time of death between admission and discharge."""
    within = [pl.col(time).is_between(pl.col("admittime"), pl.col("dischtime")) for time in ("dod", "deathtime")]
    return pl.any_horizontal(death.fill_null(False) for death in within).alias("died")


def _mended(stays: pl.DataFrame, settings: EhrSettings) -> pl.DataFrame:
    """Apply the rules of the clean profile that act on stays."""
    if settings.uses("implausible_age"):
        stays = stays.with_columns(pl.col("age").clip(upper_bound=OLDEST))
    if settings.uses("length_from_times"):
        hours = (pl.col("outtime") - pl.col("intime")) / 3600
        stays = stays.with_columns(pl.coalesce("los", pl.when(hours >= 0).then(hours)))
    return stays


def _times(frame: pl.DataFrame, names: Sequence[str], table: Table, quarantine: Quarantine) -> pl.DataFrame:
    """Turn columns into seconds; an unreadable time becomes null and is quarantined."""
    for name in names:
        times = seconds(frame[name])
        _quarantine_values(frame, name, times.is_null(), f"{name} is no date and time", table, quarantine)
        frame = frame.with_columns(times.alias(name))
    return frame


def _quarantine_values(
    frame: pl.DataFrame, name: str, where: pl.Series, reason: str, table: Table, quarantine: Quarantine
) -> None:
    """Quarantine the non-empty values of a column in the rows of a mask."""
    written = frame.filter(where).drop_nulls(name)
    if frame[name].dtype == pl.String:
        written = written.filter(pl.col(name) != "")
    for row in written.select("row", name).iter_rows(named=True):
        quarantine.add(STAGE, table.path.name, f"row {row['row']}", str(row[name]), reason)


def _step(name: str, stays: pl.DataFrame) -> Step:
    return Step(name, stays["stay_id"].n_unique(), stays["hadm_id"].n_unique(), stays["subject_id"].n_unique())
