"""Everything that is needed to repeat the run."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ..runs.run import Run
from ..runs.typed_json import write
from .blocks import Block, Code, Folded, Section, Table, Text


def repeat_section(run: Run) -> Section:
    """Return the chapter on repeating the run."""
    gist = "The command, machine and versions, the settings, and how the rows of each modality were made."
    return Section("repeat", "How to repeat this", tuple(_blocks(run)), gist, folded=True)


def _blocks(run: Run) -> Iterator[Block]:
    yield Text(
        "The same cache, command and versions give the same folds and, on the same machine, the same numbers. "
        "Settings that the command does not name have their defaults; all are in the resolved configuration."
    )
    yield Text(run.absent_package) if run.absent_package else Code(command(run))
    metrics, cache = run.metrics, run.metrics.cache
    facts = {
        "run": run.name,
        "method of the package": metrics.package and str(metrics.package),
        "seed": metrics.seed,
        "data set": cache.dataset,
        "cache": cache.path,
        "digest of the cache": cache.digest,
        "the cache was made by": ", ".join(f"{tool} {version}" for tool, version in cache.versions.items()),
        "finished": metrics.finished,
        "seconds": metrics.seconds,
    }
    yield _facts("The run", facts)
    yield _facts("Machine and versions", run.environment)
    yield Folded("Resolved configuration", (Code(_json(run.stored_config)),))
    if details := write(metrics.method_details):
        yield Folded("What the method says of its models", (Code(_json(details)),))
    for name, recipe in metrics.recipes.items():
        yield Folded(f"Recipe of {name}: how its rows were made", (Code(_json(recipe)),))


def command(run: Run) -> str:
    """Return the command that trains the same again."""
    metrics, config = run.metrics, run.config
    options = {
        "cache": metrics.cache.path,
        "task": metrics.task,
        "method": metrics.method,
        "preset": config.preset if config.preset != "default" else None,
        "modalities": ",".join(metrics.modalities),
        "folds": len(metrics.folds) if len(metrics.folds) > 1 else None,
        "seed": metrics.seed,
        "device": config.device if config.device != "cpu" else None,
    }
    given = [text for key, value in options.items() if value is not None for text in (f"--{key}", str(value))]
    changed = [text for override in config.overrides() for text in ("--set", override)]
    return shlex.join(["omnifuse", "train", *given, *changed])


def _facts(caption: str, facts: Mapping[str, Any]) -> Table:
    rows = tuple((name, value) for name, value in _flat(facts) if value)
    return Table(caption, ("what", "value"), rows, words=("value",))


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as (name, text) lines; long lists and arrays as JSON."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}: ")
        elif value is not None:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
