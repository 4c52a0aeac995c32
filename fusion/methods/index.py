"""All methods by family with a line for each, read from their files: importing those, and torch, takes seconds."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec, resolve_name
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from . import PLACES

COLUMNS = 80
NAME_COLUMNS = 16


class Entry(NamedTuple):
    """A method's name, its family, and the first line of its module."""

    name: str
    family: str
    title: str


def index() -> list[Entry]:
    """Return an entry for every method, those of a family together, families in the order of their first method."""
    entries = []
    for name, (module, method) in PLACES.items():
        source = resolve_name(module, __package__)
        entries.append(
            Entry(name, _family(source, method), (ast.get_docstring(_tree(source)) or "").partition("\n")[0])
        )
    families = list(dict.fromkeys(entry.family for entry in entries))
    return sorted(entries, key=lambda entry: families.index(entry.family))


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


def _family(module: str, name: str) -> str:
    """Return the family that a class of a module sets, or that its first base does, as Python looks it up."""
    tree = _tree(module)
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    for node in found.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "family":
            return str(ast.literal_eval(node.value))
    base = ast.unparse(found.bases[0])
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and base in (alias.name for alias in node.names):
            imported = "." * node.level + (node.module or "")
            return _family(resolve_name(imported, module.rpartition(".")[0]), base)
    return _family(module, base)


@cache
def _tree(module: str) -> ast.Module:
    found = find_spec(module)
    assert found is not None and found.origin is not None
    return ast.parse(Path(found.origin).read_text(encoding="utf-8"))
