"""A MEDS data set (Medical Event Data Standard): one sample is one label, seen from the hours before its prediction."""

from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from ....cache_schema import InputError
from ...source import Quarantine, Records, TableModality
from ..options import check_modalities
from . import WINDOW_HOURS
from .codes import MOST_CODES, most_frequent, read_codes
from .folder import SPLITS, data_files, read_parts
from .labels import Labels, label_files, leave_out, make_labels, read_rows
from .rows import Survey, readers, sample_windows, survey
from .tables import Windows, table_modality

VERSION = 2
"""To be raised whenever the same files would give another result."""


class MedsDataSet:
    """Events of a MEDS folder, and a table of labels.

    A sample sees its subject's rows from ``window_hours`` before its prediction time, which is t0, up to and including
    that time. ``ehr`` has one row per bin: the last number of each code, carried forward, then the masks. ``codes`` has
    one row with how often each code without a number occurs. ``static`` has the age, and for each code that never has a
    time its number, or 1 if the subject has it. The columns are the most frequent codes of the samples to train on;
    without a split, of all.

    Parameters
    ----------
    raw
        Folder with ``data/**/*.parquet`` and, if it has a split, ``metadata/subject_splits.parquet``.
    labels
        Table (or folder of Parquet tables) with subject_id, prediction_time and boolean_value, integer_value or
        categorical_value.
    codes
        YAML file that lists the codes of modalities, ``ehr: [CODE, CODE]``.
    modalities
        Some of ``ehr``, ``codes``, ``static``; None: those of which the samples have rows.
    bin_hours
        Hours per row of ``ehr``; must divide ``window_hours``.
    limit
        Only the first samples, by id.
    """

    name = "meds"
    resources: tuple[Path, ...] = ()

    def __init__(
        self,
        raw: Path,
        labels: Path,
        codes: Path | None = None,
        modalities: tuple[str, ...] | None = None,
        bin_hours: float = 2.0,
        window_hours: float = WINDOW_HOURS,
        limit: int | None = None,
    ) -> None:
        if window_hours <= 0 or window_hours % bin_hours:
            raise InputError(f"--window-hours {window_hours:g} is no multiple of --bin-hours {bin_hours:g}.")
        check_modalities("meds", modalities, MOST_CODES)
        self.raw = Path(raw)
        self.labels = labels
        self.listed = read_codes(codes) if codes else {}
        self.modalities = modalities
        self.bin_hours = bin_hours
        self.window_hours = window_hours
        self.limit = limit

    @cached_property
    def files(self) -> list[Path]:
        """The files of events; raises MissingInputError or InputError where they cannot be used."""
        return data_files(self.raw)

    def inputs(self) -> list[Path]:
        """Return labels, events and split; raises MissingInputError naming what is missing."""
        return [*label_files(self.labels), *self.files, *self._split]

    def settings(self) -> dict[str, Any]:
        """Return everything but the files that decides the result."""
        return {
            "version": VERSION,
            "window_hours": self.window_hours,
            "bin_hours": self.bin_hours,
            "codes": {name: list(codes) for name, codes in self.listed.items()},
            "modalities": None if self.modalities is None else list(self.modalities),
            "limit": self.limit,
        }

    def read(self, quarantine: Quarantine) -> Records:
        """Read labels and split, and choose the codes, which reads the events twice."""
        labels, surveyed = self._labels(quarantine)
        samples = labels.samples.select("sample_id", "subject_id")
        parts = read_parts(self.raw, samples, quarantine)
        splits = {} if parts is None else {"subject_splits": parts}
        rows = sample_windows(labels.samples, self.window_hours)
        tables = self._tables(
            Windows(self.files, samples["sample_id"], rows, surveyed.static, self.window_hours), parts
        )
        return Records(samples, lambda _: (labels.task,), tables, splits=splits)

    @property
    def _split(self) -> list[Path]:
        return [path for path in [self.raw / SPLITS] if path.is_file()]

    def _labels(self, quarantine: Quarantine) -> tuple[Labels, Survey]:
        """Return the labels of subjects that have events, and what the files of events hold."""
        rows = read_rows(label_files(self.labels), quarantine)
        if rows.is_empty():
            raise InputError(f"{self.labels} has no row that can be used: subject_id and prediction_time are missing.")
        surveyed = survey(self.files, self.raw, rows["subject_id"].unique(), quarantine)
        labelled = rows["subject_id"][0]
        rows = leave_out(
            rows,
            ~pl.col("subject_id").is_in(surveyed.subjects.implode()),
            "the subject has no row in data/",
            quarantine,
        )
        if rows.is_empty():
            raise InputError(
                f"{self.labels} has no label of a subject of {self.raw}: it names {labelled}, the data "
                f"{'nobody' if surveyed.example is None else surveyed.example}. Was it made for another data set?"
            )
        return make_labels(self.labels, rows, self.window_hours, self.limit), surveyed

    def _tables(self, windows: Windows, parts: pl.DataFrame | None) -> tuple[TableModality, ...]:
        """Return the modalities that are wanted, or without a wish those with any code."""
        wanted = tuple(MOST_CODES) if self.modalities is None else self.modalities
        whose, chosen = "", dict(self.listed)
        if set(wanted) - set(self.listed):
            counted, whose = _to_count(windows, parts)
            chosen = {**most_frequent(self.files, counted, readers(windows.static)), **self.listed}
        empty = [name for name in wanted if not chosen[name]]
        if empty and (self.modalities is not None or len(empty) == len(wanted)):
            raise InputError(
                f"{self.raw} has no row of {empty[0]} in the {self.window_hours:g} hours before the predictions of "
                f"{whose}. Are the times of {self.labels} those of the data? --window-hours looks further back."
            )
        return tuple(self._table(name, chosen[name], windows, whose) for name in wanted if chosen[name])

    def _table(self, name: str, codes: tuple[str, ...], windows: Windows, whose: str) -> TableModality:
        recipe: dict[str, Any] = {"version": VERSION, "source": self.name}
        if name in self.listed:
            return table_modality(name, codes, windows, self.bin_hours, {**recipe, "codes": list(codes)}, self.files)
        rule = f"at most {MOST_CODES[name]}, those that most of {whose} have"
        inputs = [*self.files, *self._split]
        return table_modality(name, codes, windows, self.bin_hours, {**recipe, "codes": rule}, inputs)


def _to_count(windows: Windows, parts: pl.DataFrame | None) -> tuple[pl.DataFrame, str]:
    """Return the windows of the samples that decide which codes become columns, and who these are."""
    if parts is None:
        return windows.rows, "all samples (the data set has no split)"
    train = parts.filter(pl.col("part") == "train")["sample_id"]
    return windows.rows.filter(windows.sample_ids.is_in(train.implode())), "the samples to train on"
