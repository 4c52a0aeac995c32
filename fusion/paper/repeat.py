"""Commands, versions and machine, without a path of the authors' own."""

from __future__ import annotations

from collections.abc import Sequence

from ..report.repeat import command
from ..runs.run import Run
from ..study.results import StudyResults


def environment(run: Run) -> str:
    """Return what made a run, as Markdown."""
    lines = ["# How it was made", "", *_command(run), *_versions(run), *_cache(run)]
    return "\n".join([*lines, ""])


def environment_of_study(results: StudyResults, runs: Sequence[Run]) -> str:
    """Return what made a study: its command, and those of its runs."""
    cache = runs[0].metrics.cache.path
    lines = ["# How it was made", "", "```sh", results.repeat.replace(cache, "CACHE"), "```", ""]
    commands = sorted({_shown(run) for run in runs})
    lines += ["Its trainings, each as a command of its own:", "", "```sh", *commands, "```", ""]
    return "\n".join([*lines, *_versions(runs[0]), *_cache(runs[0]), ""])


def _command(run: Run) -> list[str]:
    return [run.absent_package] if run.absent_package else ["```sh", _shown(run), "```", ""]


def _shown(run: Run) -> str:
    return command(run).replace(run.metrics.cache.path, "CACHE")


def _versions(run: Run) -> list[str]:
    versions = run.environment.get("versions", {})
    machine = [f"{name}: {run.environment[name]}" for name in ("python", "platform") if name in run.environment]
    return [f"- {name} {version}" for name, version in versions.items()] + [f"- {one}" for one in machine]


def _cache(run: Run) -> list[str]:
    cache = run.metrics.cache
    made = ", ".join(f"{tool} {version}" for tool, version in cache.versions.items())
    return [f"- cache of {cache.dataset}, digest {cache.digest}, made by {made}"]
