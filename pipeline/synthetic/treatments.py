"""What is given and looked for: infusions, fluids, antibiotics, prescriptions, cultures.

Who is given a vasopressor, how much of it and of fluids, and whose blood is cultured shows the planted statistic of the
EHR, and no more; sedatives tell nothing. A running rate is written as one row for each change, as MetaVision does. Rows
that were rewritten say a hundred times the rate: who reads them sees it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import expit

from .cohort import Cohort, Layout
from .law import MODALITIES, FloatArray
from .layouts import write_table
from .people import DAY, HOUR

MOST_PIECES = 6
LATEST_START = 40 * HOUR
REWRITTEN_SHARE, REWRITTEN_FACTOR = 0.02, 100
BLOOD_CULTURE = 70012


@dataclass(frozen=True)
class Drug:
    """Something that is given: to whom (log-odds), how much (typical amount, standard deviation of its logarithm).

    ``shared`` and ``own`` are the effects of the statistic's two numbers on the log-odds, ``more`` of the second on the
    logarithm of the amount. ``unit`` is that of a rate, empty of what is given at once.
    """

    itemid: int
    label: str
    category: str
    unit: str
    amount_unit: str
    log_odds: float
    typical: float
    spread: float = 0.3
    shared: float = 0.0
    own: float = 0.0
    more: float = 0.0


DRUGS = (
    Drug(221906, "Norepinephrine", "Medications", "mcg/kg/min", "mg", -0.9, 0.12, shared=0.6, own=1.0, more=0.35),
    Drug(222315, "Vasopressin", "Medications", "units/hour", "units", -2.2, 2.0, 0.1, shared=0.6, own=1.0),
    Drug(222168, "Propofol", "Medications", "mcg/kg/min", "mg", -0.4, 30.0),
    Drug(225158, "NaCl 0.9%", "Fluids/Intake", "", "ml", 1.5, 500.0, shared=0.3, more=0.15),
    Drug(225798, "Vancomycin", "Antibiotics", "", "dose", -0.5, 1.0, 0.0, shared=0.7),
)


def write_treatments(raw: Path, cohort: Cohort, layout: Layout, rng: np.random.Generator) -> None:
    """Write the tables of inputs, prescriptions and microbiology of the stays that have events."""
    given = _given(cohort, rng)
    write_table(raw, layout, "inputevents" if layout == "mimic4" else "inputevents_mv", [given])
    antibiotics = given.filter(pl.col("itemid") == DRUGS[-1].itemid)
    write_table(raw, layout, "prescriptions", [_prescribed(antibiotics)])
    write_table(raw, layout, "microbiologyevents", [_cultures(antibiotics, rng)])


def drug_labels() -> pl.DataFrame:
    """Return the rows of the dictionary of items."""
    rows = [(drug.itemid, "input", drug.label, drug.unit or drug.amount_unit, drug.category) for drug in DRUGS]
    return pl.DataFrame(rows, ["itemid", "table", "label", "unit", "category"], orient="row")


def _given(cohort: Cohort, rng: np.random.Generator) -> pl.DataFrame:
    stays = cohort.stays.with_row_index("row").filter("has_events")
    stays = stays.with_columns(patientweight=pl.Series(np.clip(rng.normal(81, 17, len(stays)), 40, 180).round(1)))
    statistic = cohort.draw.statistic[stays["row"].to_numpy(), MODALITIES.index("ehr")]  # [stays, 2]
    rows = pl.concat([_rows_of(drug, stays, statistic, rng) for drug in DRUGS])
    rows = rows.sort("row", "starttime", "itemid").with_columns(orderid=pl.int_range(1, pl.len() + 1))
    wrong = rows.filter(pl.Series(rng.random(len(rows)) < REWRITTEN_SHARE))
    wrong = wrong.with_columns(
        statusdescription=pl.lit("Rewritten"), rate=pl.col("rate") * REWRITTEN_FACTOR,
        amount=pl.col("amount") * REWRITTEN_FACTOR,
    )  # fmt: skip
    return pl.concat([rows, wrong]).sort("row", "starttime", "itemid", maintain_order=True).drop("row")


def _rows_of(drug: Drug, stays: pl.DataFrame, statistic: FloatArray, rng: np.random.Generator) -> pl.DataFrame:
    """Return what is given of one drug: pieces that follow each other, in the first two days and within the stay."""
    n = len(stays)
    chosen = rng.random(n) < expit(drug.log_odds + statistic @ np.array([drug.shared, drug.own]))
    begin = (stays["intime"].to_numpy() + rng.random(n) * LATEST_START).astype(np.int64) // 60 * 60
    hours = rng.integers(1, 7, (n, MOST_PIECES))
    number = np.where(chosen, rng.integers(1, MOST_PIECES + 1, n), 0)
    stay, piece = np.nonzero(np.arange(MOST_PIECES) < number[:, None])
    start = begin[stay] + (hours.cumsum(axis=1) - hours)[stay, piece] * HOUR
    size = drug.typical * np.exp(drug.spread * rng.standard_normal(len(stay)) + drug.more * statistic[stay, 1])
    running = bool(drug.unit)
    length = hours[stay, piece] * (HOUR if running else 0) + (0 if running else 60)
    frame = stays.select("row", "subject_id", "hadm_id", "stay_id", "outtime", "patientweight")[stay].with_columns(
        itemid=pl.lit(drug.itemid, pl.Int32), starttime=pl.Series(start), endtime=pl.Series(start + length),
        storetime=pl.Series(start + 60 * rng.integers(1, 40, len(stay))), rateuom=pl.lit(drug.unit or None, pl.String),
        rate=pl.Series(size.round(4)) if running else pl.lit(None, pl.Float64),
        amountuom=pl.lit(drug.amount_unit), ordercategoryname=pl.lit(drug.category),
        ordercategorydescription=pl.lit("Continuous Med" if running else "Drug Push"),
        statusdescription=pl.lit("FinishedRunning"),
    )  # fmt: skip
    kilograms = pl.col("patientweight") * 60 / 1000 if drug.unit == "mcg/kg/min" else pl.lit(1.0)
    given = pl.col("rate") * kilograms * pl.Series(length / HOUR) if running else pl.Series(size).round(0)
    return frame.with_columns(amount=given.round(3)).filter(pl.col("endtime") <= pl.col("outtime")).drop("outtime")


def _prescribed(antibiotics: pl.DataFrame) -> pl.DataFrame:
    """Return the order of each admission's antibiotic, at the full hour before its first dose."""
    first = antibiotics.unique("hadm_id", keep="first", maintain_order=True)
    start = pl.col("starttime") // HOUR * HOUR
    return first.select(
        "subject_id", "hadm_id", "stay_id", starttime=start, stoptime=start + 5 * DAY, startdate=start // DAY * DAY,
        enddate=start // DAY * DAY + 5 * DAY, drug_type=pl.lit("MAIN"), drug=pl.lit("Vancomycin"),
        dose_val_rx=pl.lit("1000"), dose_unit_rx=pl.lit("mg"), route=pl.lit("IV"),
    )  # fmt: skip


def _cultures(antibiotics: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return a blood culture from the hours before each admission's antibiotic; every fifth grows something."""
    first = antibiotics.unique("hadm_id", keep="first", maintain_order=True)
    taken = first["starttime"] - pl.Series(rng.integers(1, 4, len(first)) * HOUR)
    grew = pl.when(pl.Series(rng.random(len(first)) < 0.2))
    return first.select(
        "subject_id", "hadm_id", charttime=taken, chartdate=taken // DAY * DAY, storetime=taken + 2 * DAY,
        storedate=taken // DAY * DAY + 2 * DAY, spec_itemid=pl.lit(BLOOD_CULTURE),
        spec_type_desc=pl.lit("BLOOD CULTURE"), org_itemid=grew.then(80_023),
        org_name=grew.then(pl.lit("STAPH AUREUS COAG +")),
    )  # fmt: skip
