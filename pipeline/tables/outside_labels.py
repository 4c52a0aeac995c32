"""Labels made elsewhere for the samples of any data set: a table by sample, and when each is to be predicted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ...cache_schema import InputError, Task, digest_file, shown
from ..source import DataSet, FirstHours, Quarantine, Records
from .delimited_text import require_file
from .feature_files import read_numbered_table
from .ids import ids_to_join
from .label_columns import label_tasks
from .labels import suggestion
from .outcomes import rows_text

SAMPLE, HOURS = "sample_id", "prediction_hours"
VERSION = 1
"""To be raised whenever the same table would give other labels."""


class LabelledDataSet:
    """A data set with the labels of tables: a change in these computes nothing else anew.

    Each is a CSV or Parquet table with the column ``sample_id``, and perhaps ``prediction_hours`` since the beginning
    of the sample: of several rows a sample each is a prediction. Every other column is a task (see
    :func:`.label_tasks`).
    """

    def __init__(self, dataset: DataSet, paths: tuple[Path, ...]) -> None:
        self.dataset, self.paths = dataset, paths
        self.name, self.raw, self.resources = dataset.name, dataset.raw, dataset.resources

    def inputs(self) -> list[Path]:
        """Return the inputs of the data set."""
        return self.dataset.inputs()

    def settings(self) -> dict[str, Any]:
        """Return the settings of the data set and the digest of every table."""
        for path in self.paths:
            require_file(path)
        tables = [[VERSION, path.name, digest_file(path)] for path in self.paths]
        return {**self.dataset.settings(), "labels": tables}

    def read(self, quarantine: Quarantine) -> Records:
        """Read the data set and label its samples; what is wrong with a table is said at once."""
        records = self.dataset.read(quarantine)
        ids = records.samples["sample_id"]
        outside = tuple(task for path in self.paths for task in outside_tasks(path, ids))

        def tasks(first_hours: FirstHours) -> tuple[Task, ...]:
            labelled = (*records.tasks(first_hours), *outside)
            names = [task.name for task in labelled]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise InputError(f"--labels: there is another task {twice!r}; call the column something else.")
            return labelled

        files = ", ".join(path.name for path in self.paths)
        note = f"Labels of {files} come from outside: whether they leak into what is seen was not checked."
        return replace(records, tasks=tasks, notes=(*records.notes, note))


def outside_tasks(path: Path, samples: pl.Series) -> Iterator[Task]:
    """Yield the tasks of a table for samples in their order.

    Raises
    ------
    InputError
        For a table without ``sample_id`` or a label, an id that is no sample, hours that are no number, and two labels
        of a sample at one time.
    """
    table, lines = read_numbered_table(path)
    if SAMPLE not in table.columns:
        raise InputError(f"{path} has no column {SAMPLE}, which says whose a label is.")
    labels = table.drop(SAMPLE, HOURS, strict=False)
    if not labels.columns:
        raise InputError(f"{path} has no label; every column but {SAMPLE} and {HOURS} is one.")
    places = pl.DataFrame({"id": samples.cast(pl.String)}).with_row_index("sample")
    rows = pl.DataFrame({"id": ids_to_join(table[SAMPLE], samples.cast(pl.String))})
    rows = rows.join(places, on="id", how="left", maintain_order="left")
    _refuse(path, table[SAMPLE], rows["sample"].is_null(), lines, f"{SAMPLE} is none of the samples")
    hours = table[HOURS].cast(pl.Float64, strict=False) if HOURS in table.columns else None
    if hours is not None:
        _refuse(path, table[HOURS], ~(hours >= 0).fill_null(False) | ~hours.is_finite().fill_null(False), lines,
                f"{HOURS} is no number from 0 on")  # fmt: skip
    repeated = ~rows.with_columns(hours=hours).select(pl.struct("sample", "hours").is_first_distinct()).to_series()
    _refuse(path, table[SAMPLE], repeated, lines, "the same sample has a label at this time already")
    sample = rows["sample"].cast(pl.Int64).to_numpy()
    for task in label_tasks(labels, suggestion(path.name.partition(".")[0]), path, lines, "auto", allow_missing=True):
        known = (("rows of the table", len(table)), ("with a known label", int((~np.isnan(task.y)).any(axis=1).sum())))
        if hours is None or (hours.n_unique() == 1 and rows["sample"].is_unique().all()):
            y = np.full((len(samples), task.y.shape[1]), np.nan, dtype=np.float32)
            y[sample] = task.y
            yield replace(task, y=y, counts=known, window_hours=None if hours is None else float(hours[0]))
        else:
            time = hours.to_numpy().astype(np.float32)
            order = np.lexsort((time, sample))
            yield replace(task, y=task.y[order], counts=known, sample=sample[order], time=time[order])


def _refuse(path: Path, values: pl.Series, wrong: pl.Series, lines: pl.Series, reason: str) -> None:
    """Raise :class:`InputError` for the rows that are wrong, with the value of the first."""
    if wrong.any():
        at = wrong.arg_true()
        raise InputError(f"{path}, {rows_text(lines[at])}: {reason} ({shown(str(values[int(at[0])]))}).")
