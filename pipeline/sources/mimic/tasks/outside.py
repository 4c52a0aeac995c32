"""Labels made elsewhere: a table of stays, admissions or patients with what is to be predicted of each, and when."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from .....cache_schema import InputError, Task, digest_file
from ....tables.delimited_text import require_file
from ....tables.feature_files import read_numbered_table
from ....tables.ids import as_ids
from ....tables.label_columns import LabelKind, label_tasks
from ....tables.labels import read_parts, suggestion
from ..benchmark.tasks import selection
from ..cohort import Cohort, Recorded
from .durations import seconds_of
from .outside_times import HOURS, TIME, WINDOW_END, WINDOW_START, read_hours, read_times, refuse_rows
from .own_labels import Labelling

VERSION = 1
"""To be raised whenever the same table would give other labels."""

IDS = {"stay_id": "stay_id", "icustay_id": "stay_id", "hadm_id": "hadm_id", "subject_id": "subject_id"}
"""Columns that say whose a label is, the finest first, and what they are called here."""
SPLIT = "split"
HOUR = 3600
MOST_LISTED = 10


@dataclass(frozen=True)
class LabelRules:
    """How tables of labels are taken.

    ``kind`` is what its columns are where they do not say it; ``slack`` how far a time may lie outside its stay;
    ``ignore_unknown`` leaves out rows of ids that the release does not have, ``allow_missing`` takes labels that more
    than half of the rows lack.
    """

    kind: LabelKind = "auto"
    slack: str = "24h"
    ignore_unknown: bool = False
    allow_missing: bool = False


@dataclass(frozen=True)
class OutsideLabels:
    """Tables of labels.

    Raises :class:`InputError` where a table has no id, an id or a time that cannot be, or labels of no kind.
    """

    paths: tuple[Path, ...]
    rules: LabelRules

    def settings(self) -> dict[str, Any]:
        """Return what decides the labels beside MIMIC's tables."""
        rules = [self.rules.kind, self.rules.slack, self.rules.ignore_unknown, self.rules.allow_missing]
        for path in self.paths:
            require_file(path)
        return {"version": VERSION, "rules": rules, "tables": [[path.name, digest_file(path)] for path in self.paths]}

    @cached_property
    def tables(self) -> tuple["LabelTable", ...]:
        """The tables as they were read."""
        return tuple(LabelTable.read(path) for path in self.paths)

    def wide(self, stays: pl.DataFrame) -> pl.Series:
        """Return which of all stays the tables name."""
        named = [stays[table.key].is_in(table.rows["id"].implode()) for table in self.tables]
        return pl.Series(np.logical_or.reduce([mask.to_numpy() for mask in named]))

    def after(self, others: Labelling, cohort: Cohort, modalities: Sequence[str], taken: Collection[str]) -> Labelling:
        """Return what labels the samples for other tasks, whose names are ``taken``, and then for these.

        What is wrong with a table is said at once.
        """
        tasks = [task for table in self.tables for task in table.tasks(cohort, modalities, self.rules)]
        names = [*taken, *(task.name for task in tasks)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"--labels: there is another task {twice!r}; call the column something else.")
        return lambda first_hours: (*others(first_hours), *tasks)

    def splits(self, samples: pl.DataFrame) -> dict[str, pl.DataFrame]:
        """Return the split of each table that has one: sample_id and part of ``samples`` (sample_id, subject_id...)."""
        return {table.name: split for table in self.tables if (split := table.split(samples)) is not None}

    def notes(self) -> tuple[str, ...]:
        """Return what a reader of the labels has to know."""
        names = ", ".join(path.name for path in self.paths)
        return (f"Labels of {names} come from outside: whether they leak into what is seen was not checked.",)


