"""Everything that the report of a study shows: what was done, what must be known first, and a chapter of each kind."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from ...cache_schema import MissingInputError
from ..files import read_json, read_table
from ..methods import METHODS
from ..words import combination_words, day, listing, plural
from .cell import Cell, Scope
from .finished import FinishedCell, FinishedStudy, compare, estimate
from .grid import Grid, make_grid
from .kinds.ablation import ROWS
from .ranking import Ranking, rank
from .results import Chapter, Column, Estimate, KeyFigure, ResultTable, StudyResults
from .run import FAILED, STUDY, SUBJECTS

FIELDS = {
    **dict.fromkeys(("name", "task", "preset", "started"), str),
    **dict.fromkeys(("cache", "grid"), dict),
    "modalities": list,
    "folds": int,
}
"""What study.json holds."""

ONE_SEED = (
    "Every method was trained with one seed. What another training would give is unknown: differences between methods, "
    "their intervals and verdicts do not include it. Five seeds would tell: `seeds: [0, 1, 2, 3, 4]` in the grid."
)


def is_study(folder: Path) -> bool:
    """Return whether a folder is that of a study."""
    return (folder / STUDY).is_file()


def open_study(folder: Path) -> tuple[dict[str, Any], Grid, FinishedStudy]:
    """Open the folder of a study: what study.json says, its grid, and its finished cells.

    Raises
    ------
    MissingInputError
        If the folder is not that of a study.
    """
    if not is_study(folder):
        raise MissingInputError(
            f"{folder} is no study: {STUDY} is missing. Give the folder that `omnifuse study` made."
        )
    stored = read_json(folder / STUDY, FIELDS)
    grid = make_grid(stored["name"], stored["grid"], str(folder / STUDY))
    scope = grid.scope(stored["task"], tuple(stored["modalities"]), stored["folds"])
    return stored, grid, FinishedStudy(folder, scope, read_table(folder / SUBJECTS))


def study_results(folder: Path, against: Path | None = None) -> StudyResults:
    """Return everything that the report of a study shows, beside another study on another cache if one is given.

    Raises
    ------
    MissingInputError
        If a folder is not that of a study, or nothing in it is finished.
    """
    stored, grid, study = open_study(folder)
    cells = list(grid.wanted(study.scope))
    finished = study.find_all(cells)
    if not finished:
        raise MissingInputError(f"No cell of {folder} is finished yet: run `omnifuse study` again.")
    whole = _main_run(study.scope, finished)
    chapters = list(_chapters(grid, study))
    if against is not None:
        chapters.append(beside(study, finished, against))
    ranking = rank(study, _alike(finished, whole), whole.cell.modalities)
    return StudyResults(
        name=grid.name,
        title=f"{grid.shared.title}: {whole.metrics.task_title}",
        lead=_lead(stored, study.scope, finished, whole),
        notes=tuple(_notes(folder, stored, cells, finished, whole)),
        numbers=tuple(_numbers(whole)),
        chapters=(*chapters, _tests(ranking), _cohort(whole)),
        repeat=_repeat(stored),
        facts=tuple(_facts(stored, whole)),
        made=tuple(_made(stored, whole)),
        caveats=whole.metrics.caveats,
        answer=ranking.answer,
        ranking=ranking.table,
        grid=yaml.safe_dump(dict(grid.content), sort_keys=False, allow_unicode=True),
        names=tuple({run.cell.method: (run.cell.method, method_words(run)) for run in reversed(finished)}.values())[
            ::-1
        ],
    )


def _alike(finished: list[FinishedCell], whole: FinishedCell) -> dict[str, list[FinishedCell]]:
    """Return the runs of every method on the modalities and settings of a run, one for each seed."""
    runs: dict[str, list[FinishedCell]] = {}
    for run in finished:
        if (run.cell.modalities, run.cell.settings) == (whole.cell.modalities, whole.cell.settings):
            runs.setdefault(run.cell.method, []).append(run)
    return runs


def method_words(run: FinishedCell) -> str:
    """Return what the method of a run is and what its preset sets, or which row of the paper's ablation that is."""
    if run.absent_package:
        return run.absent_package
    method = run.cell.method
    name, _, preset = method.partition(":")
    described = METHODS.get(name)
    words = (described.__doc__ or "").partition("\n")[0]
    if not preset:
        return words
    settings = listing(described.presets.get(preset, ())) or "nothing"
    row = f" is row {ROWS[method]} of the paper's Table 4; it" if method in ROWS else ""
    return f"{words} The preset {preset}{row} sets {settings}."


def _main_run(scope: Scope, finished: list[FinishedCell]) -> FinishedCell:
    """Return the run that speaks for the cohort: the first on all modalities with no settings of its own, if any."""
    return max(finished, key=lambda run: (len(run.cell.modalities), run.cell.settings == scope.settings))


def _chapters(grid: Grid, study: FinishedStudy) -> Iterator[Chapter]:
    seen: dict[str, Iterator[int]] = {}
    for experiment in grid.experiments:
        yield experiment.chapter(study, next(seen.setdefault(experiment.kind, count(1))))


