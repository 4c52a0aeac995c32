"""All methods by family with a line for each."""

from __future__ import annotations

import logging
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from . import METHODS
from .found import found, rank

LOG = logging.getLogger(__name__)

COLUMNS = 80
NAME_COLUMNS = 16


class Entry(NamedTuple):
    """A method's name, its family, and the first line of its module."""

    name: str
    family: str
    title: str


def index() -> list[Entry]:
    """Return an entry for every method, those of a family together; of one that cannot be used it is said why."""
    entries = [*(Entry(method.name, method.family, method.title) for method in found()), *_others()]
    return sorted(entries, key=lambda entry: rank(entry.family, entry.name))


def _others() -> Iterator[Entry]:
    """Yield the methods that are not ours, which are imported for it."""
    if names := [name for name in METHODS.names() if name not in METHODS.own]:
        from ...cache_schema import InputError  # here, so that ours are listed at once
    for name in names:
        try:
            method = METHODS.get(name)
        except InputError as error:
            LOG.warning("%s", error)
        else:
            title = (sys.modules[method.__module__].__doc__ or "").partition("\n")[0]
            yield Entry(name, method.family, title)


def index_text(entries: Sequence[Entry]) -> str:
    """Return the methods under their families, and how to learn more of one."""
    indent = "  ".ljust(NAME_COLUMNS + 2)
    lines = []
    for family, members in groupby(entries, attrgetter("family")):
        lines += [family]
        for entry in members:
            start = f"  {entry.name:{NAME_COLUMNS}}"
            lines += textwrap.wrap(entry.title, COLUMNS, initial_indent=start, subsequent_indent=indent)
    return "\n".join([*lines, "", "Options, presets, needs and source of one: omnifuse methods NAME"])
