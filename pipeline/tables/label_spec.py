"""What ``--label`` names: a task, its columns, and of what kind it is if that is said."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import get_args

from ...cache_schema import TaskKind

TIME, EVENT = "_time", "_event"
"""What the two columns of a time to an event end with: when it came, or nothing more was known, and whether it came."""


@dataclass(frozen=True)
class LabelSpec:
    """A task called ``name`` of some ``columns``; ``kind`` None: as their values are."""

    name: str
    columns: tuple[str, ...]
    kind: TaskKind | None

    @classmethod
    def parse(cls, label: str, known: Collection[str]) -> LabelSpec:
        """Return what a label means in a table with the ``known`` columns.

        ``COLUMN``, or ``NAME=COLUMN,COLUMN`` for several at once; both with ``:KIND`` behind to say what the values
        are. ``NAME`` without such a column, but with ``NAME_time`` or ``NAME_event``, is a time to an event (of both).
        """
        kinds = {kind: kind for kind in get_args(TaskKind)}
        given, _, ending = label.rpartition(":")
        kind: TaskKind | None = kinds.get(ending.strip()) if given and label not in known else None
        if kind is not None:
            label = given
        name, several, columns = label.partition("=")
        if several:
            return cls(name, tuple(column.strip() for column in columns.split(",")), kind or "multilabel")
        pair = (name + TIME, name + EVENT)
        if kind == "survival" or (kind is None and name not in known and set(pair) & set(known)):
            return cls(name, pair, "survival")
        return cls(name, (name,), kind)


def label_columns(labels: Iterable[str], known: Collection[str]) -> list[str]:
    """Return the columns of all labels in a table with the ``known`` ones."""
    return [column for label in labels for column in LabelSpec.parse(label, known).columns]


def pairs_of(columns: Collection[str]) -> list[tuple[str, tuple[str, str]]]:
    """Return the times to events that a table seems to hold: the name of each, and its two columns."""
    names = [column.removesuffix(TIME) for column in columns if column.endswith(TIME)]
    return [(name, (name + TIME, name + EVENT)) for name in names if name and name + EVENT in columns]
