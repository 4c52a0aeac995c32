"""Settings as nested frozen dataclasses, from ``key=value`` and from JSON or YAML values; knows no method."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..cache_schema import InputError, shown, unknown

Settings = TypeVar("Settings")


def leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of every single setting."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def as_text(value: Any) -> str:
    """Return a value as :func:`parse` reads it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value).replace("None", "none")


def as_overrides(settings: Mapping[str, Any]) -> list[str]:
    """Return settings by dotted name as ``key=value`` overrides."""
    return [f"{key}={as_text(tuple(v) if isinstance(v, list) else v)}" for key, v in settings.items()]


def overridden(settings: Settings, overrides: Sequence[str], fixed: Container[str] = ()) -> Settings:
    """Return settings, a nested frozen dataclass, with overrides such as ``"fit.epochs=30"``; none of those ``fixed``.

    Raises
    ------
    InputError
        For an unknown key, or a value of the wrong type; the message names what is known.
    """
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise InputError(f"{shown(override)} is no setting; write key=value, for example fit.epochs=30.")
        key = key.strip()
        settings = _set(settings, key.split("."), text.strip(), key, fixed)
    return settings


def _set(settings: Any, path: Sequence[str], text: str, key: str, fixed: Container[str]) -> Any:
    """Return a copy with one field set to the value that the text names."""
    (name, *rest), group = path, key.removesuffix(".".join(path))
    types = setting_types(type(settings))
    known = [group + one for one in types if group + one not in fixed]
    if group + name not in known:
        raise unknown("setting", key, known)
    inner = getattr(settings, name)
    if is_dataclass(inner) and not rest:
        raise InputError(f"{shown(key)} is a group; set one of: {', '.join(f'{key}.{f.name}' for f in fields(inner))}.")
    if rest and not is_dataclass(inner):
        raise InputError(f"Unknown setting {shown(key)}; {shown(name)} has no parts.")
    value = _set(inner, rest, text, key, fixed) if rest else parse(text, types[name], key)
    return replace(settings, **{name: value})


def setting_types(cls: type) -> dict[str, Any]:
    """Return the type of every setting of a dataclass; what is not compared is none."""
    types = get_type_hints(cls)
    return {part.name: types[part.name] for part in fields(cls) if part.compare}


def build(cls: type, stored: Mapping[str, Any], prefix: str) -> Any:
    """Make a dataclass, nested ones included, from JSON values; unknown keys and wrong types raise `InputError`."""
    if not isinstance(stored, Mapping):
        raise InputError(f"{prefix.removesuffix('.') or 'settings'} = {shown(stored)}; expected settings by name.")
    hints = setting_types(cls)
    if others := [str(name) for name in stored if name not in hints]:
        raise unknown("setting", prefix + min(others), [prefix + name for name in hints])
    values = {}
    for name, value in stored.items():
        if is_dataclass(hints[name]):
            values[name] = build(hints[name], value, f"{prefix}{name}.")
        else:
            values[name] = parse(value, hints[name], prefix + name)
    return cls(**values)


def parse(value: Any, expected: Any, key: str) -> Any:
    """Return ``value`` (text, or a JSON value) as the expected type, or raise `InputError`."""
    if expected is Any:
        return value
    origin, choices = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        if value in (None, "none", ""):
            return None
        return parse(value, next(choice for choice in choices if choice is not NoneType), key)
    if origin is Literal:
        if value not in choices:
            raise InputError(f"{key} = {shown(value)}; expected one of: {', '.join(map(str, choices))}.")
        return value
    if origin is tuple:
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise InputError(f"{key} = {shown(value)}; expected a list.")
        return tuple(parse(item, choices[0], key) for item in items)
    return _parse_plain(value, expected, key)


TRUTH = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def _parse_plain(value: Any, expected: type, key: str) -> Any:
    """Return a value as text, number or truth, if it can be one without a change: 2.5 is no int, a list no text."""
    if expected is bool and str(value).lower() in TRUTH:
        return TRUTH[str(value).lower()]
    if expected is not bool and isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            parsed = expected(value)
        except (ValueError, OverflowError):
            parsed = None
        same = isinstance(value, str) or expected is str or parsed == value
        if parsed is not None and same and (expected is not float or isfinite(parsed)):
            return parsed
    raise InputError(f"{key} = {shown(value)}; expected {expected.__name__}.")
