"""The folder for authors: everything written at once, and no identifier of a patient in any of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...cache_schema import CacheError, FeatureCache, InputError
from ..files import write_file, write_json, write_whole
from ..report.blocks import Block, Figure, Figures, Folded, Section
from ..report.export import write_tables
from ..report.page import run_sections
from ..report.study import study_sections, write_study_tables
from ..runs.run import Run, load_run
from ..study.overview import is_study, study_results
from ..study.results import StudyResults
from .card import model_card
from .checklist import OPEN, answers
from .croissant import croissant
from .methods_text import bibliography, methods_paragraph
from .repeat import environment, environment_of_study

README = """# For the paper

What a run or a study recorded, for its authors; nothing here names a patient. What only they know is marked {open}.

{files}
"""

CHECKLIST = (
    "# TRIPOD+AI", "", "In short words; a journal wants the statement's own form.", "",
    "| item | what is asked | answer |", "|---|---|---|",
)  # fmt: skip

FILES = {
    "tripod-ai.md": "the items of TRIPOD+AI (BMJ 2024;385:e078378), in short words, filled where it was recorded",
    "model-card.md": "what the model is, for whom, how good, and its limits",
    "methods.md": "a paragraph for the methods, with the keys of references.bib",
    "methods.tex": "the same for LaTeX",
    "references.bib": "everything that was used",
    "environment.md": "commands, versions and machine",
    "croissant.json": "the cache described in Croissant: names, units, digests and counts, no rows",
    "tables": "every table of the report, as CSV and LaTeX",
    "figures": "every figure of the report, as SVG and PDF",
}
"""What may be in the folder."""


def write_paper(folder: Path, out: Path) -> Path:
    """Write the kit of a run or a study into a new folder and return it.

    Raises
    ------
    InputError
        If ``out`` exists, or the run or study cannot be read.
    """
    if out.exists():
        raise InputError(f"{out} exists already. Name a new folder with --paper.")
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        if is_study(folder):
            _write_study(study_results(folder), folder, partial)
        else:
            _write_run(load_run(folder), partial)
        _write_readme(partial)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return out


def _write_run(run: Run, out: Path) -> None:
    sections = [
        section for section in run_sections(run) if section.anchor != "repeat"
    ]  # which names paths of a machine
    write_tables(sections, out / "tables")
    _write_figures(sections, out / "figures")
    rows = [f"| {number} | {asked} | {_cell(said)} |" for number, asked, said in answers(run)]
    write_whole(out / "tripod-ai.md", "\n".join([*CHECKLIST, *rows, ""]))
    write_whole(out / "model-card.md", model_card(run))
    _write_texts([run], out)
    write_whole(out / "environment.md", environment(run))
    _write_croissant(Path(run.metrics.cache.path), run.metrics.cache.digest, out)


def _write_study(results: StudyResults, folder: Path, out: Path) -> None:
    write_study_tables(results, out / "tables")
    _write_figures(study_sections(results), out / "figures")
    runs = [load_run(path) for path in sorted((folder / "cells").iterdir()) if (path / "metrics.json").is_file()]
    by_method = {run.metrics.method: run for run in runs}
    _write_texts(list(by_method.values()), out)
    write_whole(out / "environment.md", environment_of_study(results, runs))
    cache = runs[0].metrics.cache
    _write_croissant(Path(cache.path), cache.digest, out)


def _write_texts(runs: list[Run], out: Path) -> None:
    """Write the paragraph in both forms, and the references that it names."""
    write_whole(out / "methods.md", methods_paragraph(runs))
    write_whole(out / "methods.tex", methods_paragraph(runs, latex=True))
    write_whole(out / "references.bib", bibliography(runs))


def _write_figures(sections: Iterable[Section], folder: Path) -> None:
    folder.mkdir()
    for number, figure in enumerate(figure for section in sections for figure in _figures(section.blocks)):
        words = "".join(sign if sign.isalnum() else "-" for sign in figure.title.lower()).strip("-")
        for form in ("svg", "pdf"):
            write_file(folder / f"{number + 1:02d}-{words[:60]}.{form}", figure.written(form))


def _figures(blocks: Iterable[Block]) -> Iterator[Figure]:
    for block in blocks:
        if isinstance(block, Figures):
            yield from block.figures
        elif isinstance(block, Folded):
            yield from _figures(block.blocks)


def _write_croissant(path: Path, digest: str, out: Path) -> None:
    """Describe the cache if it is still there and the same; what else it is cannot be told from a run."""
    try:
        cache = FeatureCache.open(path)
    except CacheError:
        return
    if cache.digest == digest:
        write_json(out / "croissant.json", croissant(cache))


def _write_readme(out: Path) -> None:
    lines = [f"- `{name}`: {what}" for name, what in FILES.items() if (out / name).exists()]
    if not (out / "croissant.json").exists():
        lines.append("- no croissant.json: the cache is not where it was, or is another one now")
    write_whole(out / "README.md", README.format(open=OPEN, files="\n".join(lines)))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
