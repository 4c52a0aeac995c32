"""Assembles the page of a run and writes it."""

from collections.abc import Iterator
from pathlib import Path

from ..files import write_whole
from ..runs.run import Run, load_run
from .blocks import Section
from .cohort import cohort_section
from .contributions import contributions_section
from .decisions import decisions_section
from .export import write_tables
from .groups import groups_section
from .headline import headline
from .html import render
from .laziness_trace import laziness_section
from .learning import learning_section
from .performance import performance_section
from .repeat import repeat_section
from .uncertainty import uncertainty_section

REPORT = "report.html"


def write_report(folder: Path) -> Path:
    """Write ``report.html`` and its tables, as CSV and LaTeX in ``tables``, into a run folder; return the page's path.

    The page is one file that needs no network and holds no identifier of a patient.

    Raises
    ------
    MissingInputError
        The folder or a file that every run has does not exist.
    InputError
        A file of the run is damaged or of another version.
    """
    run = load_run(folder)
    sections = tuple(run_sections(run))
    path = folder / REPORT
    page = render("template.html", "page.js", kind="run", name=run.name, top=headline(run), sections=sections)
    write_tables(sections, folder / "tables")
    write_whole(path, page)
    return path


def run_sections(run: Run) -> Iterator[Section]:
    """Yield the chapters of the page."""
    for make in (
        performance_section,
        decisions_section,
        groups_section,
        uncertainty_section,
        contributions_section,
        cohort_section,
        learning_section,
        laziness_section,
        repeat_section,
    ):
        section = make(run)
        if section is not None:
            yield section
