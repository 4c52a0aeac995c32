"""A model card of a run: what it is, for whom, how good, and its limits."""

from __future__ import annotations

from collections.abc import Iterator

from ..methods import METHODS
from ..runs.run import Run
from ..scores.measures import decimals, in_brief
from ..words import count, interval, listing, number, plural
from .checklist import OPEN


def model_card(run: Run) -> str:
    """Return the card as Markdown."""
    return "\n".join([*_lines(run), ""])


def _lines(run: Run) -> Iterator[str]:
    metrics = run.metrics
    method = METHODS.get(metrics.method).source if metrics.method in METHODS else "of an installed package"
    yield from (f"# {metrics.task_title}: {metrics.method}", "", "## The model", "")
    yield f"- method {metrics.method} ({method}), OmniFuse {run.version}, seed {metrics.seed}"
    yield f"- {plural(len(metrics.folds), 'model')}, one a fold; others are predicted by their mean"
    yield f"- inputs: {listing(metrics.modalities)}; output: {metrics.kind} ({', '.join(metrics.labels)})"
    yield from (f"- contact and licence: {OPEN}", "", "## Use", "")
    yield f"- meant for: {OPEN}"
    yield f"- not meant for: clinical decisions; {OPEN}"
    yield from ("", "## Data", "")
    yield f"- {plural(metrics.samples, 'sample')} of {metrics.cache.dataset}, tested out of fold"
    yield from (f"- {step}: {count(left)}" for step, left in metrics.cohort)
    yield from ("", "## How good it is", "", "| measure | value | 95 % interval |", "|---|---|---|")
    for name, measure in in_brief(metrics.kind, metrics.measures).items():
        score, places = metrics.measures[name], decimals(measure, metrics.measures[name].mean)
        bounds = interval(score.ci, places) if score.ci else "–"
        yield f"| {measure.title} | {number(score.mean, places)} | {bounds} |"
    if metrics.per_subgroup:
        groups = sorted({group.group.replace("_", " ") for group in metrics.per_subgroup})
        yield from ("", f"By {listing(groups)}: see the tables on groups.")
    yield from ("", "## Limits", "")
    yield from (f"- {note}" for note in metrics.notes)
    yield f"- {OPEN}"
