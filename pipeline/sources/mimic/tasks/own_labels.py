"""The labels of own tasks for one cohort, once its tables were read, and what every step left of whom."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from .....cache_schema import Task
from ....source import FirstHours, Quarantine, Splits
from ..cohort import Cohort
from ..concepts.codes import read_codes
from ..concepts.derived.given import CODES
from ..concepts.reading import ConceptEvents
from ..concepts.shared_pass import SharedPass
from ..counts import Counting
from ..folder import MimicFolder
from ..wards import left_hospital_from
from .anchors import bands_of, release_of, stay_anchors, subject_events, units_of
from .cached import made_task
from .concept_events import TaskConcepts
from .diagnoses import ask_for_codes, code_events
from .execute import execute
from .language import TaskFile, asks_for_last_ward
from .report_counts import predictions, report_rows
from .step_counts import StepCounts, count_rows, counted

PARTS = ("train", "validation", "test")
COUNTS = {
    "scope": pl.String, "step": pl.String, "unit": pl.String, "count": pl.Int64, "published": pl.Int64,
    "source": pl.String,
}  # fmt: skip
Labelling = Callable[[FirstHours], tuple[Task, ...]]


class OwnLabels:
    """Labels ``tasks`` for the samples of a ``cohort``, from the events of ``concepts``.

    ``quarantine`` takes what of these events could not be read.
    """

    def __init__(
        self,
        tasks: Sequence[TaskFile],
        concepts: TaskConcepts,
        folder: MimicFolder,
        cohort: Cohort,
        modalities: Sequence[str],
        quarantine: Quarantine,
    ) -> None:
        self.tasks, self.concepts, self.folder = tasks, concepts, folder
        self.cohort, self.modalities, self.quarantine = cohort, modalities, quarantine
        self._stays = stay_anchors(cohort.recorded, release_of(folder), self._left_hospital())
        if cohort.limited:
            mine = cohort.stays["subject_id"].unique().implode()
            self._stays = self._stays.filter(pl.col("subject_id").is_in(mine))
        self._steps: list[tuple[TaskFile, tuple[StepCounts, ...], pl.DataFrame]] = []
        self._shared: tuple[SharedPass, int] | None = None

    def _left_hospital(self) -> pl.Series | None:
        stays = self.cohort.recorded.stays
        asked = any(asks_for_last_ward(task) for task in self.tasks)
        return left_hospital_from(self.folder, stays, self.quarantine) if asked else None

    def spans(self, others: pl.DataFrame) -> pl.DataFrame:
        """Return the spans of ``others`` (subject_id, first, last), widened to what predicates look at: everything."""
        if not self.concepts.concepts:
            return others
        whole = pl.lit(None, pl.Int64)
        patients = pl.concat([others["subject_id"], self._stays["subject_id"]]).unique()
        return pl.DataFrame({"subject_id": patients}).with_columns(first=whole, last=whole)

    def listen(self, shared: SharedPass, first: int) -> None:
        """Take the events of a pass that somebody else makes, in which the concepts have numbers from ``first`` on."""
        shared.add(lambda events: self.concepts.take(events, first))
        self._shared = shared, first
        self.concepts.clear()

    def after(self, others: Labelling) -> Labelling:
        """Return what labels the samples for other tasks and then for these."""
        return lambda first_hours: (*others(first_hours), *self.label(first_hours))

    def beside(self, others: Counting) -> Counting:
        """Return what counts the steps of other tasks and then of these."""

        def counts(tasks: Sequence[Task], left_out: pl.DataFrame, splits: Splits) -> pl.DataFrame:
            own = {task.name for task in self.tasks}
            of_others = others([task for task in tasks if task.name not in own], left_out, splits)
            return pl.concat([of_others, self.counts(splits)], how="vertical_relaxed")

        return counts

    def label(self, first_hours: FirstHours) -> tuple[Task, ...]:
        """Read the events that predicates need, and label the cohort."""
        self._read_events()
        of_subjects = subject_events(self.cohort.recorded)
        tasks = []
        self._steps.clear()
        coded = self.concepts.coded or ask_for_codes(self.tasks)
        codes = read_codes(self.folder, self._stays["subject_id"]) if coded else pl.DataFrame(schema=CODES)
        diagnosed = code_events(codes, self.cohort.recorded.admissions, self.tasks)
        for task in self.tasks:
            units = units_of(task, self._stays)
            with_age = units.frame.join(self._stays.select("stay_id", "age"), on="stay_id", how="left")
            of_codes = {name: events for (of_task, name), events in diagnosed.items() if of_task == task.name}
            of_concepts = self.concepts.events(task, with_age, codes)
            outcome = execute(task, units.frame, {**of_subjects, **of_codes, **of_concepts})
            tasks.append(made_task(task, outcome, units, self.cohort.stays, self.modalities))
            told = predictions(outcome, units, self.cohort.stays, bands_of(self.cohort.recorded), first_hours)
            self._steps.append((task, counted(outcome, units), told))
        return tuple(tasks)

    def counts(self, splits: Splits) -> pl.DataFrame:
        """Return what every step left, in all and for each part of each split: the columns of `Records.counts`."""
        samples = self.cohort.stays.select("subject_id", sample_id="stay_id")
        parts = dict(_subjects_of_parts(samples, splits))
        rows = [row for task, steps, _ in self._steps for row in count_rows(task, steps, parts)]
        for task, _, told in self._steps:
            assert task.target.label is not None
            events = task.target.label.kind in ("binary", "multilabel")
            usual = {"scope": task.name, "published": None, "source": None}
            rows += [
                {**usual, "step": step, "unit": unit, "count": count}
                for step, unit, count in report_rows(told, parts, events=events)
            ]
        return pl.DataFrame(rows, schema=COUNTS)

    def _read_events(self) -> None:
        """Make a pass over the tables for the concepts of all predicates, unless somebody else's gave their events."""
        number = len(self.concepts.concepts)
        if not number:
            return
        shared, first = self._shared or (None, 0)
        if shared is not None and shared.done:
            events = shared.events
        else:
            self.concepts.clear()
            first, nobody = 0, pl.DataFrame(schema={"subject_id": pl.Int64})
            events = ConceptEvents(self.folder, self.concepts.concepts, self.spans(nobody))
            for group in events.of_subjects():
                self.concepts.take(group, first)
        self.quarantine.extend(events.left_out(range(first, first + number)).to_json())


def _subjects_of_parts(samples: pl.DataFrame, splits: Splits) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Yield the subjects of each part; with several splits its name has that of its split before it."""
    for name, parts in splits.items():
        of_sample = parts.join(samples, on="sample_id")
        for part in PARTS:
            subjects = of_sample.filter(part=part)["subject_id"].unique()
            yield part if len(splits) == 1 else f"{name} {part}", subjects.to_numpy()
