"""What is in a cache, as JSON values; reads labels and offsets but no feature rows."""

import re
import textwrap
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from .elements import Task
from .layout import modality_path
from .read import StoredCache

COLUMNS = 100


def describe_cache(cache: StoredCache, corrections: Collection[str]) -> dict[str, Any]:
    """Return data set, samples, and for each modality and task what it holds and how it came about.

    ``corrections`` are the names of rules that count, in the quarantine, what they changed and kept.
    """
    samples = cache.samples
    return {
        "path": str(cache.path),
        "dataset": cache.dataset,
        "package": _made_with(cache, "cohort").get("package"),
        "schema_version": cache.manifest.schema_version,
        "digest": cache.digest,
        "bytes": sum(node.bytes for node in cache.manifest.nodes.values()),
        "samples": samples.height,
        "subjects": samples["subject_id"].n_unique(),
        "modalities": {name: _describe_modality(cache, name) for name in cache.modalities},
        "tasks": {name: _describe_task(cache.task(name)) for name in cache.tasks},
        "splits": {name: dict(parts["part"].value_counts().iter_rows()) for name, parts in cache.splits.items()},
        "counts": cache.counts.to_dicts(),
        "settings": _made_with(cache, "cohort").get("settings") or {},
        "encoders": _made_with(cache, "encoders"),
        "quarantine": [
            {**entry, "corrected": entry["reason"].partition(":")[0] in corrections}
            for entry in cache.quarantine_counts.to_dicts()
        ],
    }


def _made_with(cache: StoredCache, key: str) -> Mapping[str, Any]:
    found = cache.manifest.keys.get(key)
    return found if isinstance(found, Mapping) else {}


def _describe_modality(cache: StoredCache, name: str) -> dict[str, Any]:
    spec = cache.modality_spec(name)
    lengths = np.diff(cache.offsets(name))
    nodes = [node for path, node in cache.manifest.nodes.items() if path.startswith(modality_path(name) + "/")]
    return {
        "kind": spec.kind,
        "row": spec.row_meaning,
        "rows": int(lengths.sum()),
        "columns": cache.dim(name),
        "samples": int((lengths > 0).sum()),
        "bytes": sum(node.bytes for node in nodes),
        "recipe": spec.recipe,
    }


def _describe_task(task: Task) -> dict[str, Any]:
    known = ~np.isnan(task.y).all(axis=1)
    return {
        "kind": task.kind,
        "labels": list(task.labels),
        "window_hours": task.window_hours,
        "samples": int(known.sum()) if task.sample is None else len(np.unique(task.sample[known])),
        "predictions": int(known.sum()) if task.long else None,
        "positives": _positives(task),
        "mean": np.nanmean(task.y, axis=0).astype(float).tolist()
        if task.kind == "regression" and known.any()
        else None,
        "unit": task.unit,
        "counts": [list(count) for count in task.counts],
    }


def _positives(task: Task) -> list[int] | None:
    """Return how many samples have each label; of a survival label, how many have the event."""
    if task.kind in ("multiclass", "regression"):
        return None
    y = task.y[:, 1:] if task.kind == "survival" else task.y
    return [int(number) for number in np.nansum(y, axis=0)]


