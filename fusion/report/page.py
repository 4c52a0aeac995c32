"""Assembles the page and writes it."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .blocks import Section
from .cohort import cohort_section
from .contributions import contributions_section
from .drawing import PALETTE
from .headline import headline
from .laziness_trace import laziness_section
from .learning import learning_section
from .performance import performance_section
from .repeat import repeat_section
from .run import Run, read_run

REPORT = "report.html"


def write_report(run: Path) -> Path:
    """Write ``report.html`` into a run folder and return its path.

    The page is one file that needs no network and holds no identifier of a patient.

    Raises
    ------
    MissingInputError
        The folder or a file that every run has does not exist.
    InputError
        A file of the run is damaged or lacks what the report needs.
    """
    path = run / REPORT
    path.write_text(render(read_run(run)), encoding="utf-8")
    return path


def render(run: Run) -> str:
    """Return the page of a run as HTML text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = environment.get_template("sort.js").render()
    return environment.get_template("template.html").render(
        run=run.name,
        top=headline(run),
        sections=tuple(_sections(run)),
        palette=PALETTE,
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _sections(run: Run) -> Iterator[Section]:
    for make in (
        cohort_section,
        performance_section,
        learning_section,
        contributions_section,
        laziness_section,
        repeat_section,
    ):
        section = make(run)
        if section is not None:
            yield section
