"""Own tasks of a folder: what ``--task`` names, checked against what this release has."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from .....cache_schema import InputError, MissingInputError
from ....source import Quarantine
from ..cohort import ADULT, Cohort
from ..concepts.columns import refuse_unknown_columns
from ..concepts.definitions import Concept
from ..concepts.derived.ingredients import REPLACED
from ..concepts.event_tables import EVENT_TABLES
from ..concepts.history import History
from ..folder import MimicFolder
from ..wards import TABLE as WARDS
from .anchors import check_release, release_of
from .checks import conditions_on_future, position
from .concept_events import TaskConcepts
from .diagnoses import check_codes
from .language import TaskFile, asks_for_last_ward
from .named import NamedTask, read_tasks
from .own_labels import OwnLabels

VERSION = 2
"""To be raised whenever the same files and tables would give other labels."""

NEARER: dict[str, tuple[History, ...]] = {"hospital": ("icu", "hospital"), "ed": ("icu", "hospital", "ed")}
"""Of a task's history that is no number of hours: how far variables may reach at most."""


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
    history
        How far before a stay variables reach.

    Raises
    ------
    InputError
        If a file is no task, or a task asks for what this release does not have.
    """

    def __init__(self, given: Sequence[str], folder: MimicFolder, own: Sequence[Concept], history: History) -> None:
        self.given, self.folder = tuple(given), folder
        self.named: tuple[NamedTask, ...] = read_tasks(given)
        for task in self.tasks:
            check_release(task, release_of(folder))
            check_codes(task, folder.version)
            _check_history(task, history)
        self.concepts = TaskConcepts(self.tasks, folder.version, own)

    @property
    def tasks(self) -> tuple[TaskFile, ...]:
        """The tasks."""
        return tuple(one.task for one in self.named)

    def settings(self) -> dict[str, Any]:
        """Return what decides the labels beside the tables: the files as they were read, and their concepts."""
        files = {one.task.name: one.content for one in self.named}
        scores = {"scores": self.concepts.scores} if self.concepts.scores else {}
        concepts = [one.to_json() for one in self.concepts.concepts]
        return {"version": VERSION, "files": files, "concepts": concepts, **scores}

    def inputs(self) -> list[Path]:
        """Return the tables of events that predicates need.

        Raises :class:`MissingInputError` where one is not there, :class:`InputError` where a column is not.
        """
        tables = []
        refuse_unknown_columns(self.folder, self.concepts.concepts)
        for concept in self.concepts.concepts:
            for logical in concept.items:
                names = [table.name for table in EVENT_TABLES[self.folder.version][logical]]
                found = [path for name in names if (path := self.folder.find_table(name))]
                for_scores_alone = concept.name not in self.concepts.asked_for
                if not found and not (for_scores_alone and logical in REPLACED):
                    raise MissingInputError(
                        f"{self.folder.raw} has no table {' or '.join(names)}, which own tasks need for "
                        f"{concept.name}. Add it, or leave a task out of --task {' '.join(self.given)}."
                    )
                tables += found
        if any(asks_for_last_ward(task) for task in self.tasks):
            tables.append(self.folder.table(WARDS).path)
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

    def of(self, cohort: Cohort, modalities: Sequence[str], quarantine: Quarantine) -> OwnLabels:
        """Return what labels a cohort; ``quarantine`` takes what of the events could not be read."""
        return OwnLabels(self.tasks, self.concepts, self.folder, cohort, modalities, quarantine)

    def notes(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """Return what a reader of the labels has to know, and when what is seen of the ``modalities`` was known."""
        notes = [note for task in self.tasks for note in notes_of(task, self.concepts.treatments(task))]
        stored = any(task.available == "storetime" for task in self.tasks)
        if stored and "ehr" in modalities:
            notes.append(
                "The rows of ehr count from when a value was charted, also in own tasks; --variables from when "
                "it was stored."
            )
        return tuple(notes)


def _check_history(task: TaskFile, history: History) -> None:
    """Raise :class:`InputError` where variables reach further back than a task may."""
    if isinstance(task.history, str) and history not in NEARER.get(task.history, (history,)):
        raise InputError(
            f"{task.source}: history is {task.history!r}, and --history {history} reaches further; give variables "
            f"--history {task.history}, or write `history: {history}`."
        )


def notes_of(task: TaskFile, treatments: set[str]) -> Iterator[str]:
    """Yield what a task asks of the future, and whether its label is one of the ``treatments`` without a gap."""
    if future := conditions_on_future(task):
        yield f"Task {task.name} conditions on the future: {', '.join(future)}."
    label, target = task.target.label, task.target
    started = label is not None and treatments & set(label.predicates.values())
    if started and position(task, target.start, target) == position(task, task.index):
        yield (
            f"Task {task.name}: the label is a treatment and its window begins at the prediction time, when it may be "
            "under way; leave a gap if that matters."
        )