def cache_text(info: dict[str, Any]) -> str:
    """Return the description of :func:`describe_cache` in words and tables."""
    lines = [
        f"Cache {info['path']}: {info['dataset']}, {info['samples']:,} samples of {info['subjects']:,} subjects, "
        f"{info['bytes'] / 2**20:,.1f} MiB, schema version {info['schema_version']}",
        *_making_lines(info),
        "",
        f"{'modality':14}{'kind':12}{'samples':>9}{'rows':>12}{'columns':>9}{'MiB':>9}",
    ]
    lines += [
        f"{name:14}{modality['kind']:12}{modality['samples']:>9,}{modality['rows']:>12,}{modality['columns']:>9}"
        f"{modality['bytes'] / 2**20:>9,.1f}"
        for name, modality in info["modalities"].items()
    ]
    for name, task in info["tasks"].items():
        lines += ["", f"task {name} ({_task_words(task)})"]
        lines += [f"  {count:>9,}  {step}" for step, count in task["counts"]]
    if info["splits"]:
        lines += ["", *(f"split {name}: {_part_words(parts)}" for name, parts in info["splits"].items())]
    lines += _published_lines([entry for entry in info["counts"] if entry["published"] is not None])
    lines += _quarantine_lines("left out", [entry for entry in info["quarantine"] if not entry["corrected"]])
    lines += _quarantine_lines("corrected and kept", [entry for entry in info["quarantine"] if entry["corrected"]])
    return "\n".join(part for line in lines for part in _fitted(line))


def _fitted(line: str) -> list[str]:
    """Break a line that is longer than a terminal, what follows below where its text begins."""
    number = re.match(r" *[\d,]+  ", line)
    below = " " * (len(number[0]) if number else 2)
    return textwrap.wrap(line, COLUMNS, subsequent_indent=below, break_long_words=False, break_on_hyphens=False) or [""]


def _making_lines(info: Mapping[str, Any]) -> Iterator[str]:
    """Yield which package, encoders and settings made the cache."""
    if info["package"]:
        yield f"data set of the package {info['package']}"
    for kind, recipe in info["encoders"].items():
        words = [recipe[key] for key in ("architecture", "name", "package") if key in recipe]
        yield f"{kind} encoder: {', '.join(words)}{' (untrained)' if 'seed' in recipe else ''}"
    given = {name: value for name, value in info["settings"].items() if value not in (None, [], {})}
    if given:
        yield f"settings: {', '.join(f'{name} {_setting_words(value)}' for name, value in given.items())}"


def _setting_words(value: object) -> str:
    if isinstance(value, Mapping):
        return f"({len(value)} entries)"
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def _quarantine_lines(heading: str, entries: list[dict[str, Any]]) -> list[str]:
    if not entries:
        return []
    lines = [f"  {entry['count']:>9,}  {entry['source']}: {entry['reason']}" for entry in entries]
    return ["", f"{heading}: {sum(entry['count'] for entry in entries):,} values, rows or items", *lines]


def _published_lines(counts: list[dict[str, Any]]) -> list[str]:
    """Return a table of the counts that were published for the same data, if there are any, and where."""
    if not counts:
        return []
    rows = [(f"{entry['scope']}, {entry['step']}, {entry['unit']}", entry) for entry in counts]
    width = max(len(name) for name, _ in rows) + 2
    return [
        "",
        f"{'counts':{width + 2}}{'here':>13}{'published':>13}",
        *(f"  {name:{width}}{entry['count']:>13,}{entry['published']:>13,}" for name, entry in rows),
        *(f"  published: {source}" for source in dict.fromkeys(entry["source"] for entry in counts)),
    ]


def _part_words(parts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {part}" for part, number in sorted(parts.items(), key=lambda entry: -entry[1]))


def _label_words(task: dict[str, Any]) -> str:
    if task["kind"] == "binary":
        return f"{task['positives'][0]:,} positive"
    if task["kind"] == "survival":
        return f"{task['positives'][0]:,} with the event"
    if task["kind"] == "regression" and task["mean"]:
        return f"mean {', '.join(f'{mean:.4g}' for mean in task['mean'])} {task['unit']}".rstrip()
    return f"{len(task['labels'])} labels"


def _task_words(task: dict[str, Any]) -> str:
    labels = _label_words(task)
    samples = f"{task['samples']:,} samples, {labels}"
    if task["predictions"] is not None:
        return f"{task['kind']}, rows up to each time, {task['predictions']:,} predictions of {samples}"
    window = "no time limit" if task["window_hours"] is None else f"first {task['window_hours']:g} h"
    return f"{task['kind']}, {window}, {samples}"
