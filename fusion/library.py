"""The library on this side: trainings, finished runs and studies, for programs; ``omnifuse`` itself offers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cache_schema import FeatureCache
from ..cluster import cluster
from ..progress import Told, telling
from .external.evaluation import Evaluation, evaluate
from .methods import METHODS
from .report import write_external, write_report, write_study
from .runs.run import Run as FinishedRun
from .runs.run import load_run as load_finished
from .runs.train import train as train_run
from .runs.workspace import refuse_existing
from .settings import as_overrides
from .study.finished import FinishedCell
from .study.grid import Grid, read_grid
from .study.overview import open_study, study_results
from .study.results import StudyResults
from .study.run import Plan, plan_study, run_study
from .training.config import TrainConfig, make_config

if TYPE_CHECKING:
    from .methods.base import Method

Place = str | Path
Cache = FeatureCache | str | Path


class Run(FinishedRun):
    """A finished training, which predicts other caches, is compared with their labels, and has a report."""

    def evaluate(
        self, cache: Cache, drop: Sequence[str] = (), recalibrate: str | float | None = None, out: Place | None = None
    ) -> Evaluation:
        """Return how good the run's predictions are for the labels of a cache, such as that of another hospital.

        Parameters
        ----------
        drop
            Modalities to hide.
        recalibrate
            Whom corrections of the probabilities are fitted on: a part of the cache's split, or a share of its
            patients. They are judged by all others.
        out
            New folder for a page that sets both sites side by side, and its tables.

        Raises
        ------
        InputError
            As :meth:`predict`, or if the cache has no label of the run's task; if there is nothing to recalibrate by,
            or ``out`` exists.
        """
        if out is not None:
            refuse_existing(Path(out))
        found = evaluate(self, cache, drop, recalibrate)
        if out is not None:
            write_external(found, Path(out))
        return found

    def report(self) -> Path:
        """Write the report, one HTML file in the run's folder, and return its path."""
        return write_report(self.path)


def load_run(path: Place, device: str | None = None) -> Run:
    """Open a run folder, to predict on another device than it was trained on if wanted.

    Raises
    ------
    MissingInputError
        If the folder is not that of a finished run, or a file of it is missing.
    InputError
        If a file of it is damaged or of another version, or this machine has not got the device.
    """
    return Run(load_finished(path, device).path, device)


def train(
    cache: Cache = "cache",
    method: str | None = None,
    task: str | None = None,
    run: Place | None = None,
    *,
    preset: str = "default",
    workers: int = 1,
    memory_limit: int | None = None,
    report: bool = False,
    progress: bool | Told = True,
    **settings: Any,
) -> Run:
    """Train and test a method, by cross-validation over patients or on the cache's own split.

    Stopped at any moment, the same call goes on from its finished folds.

    Parameters
    ----------
    method
        Name of the method; by default ``omnifuse``, or the one of the preset.
    task
        Name of the task; by default the cache's first with one prediction a sample.
    run
        New folder for the run; by default ``runs/<task>-<method>``, with a number if that is taken.
    preset
        Preset of the method that the settings start from.
    workers
        Folds trained at once, in a process each; they change no digit. A script that asks for several puts its work
        under ``if __name__ == "__main__":``.
    memory_limit
        Bytes; rows for which that has no room stay on disk.
    report
        Whether to write the report, too.
    progress
        Whether to show how far it is, or who is told (see `Told`).
    settings
        Settings by name, such as ``folds=3, seed=1, modalities=("ehr", "rep")``, or ``**{"fit.epochs": 30}``.

    Raises
    ------
    InputError
        For an unknown method, task, modality or setting, a run folder that already exists, or too few subjects.
    LockedError
        If another training is about to write the same run folder.
    """
    config = make_config(method, preset, as_overrides(settings), task=task)
    with telling(progress):
        return train_config(cache, config, run, workers, memory_limit, report=report)


def train_config(
    cache: Cache, config: TrainConfig, run: Place | None, workers: int, memory_limit: int | None, *, report: bool
) -> Run:
    """Do as :func:`train` with all settings in one."""
    wanted = Path(run or Path("runs") / "-".join(name for name in (config.task, config.method) if name))
    page = write_report if report else None
    return Run(train_run(cache, config, wanted, workers, memory_limit, numbered=run is None, report=page).path)


@dataclass(frozen=True)
class Study:
    """A finished study in the folder ``path``: its page, and what went wrong by cell."""

    path: Path
    report: Path | None
    """None if every cell failed."""
    failed: Mapping[str, str]

    @property
    def runs(self) -> list[FinishedCell]:
        """The runs of its finished cells."""
        _, grid, finished = open_study(self.path)
        return finished.find_all(list(grid.wanted(finished.scope)))

    @property
    def results(self) -> StudyResults:
        """Everything that the report shows: tables, tests, verdicts."""
        return study_results(self.path)


def study(
    cache: Cache = "cache",
    grid: str | Path | Grid = "quick",
    out: Place = "study",
    *,
    task: str | None = None,
    modalities: Sequence[str] | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    progress: bool | Told = True,
) -> Study:
    """Train a grid of methods, modalities and settings, and report on it; stopped, the same call goes on from there.

    Parameters
    ----------
    grid
        Name of a preset, or a YAML file of a grid.
    out
        Folder of the study; one that exists goes on.
    task, modalities
        By default the cache's first task, and all of its modalities.
    workers
        Cells trained at once, in a process each; they change no digit. A script that asks for several puts its work
        under ``if __name__ == "__main__":``.
    scheduler
        A Dask scheduler whose workers train instead.
    progress
        Whether to show how far it is, or who is told (see `Told`).

    Raises
    ------
    InputError
        If the folder is that of a study on another cache, or the grid names something that does not exist.
    LockedError
        If another study works in the same folder.
    """
    path = str(cache.path) if isinstance(cache, FeatureCache) else cache
    plan = plan_study(path, grid if isinstance(grid, Grid) else read_grid(grid), Path(out), task, modalities)
    with telling(progress):
        return study_plan(plan, workers, scheduler)


def study_plan(plan: Plan, workers: int, scheduler: str | None) -> Study:
    """Do as :func:`study` what is planned."""
    with cluster(scheduler) if scheduler else nullcontext() as executor:
        failed = run_study(plan, workers, executor)
    if len(failed) == len(plan.cells):  # a report has nothing to show
        return Study(plan.folder, None, failed)
    return Study(plan.folder, write_study(study_results(plan.folder), plan.folder), failed)


def register_method(method: type[Method]) -> type[Method]:
    """Add a method for this process, under its ``name``; may stand over the class as a decorator.

    Raises
    ------
    InputError
        If there is a method of this name, or the class lacks something.
    """
    METHODS.register(method.name, method)
    return method
