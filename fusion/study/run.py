"""A study from grid to finished cells: every cell once, several at a time, and never one that is finished already."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from ...cache_schema import CacheChangedError, FeatureCache, InputError, OmniFuseError, Task, folder_lock, unknown
from ...device import check_device
from ...processes import WAKE_SECONDS, ThisProcess, worker_pool
from ...progress import progress, telling
from ...reproductions.comparison import Beside, beside
from ..files import read_json, read_table, write_json, write_table
from ..methods import METHODS, refuse_unserved
from ..methods.base import Method
from ..runs.folder import RunFolder
from ..runs.plan import first_task, split_used
from ..runs.train import train
from ..settings import parse
from ..training.config import make_config
from .cell import Cell, Measurement, Scope
from .finished import CELLS, REPRODUCTION, FinishedCell, FinishedStudy
from .grid import Grid
from .measure import measure

STUDY, SUBJECTS, FAILED = "study.json", "subjects.parquet", "failed"

LOG = logging.getLogger(__name__)

Wanted = Mapping[Cell, tuple[Measurement, ...]]


@dataclass(frozen=True)
class Plan:
    """What a study has to do: all its cells, and those of them that are not finished."""

    folder: Path
    cache: FeatureCache
    grid: Grid
    scope: Scope
    cells: Wanted
    open: Wanted
    beside: Beside | None = None
    """How the cohort stands beside the published one that the grid reproduces."""

    @property
    def untrained(self) -> list[Cell]:
        """The open cells whose training is not done; of the others something is to be measured."""
        return [cell for cell in self.open if not RunFolder(self.folder / CELLS / cell.id).is_finished]

    @property
    def trainings(self) -> int:
        """Number of trainings that are to be done: one for each fold of every untrained cell."""
        return self.scope.folds * len(self.untrained)

    @property
    def study(self) -> FinishedStudy:
        """The finished cells."""
        return FinishedStudy(self.folder, self.scope, read_table(self.folder / SUBJECTS))


def plan_study(
    cache_path: str | Path, grid: Grid, folder: Path, task: str | None = None, modalities: Sequence[str] | None = None
) -> Plan:
    """Find out what is to be done, and write nothing.

    Raises
    ------
    InputError
        If the folder is that of a study on another cache, the grid names something that does not exist, or none of its
        methods predicts this kind of task.
    """
    cache = FeatureCache.open(cache_path)
    name = task or grid.shared.task or first_task(cache)
    counted = None if grid.reproduction is None else beside(cache, grid.reproduction, name)
    if grid.reproduction is not None:
        modalities = modalities or grid.reproduction.modalities
    if name not in cache.tasks:
        raise unknown("task", name, cache.tasks)
    chosen = parse(modalities or cache.modalities, tuple[str, ...], "modalities")
    for modality in chosen:
        if modality not in cache.modalities:
            raise unknown("modality", modality, cache.modalities)
    config = make_config(overrides=grid.shared.settings)
    scope = grid.scope(name, chosen, 1 if split_used(cache, config) else None)
    fewest = max((experiment.fewest_modalities for experiment in grid.experiments), default=1)
    if len(scope.modalities) < fewest:
        raise InputError(f"The study fuses two modalities or more; {cache.path} gives {', '.join(scope.modalities)}.")
    _refuse_another_cache(folder, cache)
    cells = _served(grid.cells(scope), cache.task(name))
    _refuse_foreign_cells(folder, cells, cache)
    unfinished = {cell: asked for cell, asked in cells.items() if not _finished(folder / CELLS / cell.id, asked)}
    for device in {cell.config.device for cell in unfinished}:
        check_device(device)
    return Plan(folder, cache, grid, scope, cells, unfinished, counted)


def refuse_difference(plan: Plan) -> None:
    """Raise InputError unless every number that was published of the cohort is found; also if there is none."""
    if plan.beside is None:
        raise InputError(f"{plan.grid.source} is no publication whose numbers could be compared.")
    plan.beside.refuse_difference()


def _served(cells: Wanted, task: Task) -> Wanted:
    """Return the cells whose method predicts a kind of task; of the others it is said once that they are left out."""
    served = {cell: asked for cell, asked in cells.items() if task.kind in _method(cell).kinds}
    if not served:
        for cell in cells:
            refuse_unserved(_method(cell), task.kind)
    if left_out := sorted({cell.method for cell in cells.keys() - served.keys()}):
        LOG.warning("Left out, since they predict no %s: %s.", task.kind, ", ".join(left_out))
    return served


def _method(cell: Cell) -> type[Method]:
    return METHODS.get(cell.method.partition(":")[0])


def _refuse_another_cache(folder: Path, cache: FeatureCache) -> None:
    path = folder / STUDY
    if not path.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise InputError(f"{folder} holds something else than a study. Name another folder with --out.")
        return
    made_from = read_json(path, {"cache": dict})["cache"]
    if made_from["digest"] != cache.digest:
        raise InputError(
            f"{folder} is a study of {made_from['path']} with the digest {made_from['digest']}; {cache.path} has "
            f"{cache.digest}. Name another folder with --out."
        )


def _refuse_foreign_cells(folder: Path, cells: Wanted, cache: FeatureCache) -> None:
    runs = (FinishedCell(folder / CELLS / cell.id, cell=cell) for cell in cells)
    finished = (run for run in runs if RunFolder(run.path).is_finished)
    foreign = [run.path for run in finished if run.metrics.cache.digest != cache.digest]
    if foreign:
        raise InputError(
            f"Cells of this study that were trained on another cache: {len(foreign)}, such as {foreign[0]}. Remove "
            "their folders, or name another folder with --out."
        )


def _finished(path: Path, asked: Sequence[Measurement]) -> bool:
    return RunFolder(path).is_finished and all((path / measurement.file).is_file() for measurement in asked)


def run_study(plan: Plan, workers: int, executor: Executor | None = None) -> dict[str, str]:
    """Train and measure every open cell, up to ``workers`` at once, and return what went wrong by cell.

    A cell that fails is named and left out; the others go on. Interrupted and started again, the study goes on with
    the cells that are not finished. ``executor`` runs the cells elsewhere, on a cluster for example.

    Raises
    ------
    LockedError
        If another study works in the same folder.
    CacheChangedError
        If the cache was replaced meanwhile.
    """
    with folder_lock(plan.folder, "a study"):
        _refuse_another_cache(plan.folder, plan.cache)  # it may have become a study since the plan
        _write_study(plan)
        shutil.rmtree(plan.folder / FAILED, ignore_errors=True)
        return _run_cells(plan, workers, executor)


def _run_cells(plan: Plan, workers: int, executor: Executor | None) -> dict[str, str]:
    failed: dict[str, str] = {}
    with progress(name="study", total=len(plan.open), unit="cells") as bar, cell_workers(workers, executor) as pool:
        for cell, job in _ended(plan, pool):
            if message := _failure(job):
                failed[cell.id] = message
                _write_failure(plan.folder / FAILED, cell, message)
            bar.update()
    return failed


def _ended(plan: Plan, pool: Executor) -> Iterator[tuple[Cell, Future[None]]]:
    """Yield the open cells as they end, well or not; those of the first seed are the first to begin."""
    paths = str(plan.cache.path.absolute()), plan.cache.digest, str((plan.folder / CELLS).absolute())
    cells = sorted(plan.open.items(), key=lambda item: item[0].seed)
    jobs = ((cell, pool.submit(run_cell, *paths, cell, asked)) for cell, asked in cells)
    if isinstance(pool, ThisProcess):
        yield from jobs
        return
    of = {job: cell for cell, job in jobs}
    waiting = set(of)
    while waiting:
        # in short pieces: polars lets waiting go on after a signal, and an interrupt would not be noticed
        done, waiting = wait(waiting, WAKE_SECONDS, FIRST_COMPLETED)
        yield from ((of[job], job) for job in done)


def run_cell(cache: str, digest: str, folder: str, cell: Cell, asked: Sequence[Measurement]) -> None:
    """Train a cell unless that is done, and measure what is not measured yet.

    Raises
    ------
    CacheChangedError
        If the cache is not the one of the digest, with which the study began.
    """
    path = Path(folder) / cell.id
    opened = FeatureCache.open(cache)
    if opened.digest != digest:
        raise CacheChangedError(
            f"{cache} was replaced while the study ran: its digest is {opened.digest} and was {digest}. Finished cells "
            "are kept. Name another folder with --out for a study of the new cache."
        )
    if not RunFolder(path).is_finished:
        train(opened, cell.config, path)
    for measurement in asked:
        if not (path / measurement.file).is_file():
            measure(path, Path(cache), measurement)


def _failure(job: Future[None]) -> str | None:
    """Return what went wrong in a cell; a pool that has lost its processes, or another cache, ends the study."""
    error = job.exception()
    if isinstance(error, CacheChangedError):
        raise error
    if isinstance(error, BrokenProcessPool):
        raise OmniFuseError(
            "A process that trained a cell was killed, most likely because memory ran out. Start the study again with "
            "fewer --workers; finished cells and folds are kept."
        ) from error
    if error is None:
        return None
    return str(error) if isinstance(error, OmniFuseError) else f"{type(error).__name__}: {error}"


@contextmanager
def cell_workers(workers: int, executor: Executor | None = None) -> Iterator[Executor]:
    """Provide what runs the cells: the given executor, this process or several; none shows progress of its own."""
    if executor is not None:
        yield executor
        return
    with telling(whom=False), nullcontext(ThisProcess()) if workers == 1 else worker_pool(workers) as pool:
        yield pool


def _write_study(plan: Plan) -> None:
    """Write what the study is, and who is the same patient, by numbers that say nothing else."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    samples = plan.cache.samples
    numbers = samples["subject_id"].rank("dense").cast(pl.Int64).rename("subject")
    write_table(plan.folder / SUBJECTS, pl.DataFrame([samples["sample_id"], numbers]))
    cache = {"path": str(plan.cache.path), "digest": plan.cache.digest, "dataset": plan.cache.dataset}
    content = {
        "name": plan.grid.name,
        "cache": cache,
        "task": plan.scope.task,
        "modalities": list(plan.scope.modalities),
        "folds": plan.scope.folds,
        "preset": plan.grid.source,
        "grid": plan.grid.content,
        "started": datetime.now(UTC).isoformat(timespec="minutes"),
    }
    write_json(plan.folder / STUDY, content)
    if plan.beside is not None:
        write_json(plan.folder / REPRODUCTION, plan.beside.to_json())


def _write_failure(folder: Path, cell: Cell, message: str) -> None:
    folder.mkdir(exist_ok=True)
    write_json(folder / f"{cell.id}.json", {"method": cell.method, "cell": cell.id, "error": message})
