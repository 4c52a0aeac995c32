"""Ids, times and traits of the stays. Nothing here depends on the label except the death itself."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .law import BoolArray, IntArray

HOUR, DAY = 3600, 86400
SHIFTED_DATES_BEGIN = 4_417_977_600
"""2110-01-01 in seconds since 1970."""
FIRST_ID = {
    "mimic4": {"subject_id": 10_000_000, "hadm_id": 20_000_000, "stay_id": 30_000_000},
    "mimic3": {"subject_id": 1, "hadm_id": 10_000_000, "stay_id": 20_000_000},
}
CARE_UNITS = {
    "mimic4": [
        "Medical Intensive Care Unit (MICU)",
        "Surgical Intensive Care Unit (SICU)",
        "Cardiac Vascular Intensive Care Unit (CVICU)",
        "Coronary Care Unit (CCU)",
        "Trauma SICU (TSICU)",
    ],
    "mimic3": ["MICU", "SICU", "CSRU", "CCU", "TSICU"],
}
TRAITS = {
    "gender": ["F", "M"],
    "race": ["WHITE", "BLACK/AFRICAN AMERICAN", "ASIAN", "HISPANIC OR LATINO", "OTHER", "UNKNOWN"],
    "insurance": ["Medicare", "Medicaid", "Other"],
    "anchor_year_group": ["2008 - 2010", "2011 - 2013", "2014 - 2016", "2017 - 2019"],
    "marital_status": ["MARRIED", "SINGLE", "WIDOWED", "DIVORCED"],
    "admission_type": ["URGENT", "ELECTIVE"],
    "diagnosis": ["CHEST PAIN", "DYSPNEA", "ALTERED MENTAL STATUS", "ABDOMINAL PAIN", "FALL"],
}


def describe_stays(
    layout: str, kinds: NDArray[np.str_], died: BoolArray, patient: IntArray, rng: np.random.Generator
) -> pl.DataFrame:
    """Return one row per stay, in the order given: kind, died, ids, times (seconds since 1970), traits, care units.

    Parameters
    ----------
    layout: ``mimic4`` or ``mimic3``; decides the ranges of ids and the names of care units.
    kinds: ``cohort`` or why the stay must be dropped, [n].
    died: whether the patient dies at the end of the stay's admission, [n].
    patient: row of the patient's last stay, [n].
    """
    n = len(kinds)
    admission = np.arange(n)
    admission[kinds == "second_of_two"] = np.flatnonzero(kinds == "first_of_two")
    ids = {
        name: first + rng.choice(10_000_000, n, replace=False)[index]
        for (name, first), index in zip(FIRST_ID[layout].items(), (patient, admission, np.arange(n)), strict=True)
    }
    traits = {name: pl.Series(values)[rng.integers(0, len(values), n)[patient]] for name, values in TRAITS.items()}
    units = pl.Series(CARE_UNITS[layout])
    unit = rng.integers(0, len(units), n)
    moved = np.where(kinds == "transfer", (unit + 1) % len(units), unit)
    return pl.DataFrame(
        {
            "kind": kinds,
            "died": died,
            **ids,
            **_times(kinds, died, patient, admission, rng),
            **traits,
            "age": _ages(kinds, rng)[patient],
            "first_careunit": units[unit],
            "last_careunit": units[moved],
            "dies_later": (rng.random(n) < 0.06)[patient] & ~died[patient],
        }
    )


def _ages(kinds: NDArray[np.str_], rng: np.random.Generator) -> IntArray:
    adults = np.clip(rng.normal(64, 16, len(kinds)), 18, 100)
    return np.where(kinds == "minor", rng.integers(1, 17, len(kinds)), adults).astype(np.int64)


def _times(
    kinds: NDArray[np.str_], died: BoolArray, patient: IntArray, admission: IntArray, rng: np.random.Generator
) -> dict[str, IntArray]:
    """Return the times of stay and admission in seconds since 1970.

    A stay of the cohort lasts more than 48 hours, and so does its patient; how long depends on nothing else. Later
    stays of a patient follow half a year apart.
    """
    n = len(kinds)
    first, second = np.flatnonzero(kinds == "first_of_two"), np.flatnonzero(kinds == "second_of_two")
    frame = pl.DataFrame({"patient": patient, "last": patient == np.arange(n)})
    turn = frame.select(pl.col("last").rank("ordinal").over("patient")).to_series().to_numpy()
    lasting = np.where(kinds == "short", rng.uniform(12, 44, n), 49 + np.minimum(rng.gamma(1.2, 40, n), 430))
    lasting = (lasting * HOUR).astype(np.int64)
    intime = SHIFTED_DATES_BEGIN + rng.integers(0, 80 * 365 * DAY, n)[patient] + turn * 180 * DAY
    intime += rng.integers(0, 90 * DAY, n)
    admitted = intime - rng.integers(HOUR // 2, 20 * HOUR, n)
    intime[second] = intime[first] + lasting[first] + 12 * HOUR
    outtime = intime + lasting
    left = outtime + np.where(died, rng.integers(0, 6 * HOUR, n), rng.integers(12 * HOUR, 10 * DAY, n))
    left[first] = left[second]
    return {"intime": intime, "outtime": outtime, "admittime": admitted[admission], "dischtime": left[admission]}
