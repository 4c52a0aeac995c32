"""The demo: a synthetic cohort from raw files to a report, three methods, and what is possible at best."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .cache_schema import InputError
from .fusion.library import Run, train
from .fusion.words import interval, number, plain
from .pipeline.library import extract
from .pipeline.synthetic import BestPossible, SynthSettings, best_possible, write_cohort
from .pipeline.synthetic.describe import best_possible_text

IMAGES = 400
METHODS = ("unimodal", "concat", "omnifuse")
FOLDS, VALIDATION = 3, 0.1
"""Three folds, so that it takes no more than three minutes, and a validation part for the curves of the report."""

PARTS = {"raw", "cache", "cache.items", "cache.lock", "runs", "raw.partial", "cache.partial"}
"""What the folder of a demo holds."""


@dataclass(frozen=True)
class Demo:
    """A finished demo: ``runs`` has the training of every method."""

    report: Path
    cache: Path
    runs: dict[str, Run]
    best: BestPossible

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "report": str(self.report),
            "cache": str(self.cache),
            "runs": {method: run.metrics.to_json() for method, run in self.runs.items()},
            "best_possible": asdict(self.best),
        }


def run_demo(out: Path, stays: int, seed: int, say: Callable[[str], None]) -> Demo:
    """Write raw files, extract a cache, train three models and write a report; ``say`` is told each step.

    An earlier demo in ``out`` is replaced.

    Raises
    ------
    InputError
        If ``out`` holds anything else.
    """
    raw, cache = out / "raw", out / "cache"
    settings = SynthSettings(stays=stays, seed=seed, images=IMAGES)
    if out.exists():
        _raise_if_not_a_demo(out)
        shutil.rmtree(out)
    say(f"1/5  writing a MIMIC-shaped cohort of {stays:,} stays to {raw}")
    write_cohort(raw, settings)
    say(f"2/5  extracting it to {cache} with random (untrained) encoders")
    extract("synthetic", raw, cache, text_encoder="random", image_encoder="random")
    runs = {}
    for step, method in enumerate(METHODS, 3):
        say(f"{step}/5  training {method}")
        folder = out / "runs" / method
        runs[method] = train(cache, method, "mortality", folder, seed=seed, folds=FOLDS, validation=VALIDATION)
    return Demo(runs["omnifuse"].report(), cache, runs, best_possible(raw))


def _raise_if_not_a_demo(out: Path) -> None:
    if foreign := sorted(path.name for path in out.iterdir() if path.name not in PARTS):
        raise InputError(f"{out} holds {foreign[0]}, which is no part of a demo. Name another folder with --out.")


def _row(name: str, area: float | None, bounds: Sequence[float] | None) -> str:
    return plain(f"{name:24}{number(area):>7}   {interval(bounds, missing='[no interval]')}")


def demo_text(demo: Demo) -> str:
    """Return the table at the end of the demo."""
    everything = demo.best.references[-1]
    lines = [
        f"{'in-hospital mortality':24}{'AUROC':>7}   95 % interval",
        *(_row(method, run.metrics.auroc.mean, run.metrics.auroc.ci) for method, run in demo.runs.items()),
        _row("best possible", everything.auroc_cohort, everything.interval),
        "",
        f"{demo.best.samples:,} stays with {demo.best.deaths:,} deaths rank nothing: the intervals are wider than the",
        "differences between methods. The demo shows that everything runs, not which method is better.",
        "",
        best_possible_text(demo.best),
        "",
        f"Report:  {demo.report}",
        f"Metrics: {demo.runs['omnifuse'].files.metrics}",
    ]
    return "\n".join(lines)
