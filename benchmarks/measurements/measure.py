"""How anything is measured: in a process of its own, in turns, by the clock, in CPU seconds and in peak memory."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Self, TypeVar

BENCHMARKS = Path(__file__).parents[1]

WITHOUT_GPU = {"CUDA_VISIBLE_DEVICES": ""}

ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
"""Threads that wait do so without turning, so that those who take turns do not disturb each other."""

Block = TypeVar("Block")

Versions = Mapping[str, Callable[[Block], "Measured"]]
"""What takes a block, by name."""


@dataclass(frozen=True)
class Measured:
    """What something took: seconds by the clock, CPU seconds of all its processes, peak memory of the largest."""

    seconds: float
    cpu_seconds: float
    peak_mib: int
    value: Any = None
    """What it gave, as JSON values."""


class Spread(NamedTuple):
    """The median of some values, with the least and the greatest."""

    median: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    """Return median, least and greatest of at least one value."""
    return Spread(median(values), min(values), max(values))


def ratios(plain: Iterable[Measured], ours: Iterable[Measured], unit: str = "seconds") -> list[float]:
    """Return for each block how many times less ours took, in ``seconds`` or ``cpu_seconds``."""
    return [getattr(theirs, unit) / getattr(own, unit) for theirs, own in zip(plain, ours, strict=True)]


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return k of seconds ~ size^k by least squares of the logarithms: 1 is proportional growth."""
    x, y = ([math.log(value) for value in values] for values in (sizes, seconds))
    middle = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - middle[0]) * (b - middle[1]) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - middle[0]) ** 2 for a in x)


def without_start(measured: Sequence[Measured], start: Sequence[Measured]) -> list[Measured]:
    """Return measurements less the least that next to no work takes."""
    seconds, cpu = (min(getattr(one, unit) for one in start) for unit in ("seconds", "cpu_seconds"))
    return [Measured(one.seconds - seconds, one.cpu_seconds - cpu, one.peak_mib, one.value) for one in measured]


def summary(measured: Sequence[Measured], start: Sequence[Measured] = ()) -> dict[str, Any]:
    """Return what the page says of one version: lists of seconds, the peak, and how long it takes to start."""
    return {
        "seconds": [round(one.seconds, 3) for one in measured],
        "cpu_seconds": [round(one.cpu_seconds, 3) for one in measured],
        "peak_mib": max(one.peak_mib for one in measured),
        **({"start_seconds": round(min(one.seconds for one in start), 2)} if start else {}),
    }


def in_turns(blocks: Iterable[Block], versions: Versions[Block]) -> dict[str, list[Measured]]:
    """Give each block to every version, one version after the other: a machine that slows down slows all of them."""
    taken: dict[str, list[Measured]] = {name: [] for name in versions}
    for block in blocks:
        for name, version in versions.items():
            taken[name].append(version(block))
    return taken


class Child:
    """A process that makes an object or calls a function of this package, and then calls methods of the object.

    ``target`` is ``module:name``. ``start`` says what the making took, imports included, and ``start.value`` what a
    function returned. Processes without a GPU see none.
    """

    def __init__(self, target: str, *, gpu: bool = False, **arguments: Any) -> None:
        environment = os.environ | ENVIRONMENT | ({} if gpu else WITHOUT_GPU)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "measurements.child", target],
            cwd=BENCHMARKS, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._name = target
        begin = time.perf_counter()
        answer = self.ask("", **arguments)
        self.start = Measured(time.perf_counter() - begin, answer.cpu_seconds, answer.peak_mib, answer.value)

    def ask(self, method: str, **arguments: Any) -> Measured:
        """Call a method; the process itself measures what that takes."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([method, arguments]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self._name} {method} failed; what it said stands above.")
        return Measured(**json.loads(answer))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def call(target: str, *, gpu: bool = False, **arguments: Any) -> Measured:
    """Call a function in a process of its own."""
    with Child(target, gpu=gpu, **arguments) as child:
        return child.start


def omnifuse(*arguments: str | Path) -> Measured:
    """Run a command of OmniFuse as its user does; raises SystemExit if it fails. Processes without a GPU see none."""
    command = [Path(sys.executable).with_name("omnifuse"), *arguments]
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, env=os.environ | ENVIRONMENT | WITHOUT_GPU, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        raise SystemExit(f"`{' '.join(map(str, command))}` failed")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)


def extracted(cache: Path, *arguments: str | Path) -> Measured:
    """Run ``omnifuse extract``; the value is the seconds of each of its stages."""
    taken = omnifuse("extract", "--cache", cache, *arguments)
    stages = json.loads((cache / "extraction.json").read_text(encoding="utf-8"))["seconds"]
    return Measured(**{**asdict(taken), "value": stages})


def remove_cache(cache: Path) -> None:
    """Delete a cache with the parts that it was laid out from, if it is there."""
    for folder in (cache, items_of(cache)):
        shutil.rmtree(folder, ignore_errors=True)


def items_of(cache: Path) -> Path:
    """Return the folder of the parts of a cache."""
    return cache.with_name(cache.name + ".items")
