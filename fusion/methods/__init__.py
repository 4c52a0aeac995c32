"""All fusion methods by name: ours are the classes of this folder, others come from installed packages."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from ...registry import Registry
from .found import found

if TYPE_CHECKING:
    from .base import Method

DEFAULT = "omnifuse"


def flaw(method: Any) -> str | None:
    """Return what a class from elsewhere lacks of what every method has, None if nothing."""
    from ..parts.targets import KINDS
    from .base import Method  # here, so that names are known without torch

    if not (isinstance(method, type) and issubclass(method, Method)):
        return f"it is no subclass of {Method.__module__}.Method"
    for attribute in ("name", "family", "source"):
        if not isinstance(getattr(method, attribute, None), str):
            return f"it does not set {attribute!r} to a text"
    for function in ("loss", "predict", *(() if method.by_gradient else ("fit",))):
        if getattr(method, function) is getattr(Method, function):
            return f"it does not define {function!r}"
    if not method.kinds or set(method.kinds) - set(KINDS):
        return f"its kinds are {', '.join(map(str, method.kinds)) or '(none)'}; known are {', '.join(KINDS)}"
    if "default" not in method.presets:
        return "it has no preset 'default'"
    return _flaw_of_options(method.Options)


def _flaw_of_options(options: Any) -> str | None:
    if not (is_dataclass(options) and getattr(options, "__dataclass_params__").frozen):  # noqa: B009  (typed nowhere)
        return "its Options are no frozen dataclass"
    without = [part.name for part in fields(options) if part.default is MISSING and part.default_factory is MISSING]
    return f"its option {without[0]!r} has no default" if without else None


METHODS: Registry[type[Method]] = Registry(
    "omnifuse.methods", "method", {method.name: method.place for method in found()}, flaw
)


def named_by(preset: str) -> str:
    """Return the method that a preset names by itself: of ours the one whose own it is, else the default."""
    return next((method.name for method in found() if method.own_preset == preset), DEFAULT)


def refuse_unserved(method: type[Method], kind: str) -> None:
    """Raise `InputError`, naming the methods that serve a kind of task, if a method does not."""
    if kind in method.kinds:
        return
    from ...cache_schema import InputError

    serving = sorted(name for name in METHODS.own if kind in METHODS.get(name).kinds)
    raise InputError(
        f"Method {method.name!r} predicts {', '.join(method.kinds)} targets and no {kind}; methods that do are "
        f"{', '.join(serving)}."
    )