@dataclass(frozen=True)
class LabelTable:
    """One table: ``rows`` has id, subject_id of the table (null without), time and hours (null without), line.

    ``key`` is what the ids are of, ``labels`` the columns that are neither ids nor times.
    """

    path: Path
    key: Literal["stay_id", "hadm_id", "subject_id"]
    rows: pl.DataFrame
    labels: pl.DataFrame
    parts: pl.Series | None

    @property
    def name(self) -> str:
        """The file without its ending."""
        return suggestion(self.path.name.partition(".")[0])

    @classmethod
    def read(cls, path: Path) -> "LabelTable":
        """Read a table; ids and times that cannot be read are refused with their rows."""
        table, lines = read_numbered_table(path)
        table = table.rename({name: name.strip().lower() for name in table.columns if name.strip().lower() in _TAKEN})
        given = next((name for name in IDS if name in table.columns), None)
        if given is None:
            raise InputError(f"{path} has no column {', '.join(IDS)}; one of them says whose a label is.")
        if WINDOW_START in table.columns and not {TIME, HOURS, WINDOW_END} & {*table.columns}:
            raise InputError(f"{path}: {WINDOW_START} needs {TIME}, {HOURS} or {WINDOW_END}: where do the inputs end?")
        key = IDS[given]
        if key != "stay_id" and TIME not in table.columns:
            raise InputError(f"{path}: labels by {given} need the column {TIME}: which of its times is meant?")
        ids = as_ids(table[given]).cast(pl.Int64, strict=False)
        refuse_rows(path, table[given], ids.is_null(), lines, f"{given} is no whole number")
        rows = pl.DataFrame({"id": ids, "line": lines}).with_columns(
            time=read_times(path, table, TIME, lines),
            start=read_times(path, table, WINDOW_START, lines),
            end=read_times(path, table, WINDOW_END, lines),
        )
        rows = rows.with_columns(hours=read_hours(path, table, lines))
        taken = {*IDS, TIME, HOURS, WINDOW_START, WINDOW_END, SPLIT}
        labels = table.select(name for name in table.columns if name not in taken)
        if not labels.columns:
            raise InputError(f"{path} has no label; every column that is neither an id nor a time is one.")
        parts = read_parts(table, SPLIT, path, lines) if SPLIT in table.columns else None
        return cls(path, key, rows, labels, parts)  # type: ignore[arg-type]

    def tasks(self, cohort: Cohort, modalities: Sequence[str], rules: LabelRules) -> Iterator[Task]:
        """Yield the tasks of the columns for the samples of a cohort."""
        placed = self._placed(cohort, rules)
        kept = placed["sample"].is_not_null()
        rows, labels = placed.filter(kept), self.labels.filter(kept)
        sample, hours = rows["sample"].to_numpy(), rows["at"].fill_null(np.nan).to_numpy()
        window = _common(sample, hours)
        history = self._history(rows)
        steps = (("rows of the table", len(self.rows)), ("of stays of this cache", len(rows)))
        for task in label_tasks(
            labels, self.name, self.path, rows["line"], rules.kind, allow_missing=rules.allow_missing
        ):
            counts = (*steps, ("with a known label", int((~np.isnan(task.y)).any(axis=1).sum())))
            usual = replace(task, select=selection(modalities), counts=counts, history_hours=history)
            if window is None:
                order = np.lexsort((hours, sample))
                yield replace(usual, y=task.y[order], sample=sample[order], time=hours[order].astype(np.float32))
            else:
                y = np.full((len(cohort.stays), task.y.shape[1]), np.nan, dtype=np.float32)
                y[sample] = task.y
                yield replace(usual, y=y, window_hours=None if np.isnan(window) else float(window))

    def _history(self, rows: pl.DataFrame) -> float:
        """Return how many hours before their stays the inputs of all rows begin, less than 0 for after that."""
        starts = rows.select((pl.col("start") - pl.col("icu_in")) / HOUR).to_series().fill_null(0)
        other = (starts != starts[0]) if len(starts) else starts.cast(pl.Boolean)
        reason = f"{WINDOW_START} is at another hour of the stay than above; a task has one: make a table for each"
        refuse_rows(self.path, pl.from_epoch(rows["start"]), other, rows["line"], reason)
        return -float(starts[0]) if len(starts) else 0.0

    def split(self, samples: pl.DataFrame) -> pl.DataFrame | None:
        """Return the part of each sample whose subject is in one; raises InputError for a subject in two parts."""
        if self.parts is None:
            return None
        of_row = self.rows.with_columns(part=self.parts).drop_nulls("part").rename({"id": self.key})
        of_subject = of_row.join(samples, on=self.key).select("subject_id", "part").unique()
        several = of_subject.filter(pl.len().over("subject_id") > 1)
        if several.height:
            raise InputError(f"{self.path} puts subject {several['subject_id'][0]} into two parts; keep one.")
        parts = samples.join(of_subject, on="subject_id").select(sample_id="stay_id", part="part")
        return parts.sort("sample_id")

    def _placed(self, cohort: Cohort, rules: LabelRules) -> pl.DataFrame:
        """Return the rows with their ``sample`` (null if the cache has none) and hours ``at`` which is predicted."""
        rows = self._with_stays(cohort.recorded).with_row_index("row")
        unknown = rows["stay_id"].is_null()
        if unknown.any() and not rules.ignore_unknown:
            listed = ", ".join(map(str, rows.filter(unknown)["id"].unique().head(MOST_LISTED)))
            stay = "a stay that had begun by then" if self.key == "subject_id" else "a stay"
            raise InputError(
                f"{self.path}: {int(unknown.sum()):,} rows name a {self.key} without {stay}: {listed}. "
                "Is it another release? --ignore-unknown leaves them out."
            )
        time = pl.coalesce("end", "time", pl.col("icu_in") + (pl.col("hours") * HOUR).round().cast(pl.Int64))
        rows = rows.with_columns(second=time).with_columns(at=(pl.col("second") - pl.col("icu_in")) / HOUR)
        slack = seconds_of(rules.slack, "--slack")
        outside = rows.select(
            (pl.col("second") < pl.col("begin") - slack) | (pl.col("second") > pl.col("stop") + slack)
        ).to_series()
        refuse_rows(self.path, pl.from_epoch(rows["second"]), outside.fill_null(False), rows["line"],
                f"the time lies more than {rules.slack} outside the stay; --slack allows more")  # fmt: skip
        refuse_rows(self.path, pl.from_epoch(rows["end"]), (rows["end"] > rows["time"]).fill_null(False), rows["line"],
                f"{WINDOW_END} is after {TIME}: an input would reach beyond the prediction")  # fmt: skip
        late = (rows["start"] > rows["second"]).fill_null(False)
        refuse_rows(self.path, pl.from_epoch(rows["start"]), late, rows["line"],
                f"{WINDOW_START} is after the end of the inputs")  # fmt: skip
        repeated = ~rows.select(pl.struct("id", "second").is_first_distinct()).to_series()
        refuse_rows(self.path, rows["id"], repeated, rows["line"], "the same id has a label at this time already")
        places = cohort.stays.select("stay_id", sample=pl.int_range(pl.len(), dtype=pl.Int64))
        return rows.join(places, on="stay_id", how="left", maintain_order="left").sort("row")

    def _with_stays(self, recorded: Recorded) -> pl.DataFrame:
        """Add stay_id and icu_in of the stay of each row, and begin and stop between which its time should lie.

        That of an admission or a patient is the stay that had begun last by then, or else the admission's first.
        """
        stays = recorded.stays.select(
            "stay_id", "hadm_id", "subject_id", "admittime", "dischtime", "outtime", icu_in="intime"
        )
        numbered = self.rows.with_row_index("row")
        if self.key == "stay_id":
            of_stay = stays.select("stay_id", "icu_in", begin="icu_in", stop="outtime", id="stay_id")
            return numbered.join(of_stay, on="id", how="left", maintain_order="left").drop("row")
        named = stays.rename({self.key: "id"}).sort("icu_in")
        chosen = ["stay_id", "icu_in", "admittime", "dischtime"]
        begun = numbered.sort("time").join_asof(
            named.select("id", *chosen), left_on="time", right_on="icu_in", by="id", check_sortedness=False
        )  # fmt: skip
        if self.key == "hadm_id":
            first = named.group_by("id", maintain_order=True).agg(pl.first(*chosen).name.prefix("first_"))
            begun = begun.join(first, on="id", how="left")
            begun = begun.with_columns(pl.coalesce(name, f"first_{name}").alias(name) for name in chosen)
        return begun.sort("row").select(*self.rows.columns, "stay_id", "icu_in", begin="admittime", stop="dischtime")


_TAKEN = {*IDS, TIME, HOURS, WINDOW_START, WINDOW_END, SPLIT}


def _common(sample: npt.NDArray[np.int64], hours: npt.NDArray[np.float64]) -> float | None:
    """Return the hours of all predictions where there is one a stay and all are alike (NaN: the whole stay)."""
    if len(np.unique(sample)) < len(sample) or not len(sample):
        return None
    if np.isnan(hours).all():
        return float("nan")
    alike = bool((hours == hours[0]).all()) and hours[0] >= 0
    return float(hours[0]) if alike else None
