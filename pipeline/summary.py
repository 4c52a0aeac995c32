"""What an extraction says at its end, to a person and to a machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..cache_schema import FeatureCache, by_preference, cache_text, describe_cache
from ..progress import duration, next_text
from .core.stages import Extraction
from .sources.mimic.benchmark.rules import CORRECTIONS
from .sources.mimic.concepts.values import MENDED

GIBIBYTE = 2**30


def cache_content(cache: Path) -> dict[str, Any]:
    """Return what a cache holds as JSON values; what the rules corrected is told apart from what was left out."""
    return describe_cache(FeatureCache.open(cache), CORRECTIONS | MENDED)


def outcome(extraction: Extraction) -> tuple[dict[str, Any], str]:
    """Return what came of an extraction as JSON values, and in words with the command that comes next.

    Both have what the cache holds now, if something was done.
    """
    content = extraction.to_json()
    if extraction.reasons and not extraction.done:
        return content, _plan_text(extraction)
    held = cache_content(extraction.cache)
    if extraction.done:
        content["contents"] = held
        return content, "\n\n".join(
            [cache_text(held), *extraction.notes, _stage_text(extraction), _next_text(extraction, held)]
        )
    seconds = sum(extraction.report.seconds.values())
    done = f"Nothing to do: {extraction.cache} is complete and its inputs are unchanged ({seconds:.1f} s)."
    return content, f"{done}\n{_next_text(extraction, held)}"


def _next_text(extraction: Extraction, content: Mapping[str, Any]) -> str:
    """Return how to train, or how to look at a cache without a task to train on."""
    tasks = content["tasks"]
    if not tasks:
        return next_text("omnifuse", "cache", "info", "--cache", extraction.cache)
    first = min(tasks, key=lambda name: by_preference(tasks[name]["kind"], tasks[name]["predictions"] is not None))
    named = ["--task", first] if len(tasks) > 1 else []
    method = ["--method", "boosting"] if tasks[first]["kind"] == "regression" else []  # the default one takes none
    return next_text("omnifuse", "train", "--cache", extraction.cache, *named, *method)


def _plan_text(extraction: Extraction) -> str:
    lines = ["To do because:", *(f"  {reason}" for reason in extraction.reasons), "To do:"]
    lines += [f"  {name:12}{number:>10,} to compute or encode" for name, number in extraction.pending.items()]
    lines += [
        f"  {name:12}{there:>10,} of {listed:,} files are there ({there / max(1, listed):.0%})"
        for name, (there, listed) in extraction.files.items()
    ]
    lines += extraction.notes
    assert extraction.estimated is not None
    size, free = extraction.estimated.bytes / GIBIBYTE, extraction.free_bytes / GIBIBYTE
    lines += [
        f"About {size:.2f} GiB on disk ({free:.0f} GiB free).",
        f"About {duration(extraction.estimated.seconds)} on this machine, as busy as it is now.",
        "Dry run: nothing was written.",
    ]
    return "\n".join(lines)


def _stage_text(extraction: Extraction) -> str:
    report = extraction.report
    lines = [f"{'stage':20}{'seconds':>10}{'peak memory so far':>22}"]
    lines += [
        f"{stage:20}{seconds:>10.1f}{report.peak_memory_mib[stage]:>18,} MiB"
        for stage, seconds in report.seconds.items()
    ]
    return "\n".join(lines)
