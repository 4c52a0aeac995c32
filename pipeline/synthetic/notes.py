"""Clinical notes: NOTEEVENTS of MIMIC-III, and note/ of MIMIC-IV with the reports of its studies.

The report of a study is a note of radiology; it shows what the law plants for ``rep``, and can be read from when the
study was ``taken`` (MIMIC-III, which has no time of the report, is given an examination four hours earlier) or up to
an hour later. Nurses and physicians write what is independent of the label. A summary of every discharge tells the
outcome plainly, and so do notes that are marked as errors: who reads them as inputs is better than the best possible.
"""

from pathlib import Path

import numpy as np
import polars as pl

from .cohort import Cohort
from .layouts import write_table
from .people import DAY, HOUR

REPORT_DELAY = 4 * HOUR
MOST_ROUTINE = 3
"""Notes of nurses and physicians in a stay, so few that the planted one is among the last five of the 48 hours."""
ERROR_SHARE = 0.05
KINDS = ("Nursing", "Nursing/other", "Physician ", "Respiratory ")
"""Two with a blank behind them, as in MIMIC-III."""
REMARKS = (
    'resting, says "no pain"',
    "turned, skin intact",
    "family at the bedside, questions answered",
    "lines in place, dressings dry",
    "awake, follows commands",
)
ROUTINE = """[**Hospital 1**] note of [**{day}**]
Patient {remark}.
Plan: continue, see \"orders\".
"""
SUMMARY = """Admission Date: [**{day}**]

Brief Hospital Course: admitted to the unit of intensive care.

Discharge Disposition:
{outcome}
"""
OUTCOMES = {True: "Expired", False: "Home"}


def write_noteevents(raw: Path, cohort: Cohort, reported: pl.DataFrame, rng: np.random.Generator) -> None:
    """Write NOTEEVENTS of MIMIC-III; ``reported`` are the studies with a report and its ``text``."""
    stays = cohort.stays
    hadm = stays["hadm_id"].gather(reported["row"])
    chart = reported["taken"] - REPORT_DELAY
    radiology = reported.select(
        "subject_id", hadm, charttime=chart, text=pl.col("text").str.replace_all("___", "[**2101-1-1**]")
    ).with_columns(category=pl.lit("Radiology"), description=pl.lit("CHEST (PORTABLE AP)"))
    notes = pl.concat([radiology, _routine(stays, rng), _summaries(stays)], how="diagonal")
    notes = notes.with_columns(chartdate=pl.coalesce("charttime", "chartdate"))
    write_table(raw, "mimic3", "noteevents", [notes.sort("subject_id", "chartdate", "category", "text")])


def write_note_module(raw: Path, cohort: Cohort, reported: pl.DataFrame, rng: np.random.Generator) -> None:
    """Write radiology and discharge of MIMIC-IV-Note; ``reported`` are the studies with a report and its ``text``.

    As in MIMIC-IV, ``hadm_id`` is empty where a study was not made during an admission to the hospital.
    """
    stays = cohort.stays.select("hadm_id", "admittime", "dischtime")[reported["row"].to_list()]
    taken = reported["taken"]
    within = taken.is_between(stays["admittime"], stays["dischtime"])
    radiology = reported.select(
        "subject_id", "text", hadm_id=stays["hadm_id"].set(~within, None), charttime=taken,
        storetime=taken + pl.Series(rng.integers(HOUR // 6, HOUR, len(reported))),
    )  # fmt: skip
    stored = pl.col("chartdate") + DAY + 9 * HOUR
    summaries = _summaries(cohort.stays).with_columns(charttime="chartdate", storetime=stored).drop("category")
    for name, code, notes in (("radiology", "RR", radiology), ("discharge", "DS", summaries)):
        numbered = notes.sort("subject_id", "charttime").with_columns(
            note_type=pl.lit(code), note_seq=pl.int_range(1, pl.len() + 1).over("subject_id")
        )
        note_id = pl.format("{}-{}-{}", "subject_id", "note_type", "note_seq")
        write_table(raw, "mimic4", name, [numbered.with_columns(note_id=note_id)])


def _routine(stays: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return up to :data:`MOST_ROUTINE` notes of a stay, stored within three hours; those in error tell the outcome."""
    written = stays[np.repeat(np.arange(len(stays)), rng.integers(0, MOST_ROUTINE + 1, len(stays)))]
    length = (written["outtime"] - written["intime"]).to_numpy()
    chart = written["intime"] + pl.Series((rng.random(len(written)) * length).astype(np.int64))
    error = rng.random(len(written)) < ERROR_SHARE
    remark = rng.integers(0, len(REMARKS), len(written))
    texts = [
        OUTCOMES[died] if wrong else ROUTINE.format(day=f"2101-1-{1 + number % 28}", remark=REMARKS[number])
        for number, wrong, died in zip(remark.tolist(), error.tolist(), written["died"], strict=True)
    ]
    return written.select(
        "subject_id", "hadm_id", charttime=chart, storetime=chart + pl.Series(rng.integers(0, 3 * HOUR, len(written))),
        category=pl.Series(KINDS)[rng.integers(0, len(KINDS), len(written))], description=pl.lit("Progress note"),
        iserror=pl.when(pl.Series(error)).then(1), text=pl.Series(texts, dtype=pl.String),
    )  # fmt: skip


def _summaries(stays: pl.DataFrame) -> pl.DataFrame:
    """Return the summary of each admission, at the date of the discharge."""
    last = stays.unique("hadm_id", keep="last", maintain_order=True)
    texts = [SUMMARY.format(day="2101-1-1", outcome=OUTCOMES[died]) for died in last["died"]]
    date = pl.col("dischtime") // DAY * DAY
    return last.select(
        "subject_id", "hadm_id", chartdate=date, category=pl.lit("Discharge summary"), description=pl.lit("Report"),
        text=pl.Series(texts, dtype=pl.String),
    )  # fmt: skip
