"""Stays in the emergency department before three of four admissions, and their triage; independent of the label."""

from pathlib import Path

import numpy as np
import polars as pl

from .cohort import Cohort
from .layouts import write_table
from .people import HOUR

FIRST_STAY = 40_000_000
SHARE = 0.75
CELSIUS_SHARE = 0.1
MISSING_SHARE = 0.05
COMPLAINTS = ("Chest pain", "Dyspnea", "Altered mental status", "Abd pain", "s/p Fall")
PAIN = ("0", "3", "7", "10", "unable", "sleeping")
TYPICAL = {"heartrate": (88, 18), "resprate": (19, 4), "o2sat": (97, 2), "sbp": (132, 24), "dbp": (76, 14)}
"""Mean and standard deviation."""


def write_department(raw: Path, cohort: Cohort, rng: np.random.Generator) -> None:
    """Write edstays and triage of MIMIC-IV-ED."""
    admissions = cohort.stays.unique("hadm_id", keep="first", maintain_order=True)
    came = admissions.filter(pl.Series(rng.random(len(admissions)) < SHARE))
    n = len(came)
    arrival = came["admittime"] - pl.Series(rng.integers(HOUR, 8 * HOUR, n))
    visits = came.select(
        "subject_id", "hadm_id", "gender", "race", intime=arrival, outtime="admittime",
        stay_id=FIRST_STAY + pl.Series(rng.choice(10_000_000, n, replace=False)),
        arrival_transport=pl.lit("AMBULANCE"), disposition=pl.lit("ADMITTED"),
    )  # fmt: skip
    write_table(raw, "mimic4", "edstays", [visits.sort("subject_id", "intime")])
    write_table(raw, "mimic4", "triage", [_triage(visits, rng).sort("subject_id", "stay_id")])


def _triage(visits: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    n = len(visits)
    celsius = rng.normal(36.9, 0.6, n).round(1)
    fahrenheit = (celsius * 1.8 + 32).round(1)
    measured = {
        name: np.clip(rng.normal(mean, sd, n), 1, 100 if name == "o2sat" else 300).round()
        for name, (mean, sd) in TYPICAL.items()
    }
    measured["temperature"] = np.where(rng.random(n) < CELSIUS_SHARE, celsius, fahrenheit)
    there = {
        name: pl.Series(values).set(pl.Series(rng.random(n) < MISSING_SHARE), None) for name, values in measured.items()
    }
    return visits.select("subject_id", "stay_id").with_columns(
        pain=pl.Series(PAIN)[rng.integers(0, len(PAIN), n)], acuity=pl.Series(rng.integers(1, 4, n)),
        chiefcomplaint=pl.Series(COMPLAINTS)[rng.integers(0, len(COMPLAINTS), n)], **there,
    )  # fmt: skip
