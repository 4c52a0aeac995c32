"""A paragraph on what was done, in words that a paper can take over, and what it refers to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..methods import METHODS
from ..report.export import escape_latex
from ..runs.run import Run
from ..scores.measures import MEASURES, PRIMARY, in_brief
from ..words import count, listing, plural

OMNIFUSE = "omnifuse"
ALWAYS = {
    OMNIFUSE: ("software", "OmniFuse", "OmniFuse: multimodal learning on clinical data", ""),
    "tripod-ai": (
        "article", "Collins, Gary S. and others",
        "TRIPOD+AI statement: updated guidance for reporting clinical prediction models that use regression or machine "
        "learning methods", "BMJ 385:e078378, 2024",
    ),
    "pytorch": (
        "inproceedings", "Paszke, Adam and others",
        "PyTorch: An Imperative Style, High-Performance Deep Learning Library", "NeurIPS 2019",
    ),
    "scikit-learn": (
        "article", "Pedregosa, Fabian and others", "Scikit-learn: Machine Learning in Python",
        "Journal of Machine Learning Research 12:2825--2830, 2011",
    ),
}  # fmt: skip
"""Key to kind, author, title and where it was published; of the first the version is added."""

DATA = {
    "mimic": (
        "article", "Johnson, Alistair E. W. and others", "MIMIC-III, a freely accessible critical care database / "
        "MIMIC-IV, a freely accessible electronic health record dataset",
        "Scientific Data 3:160035, 2016 / Scientific Data 10:1, 2023",
    ),
    "physionet2012": (
        "inproceedings", "Silva, Ikaro and others", "Predicting In-Hospital Mortality of ICU Patients: The "
        "PhysioNet/Computing in Cardiology Challenge 2012", "Computing in Cardiology 39:245--248, 2012",
    ),
}  # fmt: skip
"""Of data sets by their name."""


def methods_paragraph(runs: Sequence[Run], *, latex: bool = False) -> str:
    """Return what runs of one task did, with references as ``[@key]``, or as LaTeX cites them."""
    text = " ".join(_sentences(runs))
    if not latex:
        return f"{text}\n"
    parts = text.split("[@")
    said = [escape_latex(parts[0])]
    for part in parts[1:]:
        key, _, rest = part.partition("]")
        said.append(rf"\cite{{{key}}}{escape_latex(rest)}")
    return f"{''.join(said)}\n"


def _sentences(runs: Sequence[Run]) -> Iterator[str]:
    run = runs[0]
    metrics = run.metrics
    people = "" if metrics.patients is None else f" of {plural(metrics.patients, 'patient')}"
    source = f" [@{metrics.cache.dataset}]" if metrics.cache.dataset in DATA else ""
    yield (
        f"We predicted {metrics.task_title} for {plural(metrics.samples, 'sample')}{people} of {metrics.cache.dataset}"
        f"{source} from {listing(metrics.modalities)} with OmniFuse {run.version} [@{OMNIFUSE}]."
    )
    if metrics.cohort:
        steps = [f"{step} ({count(left)})" for step, left in metrics.cohort]
        yield f"Samples left after each filter: {listing(steps)}."
    folds = len(metrics.folds)
    yield (
        f"Models were tested by {folds}-fold cross-validation by patient."
        if folds > 1
        else "Models were tested on the held-out part of the supplied split, by patient."
    )
    names = [f"{one.metrics.method} [@{_key(one.metrics.method)}]" for one in runs]
    yield (
        f"{'Methods were' if len(names) > 1 else 'The method was'} {listing(names)}, trained in PyTorch [@pytorch] or "
        "by scikit-learn [@scikit-learn]. Standardisation and every choice were fitted on training rows; the test part "
        "was read once."
    )
    measures = [measure.title for measure in in_brief(metrics.kind, metrics.measures).values()]
    primary = MEASURES.get(PRIMARY[metrics.kind]).title
    yield (
        f"The primary measure was {primary}; reported are {listing(measures)} with 95 % intervals that draw patients. "
        "Reporting follows TRIPOD+AI [@tripod-ai]."
    )


def bibliography(runs: Sequence[Run]) -> str:
    """Return BibTeX entries of everything that the paragraph names."""
    entries = dict(ALWAYS)
    dataset = runs[0].metrics.cache.dataset
    entries |= {dataset: DATA[dataset]} if dataset in DATA else {}
    written = [
        _entry(key, *parts, version=runs[0].version if key == OMNIFUSE else "") for key, parts in entries.items()
    ]
    for run in runs:
        name = run.metrics.method
        source = METHODS.get(name).source if name in METHODS else "a method of an installed package"
        written.append(_entry(_key(name), "misc", "{see note}", f"{name}, a method of OmniFuse", source))
    return "\n".join(written)


def _entry(key: str, kind: str, author: str, title: str, note: str, version: str = "") -> str:
    fields = {"author": author, "title": f"{{{title}}}", "note": note, "version": version}
    lines = [f"  {name} = {{{_escaped(value)}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])


def _escaped(text: str) -> str:
    return text.replace("&", r"\&").replace("%", r"\%").replace("_", r"\_").replace("#", r"\#")


def _key(method: str) -> str:
    return f"method-{method}"
