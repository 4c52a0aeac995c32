"""The suites that hold what OmniFuse brings, for those who bring something of their own.

Each takes one thing from a package of yours and raises `AssertionError` in words where it breaks the contract.
"""

from importlib import import_module
from pkgutil import extend_path
from typing import Any

__path__ = extend_path(__path__, __name__)
# anndata brings modules in a namespace `testing`, which this folder would hide where the checkout is on sys.path.

_HOMES = {"check_dataset": "dataset", "check_encoder": "encoder", "check_method": "method"}
"""The module of every suite; they import much, and a test wants one of them."""

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
