"""How far long work is: a bar on a terminal; elsewhere, in a log, a plain line every half minute. On standard error.

And what comes next when it is done.
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Generic, Self, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

LINE_SECONDS = 30.0
QUIET = "OMNIFUSE_QUIET"
"""Set in the environment of processes whose parent shows how far they all are."""


Told = Callable[[str, int, int | None], object]
"""Is told, again and again, the name of the work, how much of it is done, and of how much if that is known."""

_TOLD: ContextVar[bool | Told] = ContextVar("told", default=True)


@contextmanager
def telling(whom: bool | Told) -> Iterator[None]:
    """Show in the body how far work is, or do not, or tell somebody instead; worker processes then show nothing."""
    before = _TOLD.set(whom)
    try:
        with nullcontext() if whom is True else quiet_workers():
            yield
    finally:
        _TOLD.reset(before)


@contextmanager
def quiet_workers() -> Iterator[None]:
    """Let processes that are started in the body show nothing of their own."""
    before = os.environ.get(QUIET)
    os.environ[QUIET] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[QUIET]


def progress(
    items: Iterable[Any] | None = None,
    name: str = "",
    *,
    total: int | None = None,
    unit: str = "items",
    line: int = 0,
    leave: bool = True,
) -> Any:
    """Return what counts work: iterated over it yields the ``items``, else ``update(number)`` counts some done.

    A context manager, which ends it. ``line`` of the terminal has the bar, which stays if it is to ``leave`` it.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    told = _TOLD.get()
    if not isinstance(told, bool):
        return Telling(items, name, total, unit, told)
    if os.environ.get(QUIET) or not sys.stderr.isatty():
        return Lines(items, name, total, unit)
    return tqdm(items, name, total, leave, unit=f" {unit}", unit_scale=unit == "rows", position=line)


class Lines(Generic[Item]):
    """Counts as tqdm does, and writes a line whenever half a minute has passed, also if nothing was done in it."""

    def __init__(self, items: Iterable[Item] | None, name: str, total: int | None, unit: str) -> None:
        self.items, self.name, self.total, self.unit = items, name, total, unit
        self.n = 0
        self.ended = threading.Event()

    def update(self, number: int = 1) -> None:
        """Count some more."""
        self.n += number

    def __iter__(self) -> Iterator[Item]:
        with self:
            for item in self.items or ():
                yield item
                self.n += 1

    def __enter__(self) -> Self:
        if not os.environ.get(QUIET):
            threading.Thread(target=self._write, args=(time.monotonic(),), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.ended.set()

    def _write(self, started: float) -> None:
        while not self.ended.wait(LINE_SECONDS):
            seconds = time.monotonic() - started
            sys.stderr.write(line_text(self.name, self.n, self.total, self.unit, seconds) + "\n")


class Telling(Lines[Item]):
    """Counts, and tells somebody after every step."""

    def __init__(self, items: Iterable[Item] | None, name: str, total: int | None, unit: str, told: Told) -> None:
        super().__init__(items, name, total, unit)
        self.told = told

    def update(self, number: int = 1) -> None:
        """Count some more, and tell."""
        super().update(number)
        self.told(self.name, self.n, self.total)

    def __iter__(self) -> Iterator[Item]:
        for item in self.items or ():
            yield item
            self.update()

    def __enter__(self) -> Self:
        return self


def line_text(name: str, done: int, total: int | None, unit: str, seconds: float) -> str:
    """Return how many of a total are done after some seconds, at which rate, and how long the others take at it."""
    counted = f"{name}: {done:,}{'' if total is None else f' of {total:,}'} {unit} in {duration(seconds)}"
    if not done:
        return counted
    rate = done / seconds
    left = "" if total is None else f", about {duration((total - done) / rate)} left"
    return f"{counted}, {f'{rate:,.1f} a second' if rate >= 1 else f'{60 * rate:.1f} a minute'}{left}"


def duration(seconds: float) -> str:
    """Return a time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def next_text(*command: object) -> str:
    """Return the line that names the command to give next, as a shell takes it."""
    return f"Next: {shlex.join(map(str, command))}"
