"""Own tasks of a cohort: from what ``--task`` names to labels, and what every step left of whom."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from .....cache_schema import MissingInputError, Task
from ....source import Quarantine
from ..cohort import Cohort
from ..concepts.definitions import Concept, Version
from ..concepts.event_tables import EVENT_TABLES
from ..concepts.reading import ConceptEvents
from ..folder import MimicFolder
from .anchors import check_release, release_of, stay_anchors, subject_events, units_of
from .cached import made_task
from .checks import conditions_on_future, position
from .concept_events import TaskConcepts
from .execute import execute
from .language import TaskFile
from .named import NamedTask, read_tasks
from .step_counts import UNTIL, StepCounts, count_rows, counted, hours_until

VERSION = 1
"""To be raised whenever the same files and tables would give other labels."""

ADULT = 18
PARTS = ("train", "validation", "test")
COUNTS = {
    "scope": pl.String, "step": pl.String, "unit": pl.String, "count": pl.Int64, "published": pl.Int64,
    "source": pl.String,
}  # fmt: skip


class OwnTasks:
    """The tasks that ``--task`` names, for one folder.

    Parameters
    ----------
    given
        Names and files.
    folder
        The tables.
    own
        Concepts of the user's files of variables.

    Raises
    ------
    InputError
        If a file is no task, or a task asks for what this release does not have.
    """

    def __init__(self, given: Sequence[str], folder: MimicFolder, own: Sequence[Concept] = ()) -> None:
        self.given, self.folder = tuple(given), folder
        self.release = release_of(folder)
        self.named: tuple[NamedTask, ...] = read_tasks(given)
        for one in self.named:
            check_release(one.task, self.release)
        self.concepts = TaskConcepts(self.tasks, cast("Version", folder.version), own)
        self._steps: list[tuple[TaskFile, tuple[StepCounts, ...], tuple[tuple[str, int], ...]]] = []

    @property
    def tasks(self) -> tuple[TaskFile, ...]:
        """The tasks."""
        return tuple(one.task for one in self.named)

    def settings(self) -> dict[str, Any]:
        """Return what decides the labels beside the tables: the files as they were read, and their concepts."""
        files = {one.task.name: one.content for one in self.named}
        return {"version": VERSION, "files": files, "concepts": [one.to_json() for one in self.concepts.concepts]}

    def inputs(self) -> list[Path]:
        """Return the tables of events that predicates need; raises MissingInputError where one is not there."""
        tables = []
        for concept in self.concepts.concepts:
            for logical in concept.items:
                names = [table.name for table in EVENT_TABLES[self.folder.version][logical]]
                found = [path for name in names if (path := self.folder.find_table(name))]
                if not found:
                    raise MissingInputError(
                        f"{self.folder.raw} has no table {' or '.join(names)}, which own tasks need for "
                        f"{concept.name}. Add it, or leave a task out of --task {' '.join(self.given)}."
                    )
                tables += found
        return list(dict.fromkeys(tables))

    def wide(self, stays: pl.DataFrame) -> pl.Series:
        """Return which of all stays may be units of a task: adults, or all where a task asks for children.

        So the samples of a cache do not depend on what else its own tasks ask for.
        """
        ages = [task.cohort.age[0] for task in self.tasks if not task.cohort.benchmark]
        lowest = min((0 if age is None else age for age in ages), default=None)
        if lowest is None:
            return pl.Series([False]).new_from_index(0, len(stays))
        return stays["age"] >= (ADULT if lowest >= ADULT else 0)

    def label(
        self, cohort: Cohort, modalities: Sequence[str], quarantine: Quarantine | None = None
    ) -> tuple[Task, ...]:
        """Read the events that predicates need, and label the cohort; ``quarantine`` takes what could not be read."""
        stays = stay_anchors(cohort.recorded, self.release)
        self._read_events(stays, quarantine)
        of_subjects = subject_events(cohort.recorded)
        tasks = []
        self._steps.clear()
        for task in self.tasks:
            units = units_of(task, stays)
            outcome = execute(task, units.frame, {**of_subjects, **self.concepts.events(task, units.frame)})
            tasks.append(made_task(task, outcome, units, cohort.stays, modalities))
            self._steps.append((task, counted(outcome, units), tuple(hours_until(outcome))))
        return tuple(tasks)

    def counts(self, samples: pl.DataFrame, splits: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Return what every step left, of the tasks that were labelled: the columns of :attr:`.Records.counts`.

        In all, and for each part of each split (sample_id, part) of the ``samples`` (sample_id, subject_id).
        """
        parts = dict(_subjects_of_parts(samples, splits))
        rows = [row for task, steps, _ in self._steps for row in count_rows(task, steps, parts)]
        rows += [
            {"scope": task.name, "step": UNTIL, "unit": unit, "count": count, "published": None, "source": None}
            for task, _, until in self._steps
            for unit, count in until
        ]
        return pl.DataFrame(rows, schema=COUNTS)

    def notes(self) -> tuple[str, ...]:
        """Return what a reader of the labels has to know."""
        return tuple(note for task in self.tasks for note in _notes(task, self.concepts.treatments(task)))

    def _read_events(self, stays: pl.DataFrame, quarantine: Quarantine | None) -> None:
        """Read the events of the concepts of all predicates in one pass, unless somebody else's pass gave them."""
        if not self.concepts.concepts or self.concepts.complete:
            return
        whole = pl.lit(None, pl.Int64)
        patients = stays.select("subject_id").unique().with_columns(first=whole, last=whole)
        events = ConceptEvents(self.folder, self.concepts.concepts, patients)
        self.concepts.read(events.of_subjects())
        if quarantine is not None:
            quarantine.extend(events.left_out(range(len(self.concepts.concepts))).to_json())


def _subjects_of_parts(
    samples: pl.DataFrame, splits: Mapping[str, pl.DataFrame]
) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Yield the subjects of each part; with several splits its name has that of its split before it."""
    for name, parts in splits.items():
        of_sample = parts.join(samples, on="sample_id")
        for part in PARTS:
            subjects = of_sample.filter(part=part)["subject_id"].unique()
            yield part if len(splits) == 1 else f"{name} {part}", subjects.to_numpy()


def _notes(task: TaskFile, treatments: set[str]) -> Iterator[str]:
    future = conditions_on_future(task)
    if future:
        yield f"Task {task.name} conditions on the future: {', '.join(future)}."
    label, target = task.target.label, task.target
    started = label is not None and treatments & set(label.predicates.values())
    if started and position(task, target.start, target) == position(task, task.index):
        yield (
            f"Task {task.name}: the label is a treatment and its window begins at the prediction time, when it may be "
            "under way; leave a gap if that matters."
        )
