"""YAML that people write by hand: plain values alone, and never more than a person would write."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import yaml

from .cache_schema import InputError, shown

MOST_BYTES = 1_000_000
MOST_VALUES = 50_000
DEEPEST = 20
"""Lists and mappings inside each other."""
LONGEST_NUMBER = 20
"""Characters of a number."""

PARSER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")}


def load_yaml(path: Path) -> Any:
    """Return what a YAML file holds: texts, numbers, true, false and null, in lists and mappings.

    Dates and times stay the texts that they are.

    Raises
    ------
    InputError
        If it is no YAML, or has anything else: references, tags, a key twice or one that is no plain value; or more
        than a person would write.
    """
    if path.stat().st_size > MOST_BYTES:
        raise InputError(
            f"{path} has {path.stat().st_size:,} bytes, more than {MOST_BYTES:,}: no file for this purpose."
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
        _check_size(text)
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - makes plain values alone
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InputError(f"{path} is no YAML: {where}{str(error.problem)[:200]}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no YAML: {' '.join(str(error).split())[:200]}") from error


def is_number(value: object) -> bool:
    """Return whether this is a finite number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_size(text: str) -> None:
    """Look through a text before any value of it is made: references let a few lines stand for more than any memory."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=PARSER)):
        if isinstance(event, yaml.AliasEvent):
            _refuse(f"a reference, *{str(event.anchor)[:80]}; write the value out", event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            _refuse(f"more than {DEEPEST} lists and mappings inside each other", event)
        if number > MOST_VALUES:
            _refuse(f"more than {MOST_VALUES:,} values", event)


def _refuse(problem: str, place: Any) -> None:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


class _PlainLoader(PARSER):  # type: ignore[misc]
    """A loader of plain values; what else `SafeLoader` knows is a text, or refused where a tag asks for it."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in known if tag in PLAIN]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors: ClassVar = {tag: make for tag, make in yaml.SafeLoader.yaml_constructors.items() if tag in PLAIN}

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if node.tag not in PLAIN:
            _refuse(f"a tag, {node.tag[:80]}; write plain values", node)
        if node.tag.endswith((":int", ":float")) and len(node.value) > LONGEST_NUMBER:
            _refuse(f"a number of more than {LONGEST_NUMBER} characters; write a text in quotes", node)
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, KeyError, AttributeError):  # a tag before what is no such value
            return _refuse(f"{shown(node.value)} is not what its tag says", node)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode):
                _refuse("a list or mapping as a key", key)
            if key.value in seen:
                _refuse(f"the key {shown(key.value)} twice", key)
            seen.add(key.value)
        made = super().construct_mapping(node, deep=deep)
        if len(made) < len(seen):  # 1, 01 and 1.0 are one key
            _refuse(f"one key in several writings, among {shown(sorted(seen))}", node)
        return made
