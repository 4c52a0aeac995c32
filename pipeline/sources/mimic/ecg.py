"""Electrocardiograms of MIMIC-IV-ECG: recordings of ten seconds, and what the machine measured in each.

They name a subject and the time of the cart's clock, but no admission: a stay has those of its subject that were
recorded between admission to the unit and discharge from it. A recording is known as soon as it is made.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from ....cache_schema import Column, InputError, MissingInputError
from ...series.times import moments
from ...source import Block, ItemModality, Quarantine, TableModality
from ...waveform.leads import read_ecg
from .folder import MimicFolder
from .tables import Table, read_table, unique_rows
from .times import refuse_other_format
from .within import of_cohort, within_stays

STAGE = "items"
NAME, MEASURED = "ecg", "ecg_measurements"
RECORDS, MEASUREMENTS = "record_list", "machine_measurements"
IDS = ("subject_id", "study_id")

INTERVALS = {"rr_interval": "ms", "p_onset": "ms", "p_end": "ms", "qrs_onset": "ms", "qrs_end": "ms", "t_end": "ms"}
AXES = {"p_axis": "degrees", "qrs_axis": "degrees", "t_axis": "degrees"}
UNKNOWN = 29_999
"""What the machine writes for a wave that it did not find; an interval of 0 says the same."""
LARGEST = {"ms": 10_000, "degrees": 360}
"""Of ten seconds nothing lasts longer, and an axis is an angle."""
VERSION = 1
"""To be raised whenever the same table would give other rows."""


def ecg_tables(folder: MimicFolder, modalities: Sequence[str]) -> list[Path]:
    """Return the tables that the modalities need; raises :class:`InputError` where they cannot be had."""
    needed = [table for name, table in ((NAME, RECORDS), (MEASURED, MEASUREMENTS)) if name in modalities]
    return [_csv(records_of(folder), name) for name in needed]


def records_of(folder: MimicFolder) -> Path:
    """Return the folder of ``record_list.csv``; raises :class:`InputError` where there is none, or no MIMIC-IV."""
    if folder.version == 3:
        raise InputError(
            f"{NAME} cannot be joined to MIMIC-III: its identifiers are others than those of MIMIC-IV-ECG. Use "
            "MIMIC-IV, which shares subject_id."
        )
    if folder.ecg is None:
        raise MissingInputError(
            f"{folder.raw} has no {RECORDS}.csv, the list of the records of MIMIC-IV-ECG. Add its folder, with files/ "
            "and machine_measurements.csv, below the raw folder."
        )
    return folder.ecg


def ecg_items(folder: MimicFolder, stays: pl.DataFrame, quarantine: Quarantine) -> ItemModality:
    """List the recordings of the stays, whether or not their files are there.

    ``stays`` has stay_id, subject_id, and since, intime and outtime in seconds, as :func:`within_stays` takes them.
    """
    root = records_of(folder)
    recorded = within_stays(_recorded(root, RECORDS, [], stays, quarantine), stays, NAME, quarantine, "recording")
    subject, study = (pl.col(name).cast(pl.String) for name in IDS)
    path = pl.concat_str(pl.lit(f"{root}/files/p"), subject.str.slice(0, 4), pl.lit("/p"), subject, pl.lit("/s"), study)
    items = recorded.with_columns(item_id=pl.concat_str(pl.lit("s"), study), path=path)
    items = items.select("sample_id", "item_id", "path", "time", "study_id").sort("sample_id", "time", "item_id")
    return ItemModality(
        NAME, "ecg", "one electrocardiogram of ten seconds", items, {}, read=read_ecg, title="electrocardiograms"
    )


def measurements(folder: MimicFolder, stays: pl.DataFrame) -> TableModality:
    """Return what the machine measured: a row a recording with nine values and which of them it found.

    Its sentences about the recording are left out: they are text, and say what a physician has yet to confirm.
    """
    root = records_of(folder)
    units = INTERVALS | AXES
    columns = tuple(Column(name, unit, name) for name, unit in units.items())
    masks = tuple(Column(f"mask->{name}", "", name, "mask") for name in units)
    recipe = {"version": VERSION, "unknown": f"{UNKNOWN}, an interval of 0, and what is no number"}
    table = Table.open(_csv(root, MEASUREMENTS))
    table.require([*IDS, "ecg_time", *units])
    return TableModality(
        MEASURED, "timeseries", (*columns, *masks), "one electrocardiogram", recipe, (table.path,),
        partial(_blocks, root, stays), "measurements of electrocardiograms",
    )  # fmt: skip


def _blocks(root: Path, stays: pl.DataFrame, quarantine: Quarantine) -> Iterator[Block]:
    """Yield the rows of all stays that have any as one block: some tens of thousands of rows of 18 values."""
    units = INTERVALS | AXES
    recorded = _recorded(root, MEASUREMENTS, list(units), stays, quarantine)
    measured = within_stays(recorded, stays, MEASURED, quarantine, "recording")
    measured = measured.sort("sample_id", "time", "study_id")
    numbers = measured.select(_measured(name, unit) for name, unit in units.items())
    values = numbers.fill_null(np.nan).to_numpy().astype(np.float32)  # [R, 9]
    ids, lengths = np.unique(measured["sample_id"].to_numpy(), return_counts=True)
    rows = np.concatenate([values, ~np.isnan(values)], axis=1).astype(np.float32)  # [R, 18]
    yield Block(ids, lengths.astype(np.int64), rows, measured["time"].to_numpy())


def _measured(name: str, unit: str) -> pl.Expr:
    number = pl.col(name).str.strip_chars().cast(pl.Float64, strict=False)
    found = number.is_finite() & (number.abs() <= LARGEST[unit]) & ((number > 0) | (unit != "ms"))
    return pl.when(found & (number != UNKNOWN)).then(number).alias(name)


def _recorded(root: Path, name: str, texts: list[str], stays: pl.DataFrame, quarantine: Quarantine) -> pl.DataFrame:
    """Return a table of recordings of the cohort's subjects, each once, with the ``second`` since 1970."""
    table = Table.open(_csv(root, name))
    table.require([*IDS, "ecg_time", *texts])
    rows = unique_rows(read_table(table, IDS, ["ecg_time", *texts], quarantine, IDS), ["study_id"], table, quarantine)
    rows = of_cohort(rows, stays, table, quarantine)
    times = moments(rows["ecg_time"])
    refuse_other_format(rows, "ecg_time", times, table)
    rows = rows.with_columns(second=times.dt.epoch("s"))
    for row in rows.filter(pl.col("second").is_null()).iter_rows(named=True):
        quarantine.add(STAGE, table.path.name, f"row {row['row']}", row["ecg_time"] or "", "ecg_time is no time")
    return rows.drop_nulls("second")


def _csv(root: Path, name: str) -> Path:
    for path in (root / f"{name}.csv", root / f"{name}.csv.gz"):
        if path.is_file():
            return path
    raise MissingInputError(f"{root} has no {name}.csv. Get the file of MIMIC-IV-ECG again.")
