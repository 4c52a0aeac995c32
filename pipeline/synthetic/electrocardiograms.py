"""Electrocardiograms of the stays in the folder of MIMIC-IV-ECG, whose T waves show one of the latent causes.

The causes are those of the law, but the law's best possible prediction knows of no electrocardiogram: a model that uses
them may be better.
"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...progress import progress
from .cohort import Cohort
from .layouts import write_csv
from .people import HOUR

FOLDER = "mimic-iv-ecg"
HERTZ, SECONDS, GAIN = 500, 10, 200
LEADS = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")
"""The order of the real files."""
SHARE = 0.6
"""Of the stays that have one in their first 48 hours."""
WAVES = {"p": (-0.17, 0.022, 0.12), "q": (-0.03, 0.009, -0.1), "r": (0.0, 0.011, 1.0), "s": (0.03, 0.01, -0.2)}
"""Seconds before or behind the R wave, width in seconds, millivolts."""
T_WAVE = (0.28, 0.05, 0.25)
PROJECTION = np.array([0.7, 1.0, 0.4, -0.85, 0.7, 0.2, -0.5, 0.2, 0.6, 1.1, 1.0, 0.8])
"""How large the waves are in each lead."""
EFFECT = 0.15
"""Millivolts by which a latent cause of 1 lifts the T wave."""
NOISE = 0.02


def write_electrocardiograms(raw: Path, cohort: Cohort, rng: np.random.Generator) -> None:
    """Write WFDB records, their list, and what the machine measured."""
    stays = cohort.stays.with_row_index("row").filter(pl.Series(rng.random(len(cohort.stays)) < SHARE))
    taken = stays["intime"].to_numpy() + rng.integers(HOUR, 47 * HOUR, len(stays))
    records = stays.select(
        "subject_id",
        "row",
        study_id=pl.Series(40_000_000 + rng.choice(9_000_000, len(stays), replace=False)),
        second=pl.Series(taken),
    ).filter(pl.col("second") <= stays["outtime"])
    records = records.with_columns(rate=pl.Series(np.clip(rng.normal(85, 15, len(records)), 45, 150)))
    root = raw / FOLDER
    for record in progress(records.iter_rows(named=True), "electrocardiograms", total=len(records), unit="files"):
        cause = float(cohort.draw.latent[record["row"], 0])
        _write_record(root / _path(record), str(record["study_id"]), _draw(record["rate"], cause, rng))
    time = pl.from_epoch("second", time_unit="s").dt.strftime("%Y-%m-%d %H:%M:%S")
    listed = records.select("subject_id", "study_id", ecg_time=time)
    paths = [f"{_path(record)}/{record['study_id']}" for record in records.iter_rows(named=True)]
    names = listed["study_id"].cast(pl.String)
    write_csv(
        root / "record_list.csv.gz", [listed.with_columns(file_name=names, path=pl.Series(paths, dtype=pl.String))]
    )
    write_csv(root / "machine_measurements.csv.gz", [listed.with_columns(**_measured(records["rate"].to_numpy(), rng))])


def _path(record: dict[str, int]) -> str:
    subject = f"p{record['subject_id']}"
    return f"files/{subject[:5]}/{subject}/s{record['study_id']}"


def _draw(rate: float, cause: float, rng: np.random.Generator) -> NDArray[np.int16]:
    """Return twelve leads ``[T, 12]`` in steps of 1 / 200 mV."""
    time = np.arange(HERTZ * SECONDS) / HERTZ
    beats = np.arange(rng.uniform(0, 60 / rate), SECONDS, 60 / rate)
    delay, width, height = T_WAVE
    wave = np.zeros(len(time))
    for offset, spread, size in (*WAVES.values(), (delay, width, height + EFFECT * cause)):
        nearest = np.abs(time[:, None] - (beats + offset)).min(axis=1)  # [T]
        wave += size * np.exp(-((nearest / spread) ** 2) / 2)
    volts = wave[:, None] * PROJECTION + NOISE * rng.standard_normal((len(time), len(LEADS)))  # [T, 12]
    steps: NDArray[np.int16] = np.round(volts * GAIN).astype(np.int16)
    return steps


def _write_record(folder: Path, name: str, steps: NDArray[np.int16]) -> None:
    folder.mkdir(parents=True)
    (folder / f"{name}.dat").write_bytes(steps.astype("<i2").tobytes())
    header = [f"{name} {len(LEADS)} {HERTZ} {len(steps)}"]
    for lead, values in zip(LEADS, steps.T, strict=True):
        checksum = int(values.sum(dtype=np.int64).astype(np.int16))
        header.append(f"{name}.dat 16 {GAIN}/mV 16 0 {values[0]} {checksum} 0 {lead}")
    (folder / f"{name}.hea").write_text("\n".join(header) + "\n", encoding="ascii")


def _measured(rate: NDArray[np.float64], rng: np.random.Generator) -> dict[str, pl.Series]:
    """Return the nine values of the machine; now and then it finds no P wave and writes 29999."""
    n = len(rate)
    p_onset = rng.normal(40, 5, n)
    columns = {
        "rr_interval": 60_000 / rate,
        "p_onset": p_onset,
        "p_end": p_onset + rng.normal(110, 10, n),
        "qrs_onset": p_onset + rng.normal(160, 15, n),
        "qrs_end": p_onset + rng.normal(255, 15, n),
        "t_end": p_onset + rng.normal(560, 30, n),
        "p_axis": rng.normal(50, 20, n),
        "qrs_axis": rng.normal(20, 40, n),
        "t_axis": rng.normal(45, 40, n),
    }
    without = rng.random(n) < 0.1
    for name in ("p_onset", "p_end", "p_axis"):
        columns[name] = np.where(without, 29_999, columns[name])
    return {name: pl.Series(np.round(values).astype(np.int64)) for name, values in columns.items()}