def _lead(stored: dict[str, Any], scope: Scope, finished: list[FinishedCell], whole: FinishedCell) -> str:
    compared = len({run.cell.method for run in finished})
    trainings = sum(len(run.metrics.folds) for run in finished)
    where = f"{scope.folds} folds by patient" if scope.folds > 1 else "the split that came with the data"
    modalities = listing([whole.metrics.modality_title(name) for name in scope.modalities])
    return (
        f"{plural(compared, 'method')} on the data set {stored['cache']['dataset']}, "
        f"{plural(trainings, 'training')} in {where}. Modalities: {modalities}. "
        "Every number is of patients whom the model had not seen; no setting was chosen by them unless a table says so."
    )


def _notes(
    folder: Path, study: dict[str, Any], cells: list[Cell], finished: list[FinishedCell], whole: FinishedCell
) -> Iterator[str]:
    foreign = [run.cell.id for run in finished if run.metrics.cache.digest != study["cache"]["digest"]]
    if foreign:
        yield (
            f"{plural(len(foreign), 'cell')} of {len(finished)} came from another cache than that of the study, and "
            f"cannot be compared with the others: {', '.join(foreign)}."
        )
    stored = [read_json(path) for path in sorted((folder / FAILED).glob("*.json"))]
    failed = {failure["cell"]: failure["error"] for failure in stored}
    if failed:
        named = "; ".join(f"{cell}: {error}" for cell, error in failed.items())
        yield f"{plural(len(failed), 'cell')} failed and left gaps in the tables. {named}"
    if waiting := {cell.id for cell in cells} - {run.cell.id for run in finished} - failed.keys():
        yield f"{plural(len(waiting), 'cell')} of {len(cells)} not finished yet: the same command goes on with them."
    if len({run.cell.seed for run in finished}) == 1:
        yield ONE_SEED
    yield from (note for note in whole.metrics.notes if note not in whole.metrics.caveats)


def _numbers(whole: FinishedCell) -> Iterator[KeyFigure]:
    yield KeyFigure("Samples", Estimate(whole.metrics.samples), "with any of the modalities and a label")
    if whole.metrics.events is not None:
        yield KeyFigure("Events", Estimate(whole.metrics.events), "among these; the others are censored")
    if whole.metrics.positives is not None:
        yield KeyFigure("Positive", Estimate(whole.metrics.positives), "of these")


def _tests(ranking: Ranking) -> Chapter:
    return Chapter("tests", "All tests of the first table", (ranking.tests,))


def _cohort(whole: FinishedCell) -> Chapter:
    metrics = whole.metrics
    flow = ResultTable(
        "cohort-flow",
        "Who is in it",
        "Samples left after each filter.",
        (Column("filter"), Column("samples")),
        metrics.cohort,
        folded=True,
    )
    presence = ResultTable(
        "cohort-presence",
        "What they have",
        "Samples that have exactly these modalities.",
        (Column("modalities"), Column("samples"), Column("share")),
        tuple(
            (combination_words(names), samples, samples / metrics.samples)
            for names, samples in sorted(metrics.presence.items(), key=lambda item: -item[1])
        ),
        folded=True,
    )
    return Chapter("cohort", "The cohort", (flow, presence))


def _repeat(stored: dict[str, Any]) -> str:
    return shlex.join(
        [
            *("omnifuse", "study", "--cache", stored["cache"]["path"], "--task", stored["task"]),
            *("--modalities", ",".join(stored["modalities"]), "--preset", stored["preset"], "--out", "study"),
        ]
    )


def _made(stored: dict[str, Any], whole: FinishedCell) -> Iterator[str]:
    """Yield when and by what the study and its cache were made."""
    yield f"started {day(stored['started'])}"
    yield f"OmniFuse {whole.version}"
    yield from whole.metrics.cache.words()


def _facts(stored: dict[str, Any], whole: FinishedCell) -> Iterator[tuple[str, str]]:
    environment = whole.environment
    yield "cache", f"{stored['cache']['path']}, digest {stored['cache']['digest']}"
    yield "started", day(stored["started"])
    yield "platform", f"{environment['platform']}, Python {environment['python']}, {environment['device']}"
    yield "versions", ", ".join(f"{tool} {version}" for tool, version in environment["versions"].items())


def beside(study: FinishedStudy, finished: list[FinishedCell], folder: Path) -> Chapter:
    """Return the chapter that sets each cell beside the same cell of another study, on another cache."""
    stored, _, other = open_study(folder)
    rows = []
    for method, names in dict.fromkeys((run.cell.method, run.cell.modalities) for run in finished):
        here = [run for run in finished if (run.cell.method, run.cell.modalities) == (method, names)]
        plain = [run for run in here if run.cell.settings == here[0].cell.settings]
        there = other.find_all([run.cell for run in plain])
        if there:
            found = compare(plain, there, study)
            difference = Estimate(None) if found is None else found.difference
            rows.append((f"{method}, {' + '.join(names)}", estimate(plain), estimate(there), difference))
    reading = (
        f"This study beside that of {stored['cache']['path']} (digest {stored['cache']['digest'][:12]}), by the same "
        "settings. The difference is over the samples that both have tested, with its interval for other patients and, "
        "with several seeds, other trainings; there is none where the caches share no samples."
    )
    title = study.measure.title
    columns = (Column("method"), Column(f"{title} here"), Column(f"{title} there"), Column("difference", signed=True))
    return Chapter(
        "beside",
        "Beside another cache",
        (ResultTable("beside", "The same grid on two caches", reading, columns, tuple(rows)),),
    )
