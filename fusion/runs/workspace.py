"""Where a training works: a folder of its own, found again by the same training, renamed when the run is complete."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from ...cache_schema import InputError, LockedError, folder_lock

logger = logging.getLogger(__name__)

WORK = "a training"


@dataclass(frozen=True)
class Workspace:
    """The folder ``run`` that a training will leave, and the one that it works in until then.

    That one lies beside, ``<run>.<fingerprint>.partial``: trainings that would not make the same bytes never meet.
    """

    run: Path
    fingerprint: str

    @property
    def path(self) -> Path:
        """The folder to work in."""
        return self.run.with_name(f"{self.run.name}.{self.fingerprint}.partial")

    @property
    def others(self) -> list[Path]:
        """What trainings of other settings, data or versions left of the same run when they were stopped."""
        return [path for path in _partials(self.run.parent, re.escape(self.run.name)) if path != self.path]

    def finish(self) -> None:
        """Put the complete run in its place."""
        for path in self.others:
            shutil.rmtree(path)
            logger.info("removed %s, an unfinished training of other settings", path)
        self.path.rename(self.run)


@contextmanager
def claim(wanted: Path, fingerprint: str, numbered: bool) -> Iterator[Workspace]:
    """Hold the name of a run, and the folder to work in, while the body runs.

    With ``numbered`` a name that is taken, or held by another training, gets the first free number behind it; the one
    under which the same training was stopped comes first.

    Raises
    ------
    InputError
        If there is such a run already.
    LockedError
        If another training holds the name.
    """
    with ExitStack() as held:
        run = _free(wanted, fingerprint, held) if numbered else _given(wanted, held)
        workspace = Workspace(run, fingerprint)
        for path in workspace.others:
            logger.info("%s is of other settings, data or versions; it goes when %s is complete", path, run)
        workspace.path.mkdir(parents=True, exist_ok=True)
        yield workspace


def refuse_existing(run: Path) -> None:
    """Raise `InputError` if there is such a run already."""
    if run.exists():
        raise InputError(f"{run} already exists. Name another run folder or remove it.")


def _given(run: Path, held: ExitStack) -> Path:
    held.enter_context(folder_lock(run, WORK))
    refuse_existing(run)
    return run


def _free(wanted: Path, fingerprint: str, held: ExitStack) -> Path:
    numbers = (wanted.with_name(f"{wanted.name}-{number}") for number in count(2))
    for run in chain(_stopped(wanted, fingerprint), [wanted], numbers):
        if _is_taken(run, fingerprint):
            continue
        with suppress(LockedError), ExitStack() as attempt:
            attempt.enter_context(folder_lock(run, WORK))
            if not _is_taken(run, fingerprint):  # it was free before it was held
                held.push(attempt.pop_all())
                return run
    raise AssertionError("numbers do not end")


def _is_taken(run: Path, fingerprint: str) -> bool:
    return run.exists() or bool(Workspace(run, fingerprint).others)


def _stopped(wanted: Path, fingerprint: str) -> list[Path]:
    """Return the numbered names under which the same training was stopped, in their order."""
    ending = f".{fingerprint}.partial"
    partials = _partials(wanted.parent, rf"{re.escape(wanted.name)}(?:-\d+)?")
    names = [path.name.removesuffix(ending) for path in partials if path.name.endswith(ending)]
    return [wanted.with_name(name) for name in sorted(names, key=lambda name: (len(name), name))]


def _partials(folder: Path, name: str) -> list[Path]:
    """Return the folders of trainings whose run has a name that matches a pattern."""
    wanted = re.compile(rf"{name}\.[0-9a-f]+\.partial", re.DOTALL)
    return sorted(path for path in folder.iterdir() if wanted.fullmatch(path.name)) if folder.is_dir() else []
