"""All fusion methods by name."""

from __future__ import annotations

from importlib import import_module

from ...cache_schema import InputError
from .base import Method

PLACES = {
    "unimodal": (".unimodal", "Unimodal"),
    "concat": (".concat", "Concat"),
    "hybrid": (".hybrid", "Hybrid"),
    "boosting": (".boosting", "Boosting"),
    "stacking": (".stacking", "Stacking"),
    "dwfuse": (".dwfuse", "DWFuse"),
    "omnifuse": ("..omnifuse", "OmniFuse"),
}
"""Module and class of every method; modules are imported when first asked for."""


def names() -> tuple[str, ...]:
    """Return the names of all methods."""
    return tuple(PLACES)


def get(name: str) -> type[Method]:
    """Return a method's class; an unknown name raises `InputError` that lists the known ones."""
    if name not in PLACES:
        raise InputError(f"Unknown method {name!r}; known are: {', '.join(PLACES)}.")
    module, attribute = PLACES[name]
    method: type[Method] = getattr(import_module(module, __name__), attribute)
    return method
