"""Our methods as their files tell of them: importing those, and torch, takes seconds.

A method is a class that sets ``name``, in any module of this folder or of a folder in it.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent

FAMILIES = (
    "reference",
    "single modality",
    "early fusion",
    "trees",
    "joint head",
    "balanced learning",
    "weighted heads",
    "imputation and weighted heads",
    "late fusion",
    "semi-supervised",
    "pre-training",
    "statistical",
    "graph",
    "ensemble",
)
"""Families in the order of lists; any other comes after them."""


class Found(NamedTuple):
    """A method in a file.

    ``place`` is as in a registry, ``title`` the first line of its module, ``own_preset`` as in `Method`.
    """

    name: str
    family: str
    title: str
    place: str
    own_preset: str | None


@cache
def found() -> tuple[Found, ...]:
    """Return our methods, those of a family by the alphabet, and families in their order."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FOLDER.rglob("*.py")}
    classes = {node.name: node for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef)}
    methods = []
    for path, tree in trees.items():
        title = (ast.get_docstring(tree) or "").partition("\n")[0]
        module = ".".join(("fusion", "methods", *path.relative_to(FOLDER).with_suffix("").parts))
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and "name" in (told := _set_in(node)):
                place = f"{module}:{node.name}"
                methods.append(Found(told["name"], _family(node, classes), title, place, told.get("own_preset")))
    return tuple(sorted(methods, key=lambda method: rank(method.family, method.name)))


def rank(family: str, name: str) -> tuple[int, str, str]:
    """Return what lists of methods are sorted by."""
    return (FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)), family, name


def _family(method: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> str:
    """Return the family that a class sets, or that its first base does."""
    return _set_in(method).get("family") or _family(classes[ast.unparse(method.bases[0])], classes)


def _set_in(node: ast.ClassDef) -> dict[str, str]:
    """Return the attributes that a class sets to a text."""
    return {
        ast.unparse(line.targets[0]): line.value.value
        for line in node.body
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
    }
