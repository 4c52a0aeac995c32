"""JSON objects as frozen dataclasses: read strictly, by the types of the fields, and written as they were read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ...cache_schema import InputError, shown

T = TypeVar("T")

OPEN = {"open": True}
"""Metadata of a field, a mapping, that takes every entry which is no other field; at most one of a class has it."""

WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def read(kind: type[T], content: Any, where: str) -> T:
    """Return a JSON object as a dataclass; ``where`` it stands is the beginning of messages.

    A field with a default may be absent.

    Raises
    ------
    InputError
        If an entry is missing, unknown or of another type; the message names it.
    """
    found: T = _object(kind, content, where)
    return found


def write(value: Any) -> Any:
    """Return a value as JSON; fields that have their default are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        written: dict[str, Any] = {}
        for part in fields(value):
            entry = getattr(value, part.name)
            if part.metadata.get("open"):
                written |= write(entry)
            elif _default(part) is MISSING or entry != _default(part):
                written[part.name] = write(entry)
        return written
    if isinstance(value, Mapping):
        return {name: write(entry) for name, entry in value.items()}
    return [write(entry) for entry in value] if isinstance(value, tuple | list) else value


@cache
def _types(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _default(part: Field[Any]) -> Any:
    return part.default if part.default_factory is MISSING else part.default_factory()


def _object(kind: Any, content: Any, where: str) -> Any:
    if not isinstance(content, Mapping):
        raise InputError(f"{where} = {shown(content)}; expected an object.")
    named = {part.name: part for part in fields(kind) if not part.metadata.get("open")}
    rest = {str(name): value for name, value in content.items() if name not in named}
    types, values = _types(kind), {}
    absent = [name for name, part in named.items() if name not in content and _default(part) is MISSING]
    if absent:
        raise InputError(f"{where} lacks {', '.join(absent)}.")
    for part in fields(kind):
        if part.metadata.get("open"):
            _, expected = get_args(types[part.name])
            values[part.name] = {name: _value(expected, value, f"{where}: {name}") for name, value in rest.items()}
            rest = {}
        elif part.name in content:
            values[part.name] = _value(types[part.name], content[part.name], f"{where}: {part.name}")
    if rest:
        raise InputError(f"{where} has an unknown entry {shown(min(rest))}.")
    return kind(**values)


def _value(expected: Any, value: Any, where: str) -> Any:
    """Return a JSON value as the expected type, or raise `InputError`."""
    origin, parts = get_origin(expected), get_args(expected)
    if expected is Any:
        return value
    if origin in (Union, UnionType):
        return _one_of(parts, value, where)
    if is_dataclass(expected):
        return _object(expected, value, where)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise InputError(f"{where} = {shown(value)}; expected an object.")
        return {name: _value(parts[1], entry, f"{where}: {name}") for name, entry in value.items()}
    if origin is tuple:
        return _items(parts, value, where)
    fits = isinstance(value, int | float if expected is float else expected)
    if not fits or isinstance(value, bool) != (expected is bool) or (isinstance(value, float) and not isfinite(value)):
        raise InputError(f"{where} = {shown(value)}; expected {WORDS[expected]}.")
    return value


def _one_of(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    """Return a value as one of some types: null, a list as the tuple among them, anything else as the other."""
    if value is None and NoneType in choices:
        return None
    some = [choice for choice in choices if choice is not NoneType]
    lists = [choice for choice in some if get_origin(choice) is tuple]
    return _value((lists if isinstance(value, list | tuple) and lists else some)[0], value, where)


def _items(parts: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    """Return a list as a tuple: of any length where ``...`` stands second, else one item for each type."""
    if not isinstance(value, list | tuple):
        raise InputError(f"{where} = {shown(value)}; expected a list.")
    kinds = [parts[0]] * len(value) if parts[-1] is ... else parts
    if len(value) != len(kinds):
        raise InputError(f"{where} = {shown(value)}; expected a list of {len(kinds)}.")
    return tuple(
        _value(kind, item, f"{where}, item {place}")
        for place, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )
