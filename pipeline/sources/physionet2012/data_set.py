"""PhysioNet/CinC Challenge 2012: one sample is one ICU stay, t0 its admission, observed for 48 hours.

Silva I. et al., Predicting in-hospital mortality of ICU patients, Comput Cardiol 2012;39:245-248.
"""

from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ....cache_schema import Column, InputError, Task
from ....cache_schema.elements import SURVIVAL_LABELS
from ....progress import progress
from ...series.event_block import event_block, event_columns
from ...source import Block, Quarantine, Records, TableModality
from ..options import check_modalities
from .records import DESCRIPTORS, find_outcomes, find_records, read_outcomes, read_rows, set_name
from .variables import parameters

VERSION = 2
"""To be raised whenever the same files would give another result."""

HOURS = 48.0
MODALITIES = {
    "vitals": "vital signs over time",
    "labs": "laboratory values over time",
    "static": "age, sex and other constants",
}
"""What there is, and what it is called for a reader."""
UNITS = ("coronary care", "cardiac surgery recovery", "medical", "surgical")
"""ICUType 1 to 4."""
CODED = ("Gender", "ICUType")
"""Descriptions that are numbers of something."""

STATIC_COLUMNS = (
    Column("age", "a", "age"),
    Column("sex", "0 female, 1 male", "sex"),
    Column("height", "cm", "height"),
    Column("weight", "kg", "weight"),
    *(Column(f"icu_type->{name}", "", "icu_type", "onehot") for name in UNITS),
)


class Physionet2012DataSet:
    """Sets a, b and c of the challenge, those that lie unpacked below one raw folder.

    ``vitals`` and ``labs`` have one row per bin of the 48 hours: the last value in the bin, carried forward, NaN before
    the first observation, then one mask per parameter. A record without any observation of a modality has no row there.
    ``static`` has one row. The task ``mortality`` (death in hospital) exists where ``Outcomes-a.txt`` or another does;
    records of a set without it have no label. Beside it are ``length_of_stay`` (days in hospital) and ``death``, the
    time to a death in hospital: who leaves alive is censored then, since nobody says how long deaths were looked for.

    Parameters
    ----------
    raw
        Folder that holds ``set-a/`` and so on, or the one above.
    modalities
        Some of ``vitals``, ``labs``, ``static``; None: all.
    bin_hours
        Hours per row; must divide 48.
    limit
        Only the first records, by number.
    """

    name = "physionet2012"
    resources = (Path(__file__).parent,)

    def __init__(
        self,
        raw: Path,
        modalities: tuple[str, ...] | None = None,
        bin_hours: float = 2.0,
        limit: int | None = None,
    ) -> None:
        if bin_hours <= 0 or HOURS % bin_hours:
            raise InputError(f"Bins of {bin_hours:g} hours do not divide 48 hours.")
        check_modalities("physionet2012", modalities, MODALITIES)
        self.raw = Path(raw)
        self.bin_hours = bin_hours
        self.limit = limit
        self.modalities = tuple(name for name in MODALITIES if modalities is None or name in modalities)

    @cached_property
    def files(self) -> dict[int, Path]:
        """The file of every record that is read, by number; raises MissingInputError where there is none."""
        return dict(list(find_records(self.raw).items())[: self.limit])

    def inputs(self) -> list[Path]:
        """Return the records and the tables of outcomes; raises MissingInputError where there are no records."""
        return [*self.files.values(), *find_outcomes(self.raw)]

    def settings(self) -> dict[str, Any]:
        """Return everything but the files that decides the result."""
        return {
            "version": VERSION,
            "bin_hours": self.bin_hours,
            "modalities": list(self.modalities),
            "limit": self.limit,
        }

    def read(self, quarantine: Quarantine) -> Records:
        """Read who the patients are and their outcomes."""
        described = pl.concat([_describe(*part, quarantine) for part in self._rows("patients", quarantine)])
        silent = described.filter(~pl.col("observed"))["sample_id"]
        if len(silent):
            reason = "no time series: the record stays, without rows of vitals and labs"
            quarantine.add("read", "records", str(silent[0]), "", reason, len(silent))
        samples = described.select(
            "sample_id", "age", "height", "weight", subject_id="sample_id",
            icu_type=pl.col("icu_type").cast(pl.Int64),
            sex=pl.col("male").replace_strict({0: "F", 1: "M"}, default=None, return_dtype=pl.String),
            set=pl.Series([set_name(path) for path in self.files.values()]),
        ).select("sample_id", "subject_id", pl.exclude("sample_id", "subject_id"))  # fmt: skip
        tables = tuple(self._table(name, described) for name in self.modalities)
        tasks = self._tasks(samples, quarantine)
        return Records(samples, lambda _: tasks, tables)

    def _rows(self, title: str, quarantine: Quarantine) -> Iterator[tuple[list[int], pl.DataFrame]]:
        with progress(name=title, total=len(self.files), unit="records") as bar:
            for some, rows in read_rows(self.files, quarantine):
                yield some, rows
                bar.update(len(some))

    def _tasks(self, samples: pl.DataFrame, quarantine: Quarantine) -> tuple[Task, ...]:
        """Return the tasks, or none if no record has an outcome."""
        tables = find_outcomes(self.raw)
        outcomes = read_outcomes(tables)
        if tables and outcomes.keys().isdisjoint(find_records(self.raw)):
            raise InputError(
                f"{tables[0]} has the outcome of none of the records, such as {samples['sample_id'][0]}; it names "
                f"{next(iter(outcomes), 'none')}. Was it made for another set?"
            )
        unknown = (np.nan, np.nan, np.nan)
        known = np.array([outcomes.get(record, unknown) for record in samples["sample_id"]], np.float32)  # [N, 3]
        y = known[:, :1]
        labelled = ~np.isnan(y[:, 0])
        if not labelled.all():
            first = samples.filter(~labelled).row(0, named=True)
            quarantine.add(
                "read", "Outcomes", f"{first['set']} record {first['sample_id']}", "",
                "no outcome: the record stays, without a label", int((~labelled).sum()),
            )  # fmt: skip
        if not labelled.any():
            return ()
        counts = (("records", len(y)), ("an outcome", int(labelled.sum())))
        mortality = Task("mortality", "binary", ("died",), y, HOURS, {}, counts, title="in-hospital mortality")
        return (mortality, *_in_days(known, counts))

    def _table(self, name: str, described: pl.DataFrame) -> TableModality:
        recipe = {"version": VERSION, "source": self.name}
        inputs = tuple(self.files.values())
        if name == "static":
            return TableModality(
                name, "features", STATIC_COLUMNS, "the patient at admission", recipe, inputs,
                lambda _: iter([_static_block(described)]), MODALITIES[name],
            )  # fmt: skip
        return TableModality(
            name, "timeseries", event_columns(parameters(name).select("parameter", "unit").iter_rows()),
            f"{self.bin_hours:g} hours of the stay",
            {**recipe, "bin_hours": self.bin_hours, "value": "last of the bin, carried forward"},
            inputs, partial(self._blocks, name), MODALITIES[name],
        )  # fmt: skip

    def _blocks(self, name: str, quarantine: Quarantine) -> Iterator[Block]:
        """Yield the bins of about a thousand records at a time."""
        known = parameters(name)
        for some, rows in self._rows(name, Quarantine()):  # what is wrong with rows was counted by read()
            events = rows.join(known.with_row_index("column"), on="parameter", maintain_order="left")
            usable = _plausible(events, quarantine)
            timed = usable.with_columns(hours=pl.Series(usable["minute"].to_numpy() / 60)).rename({"record": "sample"})
            yield event_block(np.array(some), timed, len(known), self.bin_hours, quarantine, HOURS)


def _in_days(known: npt.NDArray[np.float32], counts: tuple[tuple[str, int], ...]) -> Iterator[Task]:
    """Yield what is told in days [N, 3], died, stay and survival: length of stay, and time to a death in hospital."""
    died, stay, survival = known.T
    if not np.isnan(stay).all():
        so_far = (*counts, ("a length of stay", int((~np.isnan(stay)).sum())))
        yield Task(
            "length_of_stay", "regression", ("days",), stay[:, None], HOURS, {}, so_far,
            title="days in hospital", unit="d",
        )  # fmt: skip
    time = np.where(died == 1, survival, stay)
    y = np.stack([time, np.where(np.isnan(time), np.nan, died)], axis=1).astype(np.float32)
    if (y[:, 1] == 1).any():
        so_far = (*counts, ("a time of death or discharge", int((~np.isnan(time)).sum())))
        yield Task(
            "death", "survival", SURVIVAL_LABELS, y, HOURS, {}, so_far, title="time to a death in hospital", unit="d"
        )  # fmt: skip


def _plausible(events: pl.DataFrame, quarantine: Quarantine) -> pl.DataFrame:
    """Drop values that no patient has (a pH of 735, a blood pressure of 0) and count them by parameter."""
    inside = pl.col("value").is_between("low", "high")
    wrong = events.filter(~inside).group_by("parameter", "low", "high", maintain_order=True)
    for record, minute, value, parameter, low, high, count in (
        wrong.agg(pl.col("record", "minute", "value").first(), count=pl.len())
        .select("record", "minute", "value", "parameter", "low", "high", "count")
        .iter_rows()
    ):
        where = f"{record} {minute // 60:02d}:{minute % 60:02d}"
        quarantine.add("values", parameter, where, f"{value:g}", f"outside {low:g} to {high:g}", count)
    return events.filter(inside)


def _describe(records: list[int], rows: pl.DataFrame, quarantine: Quarantine) -> pl.DataFrame:
    """Return sample_id, age, male (0 or 1), height, weight, icu_type and observed (anything measured) of records.

    A description that is no patient's (heights of 13 cm or 430 cm are other units or slips) is missing.
    """
    descriptor = (pl.col("minute") == 0) & pl.col("parameter").is_in(DESCRIPTORS)
    facts = _plausible(rows.filter(descriptor).join(parameters("static"), on="parameter"), quarantine)
    coded = pl.col("parameter").is_in(CODED) & (pl.col("value") != pl.col("value").round())
    for reason, wrong in (
        ("no whole number", coded),
        ("described twice: the first is taken", ~pl.struct("record", "parameter").is_first_distinct()),
    ):
        for parameter, count, record, value in (
            facts.filter(wrong).group_by("parameter", maintain_order=True)
            .agg(pl.len(), pl.col("record", "value").first()).iter_rows()
        ):  # fmt: skip
            quarantine.add("values", parameter, f"{record} 00:00", f"{value:g}", reason, count)
        facts = facts.filter(~wrong)

    def fact(parameter: str) -> pl.Expr:
        return pl.col("value").filter(pl.col("parameter") == parameter).first()

    known = facts.group_by(sample_id="record").agg(
        age=fact("Age"), male=fact("Gender"), height=fact("Height"), weight=fact("Weight"), icu_type=fact("ICUType")
    )
    observed = rows.filter(~descriptor)["record"].unique()
    all_records = pl.DataFrame({"sample_id": records}, schema={"sample_id": pl.Int64})
    return all_records.join(known, on="sample_id", how="left", maintain_order="left").with_columns(
        observed=pl.col("sample_id").is_in(observed.implode())
    )


def _static_block(described: pl.DataFrame) -> Block:
    """Return one row per record; what is not known is NaN."""
    numbers = described.select("age", "male", "height", "weight")
    kinds = [(pl.col("icu_type") == number).cast(pl.Float64).alias(name) for number, name in enumerate(UNITS, 1)]
    values = pl.concat([numbers, described.select(kinds)], how="horizontal").fill_null(np.nan).to_numpy()  # [N, 8]
    ones = np.ones(len(described), np.int64)
    return Block(described["sample_id"].to_numpy(), ones, values.astype(np.float32), np.zeros(len(ones), np.float32))
