"""Stays in the emergency department before three of four admissions: triage, vital signs, medicines.

Pulse and breathing show a little of the planted statistic of the EHR towards the end; the rest tells nothing.
"""

from pathlib import Path

import numpy as np
import polars as pl

from .cohort import Cohort
from .law import MODALITIES
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


MOST_VITALS, MOST_MEDICINES = 6, 5
EFFECT = {"heartrate": 6, "resprate": 1.5}
"""By how much the statistic's shared number of 1 raises a vital sign."""
MEDICINES = ("Aspirin", "Lisinopril", "Metformin", "Furosemide", "Insulin", "Warfarin")


def write_department(raw: Path, cohort: Cohort, rng: np.random.Generator, further: np.random.Generator) -> None:
    """Write the tables of MIMIC-IV-ED but the diagnoses; ``further`` draws what follows triage."""
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
    statistic = cohort.draw.statistic[:, MODALITIES.index("ehr"), 0]
    shared = cohort.stays.select("hadm_id", shared=pl.Series(statistic)).unique("hadm_id", keep="first")
    during = visits.join(shared, on="hadm_id", maintain_order="left")
    write_table(raw, "mimic4", "vitalsign", [_vital_signs(during, further)])
    for name in ("medrecon", "pyxis"):
        write_table(raw, "mimic4", name, [_medicines(during, further)])


def _vital_signs(visits: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return up to :data:`MOST_VITALS` rows of each visit, in order of time; every second has no temperature."""
    rows = _times_within(visits, MOST_VITALS, rng)
    measured = _triage(rows, rng)
    raised = {name: (pl.col(name) + effect * rows["shared"]).clip(1, 300).round(0) for name, effect in EFFECT.items()}
    cold = pl.Series(rng.random(len(rows)) < 0.5)
    return measured.with_columns(
        **raised, temperature=measured["temperature"].set(cold, None), charttime=rows["charttime"]
    ).sort("subject_id", "stay_id", "charttime")  # fmt: skip


def _medicines(visits: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return up to :data:`MOST_MEDICINES` medicines of each visit."""
    rows = _times_within(visits, MOST_MEDICINES, rng)
    number = rng.integers(0, len(MEDICINES), len(rows))
    return rows.with_columns(
        name=pl.Series(MEDICINES)[number], etccode=pl.Series(number + 100), etc_rn=1, med_rn=1, gsn_rn=1
    ).sort("subject_id", "stay_id", "charttime")


def _times_within(visits: pl.DataFrame, most: int, rng: np.random.Generator) -> pl.DataFrame:
    """Return the visits several times each, with ``charttime``, a minute between arrival and leaving."""
    several = visits[np.repeat(np.arange(len(visits)), rng.integers(0, most + 1, len(visits)))]
    length = (several["outtime"] - several["intime"]).to_numpy()
    after = (rng.random(len(several)) * length).astype(np.int64) // 60 * 60
    return several.with_columns(charttime=several["intime"] + pl.Series(after))


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
