"""The small tables: patients, admissions, ICU stays, diagnoses and the dictionaries."""

from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import expit, logit

from .charting import read_other_items
from .cohort import Cohort, Layout
from .law import FloatArray
from .layouts import write_table
from .people import DAY
from .transfers import transfers
from .treatments import drug_labels
from .variables import read_items

YEAR = 365.25 * DAY
OLDEST = 89
"""Ages above are hidden: 91 in MIMIC-IV, a birth 300 years ago in MIMIC-III."""


def write_small_tables(
    raw: Path, cohort: Cohort, layout: Layout, rng: np.random.Generator, *, units_told: bool = True
) -> None:
    """Write every table but the events into `raw`.

    ``units_told``: whether the table of stays tells in which unit a stay ended, as that of MIMIC-IV 3.1 does not.
    """
    resource = files(__package__) / "diagnoses.csv"
    codes = pl.read_csv(BytesIO(resource.read_bytes()), schema_overrides={"icd9": pl.String})
    with_row = cohort.stays.with_row_index("row").unique("hadm_id", keep="first", maintain_order=True)
    admissions = with_row.with_columns(
        deathtime=pl.when("died").then("dischtime"),
        hospital_expire_flag=pl.col("died").cast(pl.Int8),
        has_chartevents_data=pl.col("has_events").cast(pl.Int8),
        discharge_location=pl.when("died").then(pl.lit("DIED")).otherwise(pl.lit("HOME")),
        admission_location=pl.lit("EMERGENCY ROOM"),
        language=pl.lit("ENGLISH"),
    )
    latent = cohort.draw.latent[admissions["row"].to_numpy()]
    tables = {
        "patients": _patients(admissions, rng),
        "admissions": admissions,
        "icustays": _icustays(cohort.stays if units_told else _as_in_3_1(cohort.stays)),
        "diagnoses_icd": _diagnoses(admissions["subject_id", "hadm_id"], latent, codes, layout, rng),
        "d_icd_diagnoses": _diagnosis_titles(codes, layout),
        "d_items": _item_labels(layout).filter(pl.col("table") != "lab"),
        "d_labitems": _item_labels(layout).filter(pl.col("table") == "lab"),
    }
    if layout == "mimic4":
        tables["transfers"] = transfers(cohort.stays)
    for name, frame in tables.items():
        write_table(raw, layout, name, [frame])


def _as_in_3_1(stays: pl.DataFrame) -> pl.DataFrame:
    return stays.with_columns(last_careunit="first_careunit")


def _patients(admissions: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """One row per patient; deaths out of hospital come at least a month after the last discharge."""
    midnight = pl.col("dischtime") // DAY * DAY
    people = admissions.group_by("subject_id", maintain_order=True).agg(
        pl.col("gender", "age", "anchor_year_group", "intime").first(), pl.col("dischtime", "died", "dies_later").last()
    )
    later = pl.Series(rng.integers(30 * DAY, 365 * DAY, len(people)) // DAY * DAY)
    birthday = pl.Series(rng.integers(0, 365 * DAY, len(people)))
    hidden = pl.col("age") > OLDEST
    years = pl.when(hidden).then(300).otherwise("age") * YEAR
    return people.with_columns(
        anchor_age=pl.when(hidden).then(91).otherwise("age"),
        anchor_year=pl.from_epoch("intime").dt.year(),
        dob=((pl.col("intime") - years - birthday) // DAY * DAY).cast(pl.Int64),
        dod_hosp=pl.when("died").then(midnight),
        dod_ssn=pl.when("dies_later").then(midnight + later),
    ).with_columns(
        dod=pl.coalesce("dod_hosp", "dod_ssn"), expire_flag=(pl.col("died") | pl.col("dies_later")).cast(pl.Int8)
    )


def _icustays(stays: pl.DataFrame) -> pl.DataFrame:
    return stays.with_columns(
        los=((pl.col("outtime") - pl.col("intime")) / DAY).round(4),
        dbsource=pl.lit("carevue"),
        first_wardid=pl.col("first_careunit").rank("dense"),
        last_wardid=pl.col("last_careunit").rank("dense"),
    )


def _diagnoses(
    admissions: pl.DataFrame, latent: FloatArray, codes: pl.DataFrame, layout: Layout, rng: np.random.Generator
) -> pl.DataFrame:
    """Billing codes of each admission, more likely or less with the latent causes [n, 4]; at least one each.

    They are written after discharge: labels of the phenotyping task, never inputs.
    """
    loads = codes.select("z0", "z1", "z2", "z3").to_numpy()
    given = rng.random((len(admissions), len(codes))) < expit(logit(codes["rate"].to_numpy()) + latent @ loads.T)
    given[:, -1] |= ~given.any(axis=1)
    tenth_revision = rng.random(len(admissions)) < (0.5 if layout == "mimic4" else 0)
    row, code = np.nonzero(given)
    return admissions[row].with_columns(
        seq_num=pl.int_range(1, pl.len() + 1).over("hadm_id"),
        icd_code=pl.when(pl.Series(tenth_revision[row])).then(codes["icd10"][code]).otherwise(codes["icd9"][code]),
        icd_version=pl.when(pl.Series(tenth_revision[row])).then(10).otherwise(9),
    )


def _diagnosis_titles(codes: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    versions = (9, 10) if layout == "mimic4" else (9,)
    titles = [
        codes.select(icd_code=f"icd{version}", icd_version=version, long_title=f"icd{version}_title")
        for version in versions
    ]
    return pl.concat(titles).with_columns(short_title=pl.col("long_title").str.slice(0, 24)).sort("icd_code")


def _item_labels(layout: Layout) -> pl.DataFrame:
    described = ("itemid", "table", "label", "unit", "category")
    items = [pl.DataFrame(rows).select(described) for rows in (read_items(layout), read_other_items(layout))]
    drugs = drug_labels().select(pl.col(name).cast(items[0].schema[name]) for name in described)
    return (
        pl.concat([*items, drugs])
        .unique("itemid")
        .sort("itemid")
        .with_columns(
            abbreviation="label",
            linksto=pl.col("table") + "events",
            unitname=pl.col("unit").replace("", None),
            fluid=pl.lit("Blood"),
            dbsource=pl.lit("carevue"),
            param_type=pl.lit("Numeric"),
            category=pl.col("category").replace("", None),
        )
    )
