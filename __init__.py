"""OmniFuse: clinical records encoded once, fused many times.

``extract`` makes a cache, ``FeatureCache`` reads it; ``train`` and ``study`` leave runs, ``load_run`` opens one;
``FusionClassifier`` needs no files. docs/library.md shows all of them.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cache_schema import FeatureCache, InputError, OmniFuseError
    from .cache_schema.torch_dataset import collate
    from .fusion.estimators import FusionClassifier, FusionRegressor
    from .fusion.library import Run, Study, load_run, register_method, study, train
    from .fusion.external.evaluation import Evaluation
    from .pipeline.core.stages import Extraction
    from .pipeline.library import extract

_HOMES = {
    "Evaluation": "fusion.external.evaluation",
    "Extraction": "pipeline.core.stages",
    "FeatureCache": "cache_schema",
    "FusionClassifier": "fusion.estimators",
    "FusionRegressor": "fusion.estimators",
    "InputError": "cache_schema",
    "OmniFuseError": "cache_schema",
    "Run": "fusion.library",
    "Study": "fusion.library",
    "collate": "cache_schema.torch_dataset",
    "extract": "pipeline.library",
    "load_run": "fusion.library",
    "register_method": "fusion.library",
    "study": "fusion.library",
    "train": "fusion.library",
}

__all__ = [
    "Evaluation",
    "Extraction",
    "FeatureCache",
    "FusionClassifier",
    "FusionRegressor",
    "InputError",
    "OmniFuseError",
    "Run",
    "Study",
    "collate",
    "extract",
    "load_run",
    "register_method",
    "study",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
