"""One way to find a thing by its name: what OmniFuse brings, then what installed packages offer as entry points.

A package adds to a registry with an entry point in its own ``pyproject.toml``, and with nothing else::

    [project.entry-points."omnifuse.methods"]
    my-method = "my_package.my_method:MyMethod"

Nothing is imported until it is asked for. A name that is taken keeps its owner: OmniFuse first, then the package whose
name comes first. Names become names of folders: they are of letters, digits, ``.``, ``-`` and ``_``. ``--help`` lists
names, so that this module imports what an error needs only when there is one.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from .cache_schema import InputError

LOG = logging.getLogger(__name__)

T = TypeVar("T")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_WORDS = "a name is a letter or digit, then letters, digits, '.', '-' and '_', 64 at most"


@dataclass(frozen=True)
class Package:
    """An installed package that brought a thing; without a version its ``version`` is empty."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()

    @property
    def mend(self) -> str:
        """The command that installs it."""
        return f"pip install '{self.name}=={self.version}'" if self.version else f"pip install {self.name}"


class Registry(Generic[T]):
    """Things of one kind by name.

    ``group`` is that of the entry points, ``what`` the word for one thing, ``own`` maps the names of ours to
    ``module:attribute``, or to ``module`` where that itself is the thing, modules being relative to ``omnifuse``.
    ``flaw`` returns what a thing from elsewhere lacks of its contract, and None if it lacks nothing. ``taken``
    are more names that are ours, of other things.
    """

    def __init__(
        self,
        group: str,
        what: str,
        own: Mapping[str, str],
        flaw: Callable[[T], str | None] = lambda _: None,
        taken: frozenset[str] = frozenset(),
    ) -> None:
        self.group = group
        self.what = what
        self.own = own
        self._flaw = flaw
        self._taken = taken
        self._given: dict[str, T] = {}

    @cached_property
    def offered(self) -> dict[str, EntryPoint]:
        """The entry points of other packages; of one whose name cannot be used it is said once that it is left out."""
        found: dict[str, EntryPoint] = {}
        say = LOG.warning if parent_process() is None else LOG.debug  # a worker's parent has said it
        for entry in sorted(entry_points(group=self.group), key=lambda entry: (str(_package(entry)), entry.name)):
            if self._is_ours(entry.name) or entry.name in found:
                owner = "OmniFuse" if self._is_ours(entry.name) else _package(found[entry.name])
                say("%s offers the %s %r, which is that of %s. It is left out.", *self._of(entry), owner)
            elif not NAME.fullmatch(entry.name):
                say("%s offers the %s %r, but %s. It is left out.", *self._of(entry), NAME_WORDS)
            else:
                found[entry.name] = entry
        return found

    def names(self) -> tuple[str, ...]:
        """Return all names: ours, those of other packages, those registered in this process."""
        return tuple(dict.fromkeys((*self.own, *self.offered, *self._given)))

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self.offered or name in self._given

    def place(self, name: str) -> tuple[str, str]:
        """Return module and attribute of a thing that is ours or of a package; raises KeyError for any other."""
        if name in self.own:
            module, _, attribute = self.own[name].partition(":")
            return f"{__package__}.{module}", attribute
        entry = self.offered[name]
        return entry.module, entry.attr

    def package(self, name: str) -> Package | None:
        """Return the package that brought a thing, None if it is ours or was registered in this process."""
        return None if name in self.own or name not in self.offered else _package(self.offered[name])

    def absence(self, name: str, package: Package | None) -> str | None:
        """Return why a thing that was used once, of a package, cannot be used now; None if it can."""
        if name not in self:
            whose = f"the {self.what} {name!r}"
            if package is None:
                return f"{whose}, which is not known here: register it first."
            return f"{whose} of the package {package}, which is not installed: {package.mend}."
        try:
            self.get(name)
        except ValueError as error:  # an InputError
            return f"the {self.what} {name!r}. {error}"
        return None

    def get(self, name: str) -> T:
        """Return what has a name.

        Raises
        ------
        InputError
            If nothing has it (the message has the nearest known name), or the package that offers it fails to import or
            breaks the contract.
        """
        if name in self._given:
            return self._given[name]
        if name in self.own:
            module, attribute = self.place(name)
            found = import_module(module)
            return cast("T", getattr(found, attribute) if attribute else found)
        if name not in self.offered:
            from .cache_schema import unknown  # here as below, so that names alone are known at once

            raise unknown(self.what, name, self.names())
        entry = self.offered[name]
        try:
            with redirect_stdout(sys.stderr):  # where JSON is promised nothing else may stand
                thing: T = entry.load()
        except (Exception, SystemExit) as error:
            raise self._refused(entry, f"it fails to import: {_said(error)}") from error
        if flaw := self._flaw_of(thing):
            raise self._refused(entry, flaw)
        return thing

    @contextmanager
    def blamed(self, name: str) -> Iterator[None]:
        """Make whatever the code of another package raises an :class:`InputError` that names it; ours goes through.

        So do errors of the system, such as a full disk.
        """
        try:
            yield
        except (OSError, MemoryError):
            raise
        except Exception as error:
            from .cache_schema import InputError, OmniFuseError

            if isinstance(error, OmniFuseError) or (package := self.package(name)) is None:
                raise
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise InputError(
                f"The {self.what} {name!r} of the package {package} failed: {_said(error)} "
                f"({Path(last.filename).name}, line {last.lineno})."
            ) from error

    def register(self, name: str, thing: T) -> None:
        """Add a thing for this process; raises :class:`InputError` if its name is taken or it breaks the contract."""
        from .cache_schema import InputError, shown

        if not NAME.fullmatch(name):
            raise InputError(f"The {self.what} {shown(name)} cannot be used: {NAME_WORDS}.")
        if self._is_ours(name) or name in self.offered:
            raise InputError(f"The name {shown(name)} is taken already; give the {self.what} another.")
        if flaw := self._flaw_of(thing):
            raise InputError(f"The {self.what} {shown(name)} cannot be used: {flaw}.")
        self._given[name] = thing

    def forget(self, name: str) -> None:
        """Take back what was registered in this process; raises KeyError if nothing was under this name."""
        del self._given[name]

    def _is_ours(self, name: str) -> bool:
        return name in self.own or name in self._taken

    def _flaw_of(self, thing: T) -> str | None:
        try:
            return self._flaw(thing)
        except Exception as error:  # whatever the attributes of somebody's object may do
            return f"looking at it fails: {_said(error)}"

    def _of(self, entry: EntryPoint) -> tuple[str, str, str]:
        return str(_package(entry)), self.what, entry.name

    def _refused(self, entry: EntryPoint, reason: str) -> InputError:
        from .cache_schema import InputError

        package, what, name = self._of(entry)
        return InputError(f"The {what} {name!r} of the package {package} cannot be used: {reason}.")


def _package(entry: EntryPoint) -> Package:
    """Return the package of an entry point that was found in an installed one."""
    assert entry.dist is not None
    told = entry.dist.metadata.json
    return Package(str(told.get("name", entry.value.partition(":")[0])), str(told.get("version", "")))


def _said(error: BaseException) -> str:
    """Return an error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
