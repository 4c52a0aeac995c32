"""Methods and finished runs, described for a person and for a machine."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..methods import METHODS
from ..scores.measures import Measure, decimals, in_brief
from ..settings import as_text
from ..training.search import known_space
from ..words import interval, number, plain
from .metrics import RunMetrics, Score

TERMINAL_COLUMNS = 79

NEEDS = {
    "embeddings": "embeddings of encoders that are trained along",
    "tokens": "the rows of every modality, or its vector in parts, no encoders",
    "pooled": "one vector of the cache per modality, no encoders",
    "models": "embeddings of models that it trains inside",
}


def describe_methods(wanted: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Describe methods, by default every one: name, family, what it predicts and needs, source, options, and so on.

    Raises
    ------
    InputError
        For an unknown name.
    """
    described = []
    for name in wanted or METHODS.names():
        method = METHODS.get(name)
        summary = (method.__doc__ or "").partition("\n")[0]
        described.append(
            {
                "name": name,
                "family": method.family,
                "kinds": list(method.kinds),
                "needs": method.needs,
                "fewest_modalities": method.fewest_modalities,
                "package": method.package,
                "summary": summary,
                "source": method.source,
                "cost": method.cost,
                "options": asdict(method.Options()),
                "choices": _choices(method.Options),
                "presets": {preset: list(overrides) for preset, overrides in method.presets.items()},
                "search": {setting: list(values) for setting, values in known_space(method).items()},
            }
        )
    return described


def _choices(options: type) -> dict[str, list[str]]:
    """Return the values of every option that is a choice between words."""
    kinds = get_type_hints(options)
    return {name: list(get_args(kind)) for name, kind in kinds.items() if get_origin(kind) is Literal}


def methods_text(described: Sequence[Mapping[str, Any]]) -> str:
    """Return the methods as paragraphs for a terminal, and how to set an option."""
    usage = "Set an option with --set options.NAME=VALUE, several by --preset NAME. docs/method.md explains them."
    return "\n\n".join([*map(_method_text, described), _wrapped(usage)])


def _method_text(method: Mapping[str, Any]) -> str:
    options = ", ".join(_option_text(method, name) for name in method["options"]) or "none"
    lines = [
        method["summary"],
        f"source: {method['source']}",
        f"predicts: {', '.join(method['kinds'])}",
        f"needs: {_needs_text(method)}",
        f"options: {options}",
        f"presets: {', '.join(method['presets'])}",
        f"searched over: {', '.join(method['search']) or 'nothing'}",
    ]
    return "\n".join([f"{method['name']} ({method['family']})", *(_wrapped(line, "  ") for line in lines)])


def _needs_text(method: Mapping[str, Any]) -> str:
    parts = [NEEDS[method["needs"]]]
    parts += [f"{method['fewest_modalities']} modalities or more"] if method["fewest_modalities"] > 1 else []
    parts += [f"the package {method['package']}"] if method["package"] else []
    return ", ".join(parts)


def _option_text(method: Mapping[str, Any], name: str) -> str:
    default = method["options"][name]
    others = [choice for choice in method["choices"].get(name, ()) if choice != default]
    return f"{name}={as_text(default)}" + (f" (or {', '.join(others)})" if others else "")


def _wrapped(line: str, indent: str = "") -> str:
    return textwrap.fill(
        line, TERMINAL_COLUMNS, initial_indent=indent, subsequent_indent=2 * indent, break_on_hyphens=False
    )


def run_text(metrics: RunMetrics) -> str:
    """Return the result of a training: one line for each fold, means with intervals, and every note."""
    positives = "" if metrics.positives is None else f", {metrics.positives:,} positive"
    events = "" if metrics.events is None else f", {metrics.events:,} events"
    measures = in_brief(metrics.kind, metrics.measures)
    widths = {name: max(8, len(measure.title) + 2) for name, measure in measures.items()}
    places = {name: decimals(measure, metrics.measures[name].mean) for name, measure in measures.items()}
    lines = [
        f"{metrics.method} on {metrics.task} of {metrics.cache.dataset}: {metrics.samples:,} {metrics.counted}"
        f"{positives}{events}, modalities {', '.join(metrics.modalities)}, {metrics.seconds:.0f} s",
        f"{'fold':>6}{'rows':>8}" + "".join(f"{measures[name].title:>{width}}" for name, width in widths.items()),
    ]
    lines += [
        f"{fold.fold:>6}{fold.rows:>8,}"
        + "".join(
            f"  {plain(number(fold.measures[name], places[name])):>{width - 2}}" for name, width in widths.items()
        )
        for fold in metrics.folds
    ]
    lines += [score_text(measure, metrics.measures[name]) for name, measure in measures.items()]
    return "\n".join([*lines, *(f"Note: {note}" for note in metrics.notes)])


def score_text(measure: Measure, score: Score) -> str:
    """Return a measure as mean over folds, its 95 % interval if it is one that has, and the sd over folds."""
    places = decimals(measure, score.mean)
    bounds = f" {interval(score.ci, places, missing='[no interval]')}" if measure.resampled else ""
    spread = "" if score.sd is None else f", mean over folds, whose sd is {number(score.sd, places)}"
    return plain(f"{measure.title} {number(score.mean, places)}{bounds}{spread}")
