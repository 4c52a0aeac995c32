"""Methods and finished runs, described for a person and for a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from . import methods


def describe_methods() -> list[dict[str, Any]]:
    """Return name, family, source, options with defaults and presets of every method."""
    described = []
    for name in methods.names():
        method = methods.get(name)
        summary = (method.__doc__ or "").partition("\n")[0]
        described.append(
            {
                "name": name,
                "family": method.family,
                "summary": summary,
                "source": method.source,
                "options": asdict(method.Options()),
                "presets": {preset: list(overrides) for preset, overrides in method.presets.items()},
            }
        )
    return described


def methods_text(described: Sequence[Mapping[str, Any]]) -> str:
    """Return the methods as paragraphs."""
    paragraphs = []
    for method in described:
        options = ", ".join(f"{name}={value}" for name, value in method["options"].items()) or "none"
        paragraphs.append(
            f"{method['name']} ({method['family']})\n  {method['summary']}\n  source: {method['source']}\n"
            f"  options: {options}\n  presets: {', '.join(method['presets'])}"
        )
    return "\n\n".join(paragraphs)


def run_text(metrics: Mapping[str, Any]) -> str:
    """Return the result of a training: one line for each fold, means with intervals, and every note."""
    positives = "" if metrics["positives"] is None else f", {metrics['positives']:,} positive"
    lines = [
        f"{metrics['method']} on {metrics['task']} of {metrics['cache']['dataset']}: {metrics['samples']:,} samples"
        f"{positives}, modalities {', '.join(metrics['modalities'])}, {metrics['seconds']:.0f} s",
        f"{'fold':>6}{'rows':>8}{'AUROC':>8}{'AUPRC':>8}",
    ]
    lines += [
        f"{fold['fold']:>6}{fold['rows']:>8,}{number(fold['auroc']):>8}{number(fold['auprc']):>8}"
        for fold in metrics["folds"]
    ]
    lines += [score_text(name.upper(), metrics[name]) for name in ("auroc", "auprc")]
    return "\n".join([*lines, *(f"Note: {note}" for note in metrics["notes"])])


def score_text(name: str, score: Mapping[str, Any]) -> str:
    """Return a score as mean over folds, standard deviation and bootstrap interval of the pooled predictions."""
    spread = "" if score["sd"] is None else f" (sd over folds {score['sd']:.3f})"
    return f"{name} {number(score['mean'])}{spread}, pooled {number(score['pooled'])} {interval_text(score['ci'])}"


def interval_text(interval: Sequence[float] | None) -> str:
    """Return a 95 % interval in brackets."""
    if interval is None or None in interval:
        return "[no interval]"
    return f"[{interval[0]:.3f}, {interval[1]:.3f}]"


def number(value: float | None) -> str:
    """Return a score with three decimals, a dash where it is not defined."""
    return "-" if value is None else f"{value:.3f}"
