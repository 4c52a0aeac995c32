"""OmniFuse: clinical records encoded once, fused many times.

``FeatureCache`` reads a cache; ``load_run`` loads a trained run; ``collate`` batches samples for PyTorch.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "FeatureCache": "cache_schema",
    "collate": "cache_schema.torch_dataset",
    "load_run": "fusion.runs.run",
}

__all__ = ["FeatureCache", "collate", "load_run"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
