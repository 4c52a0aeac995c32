"""All fusion methods by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Method

PLACES = {
    "prior": (".prior", "Prior"),
    "unimodal": (".unimodal", "Unimodal"),
    "logistic": (".logistic", "Logistic"),
    "early": (".early", "Early"),
    "boosting": (".boosting", "Boosting"),
    "concat": (".concat", "Concat"),
    "sum": (".sum", "Sum"),
    "se-gate": (".se_gate", "SEGate"),
    "gradual": (".gradual", "Gradual"),
    "marginal": (".marginal", "Marginal"),
    "hybrid": (".hybrid", "Hybrid"),
    "medfuse": (".medfuse", "MedFuse"),
    "transformer": (".transformer", "TransformerFusion"),
    "mmtm": (".mmtm", "MMTM"),
    "daft": (".daft", "DAFT"),
    "drfuse": (".drfuse", "DrFuse"),
    "trimf": (".trimf", "TriMF"),
    "ogm-ge": (".ogm_ge", "OGMGE"),
    "pmr": (".pmr", "PMR"),
    "g-blend": (".g_blend", "GBlend"),
    "dwfuse": (".omnifuse.dwfuse", "DWFuse"),
    "omnifuse": (".omnifuse.method", "OmniFuse"),
    "late": (".late", "Late"),
    "late-weighted": (".late_weighted", "LateWeighted"),
    "consistency": (".consistency", "Consistency"),
    "co-training": (".co_training", "CoTraining"),
    "contrastive": (".contrastive", "Contrastive"),
    "masked": (".masked", "Masked"),
    "cca": (".cca", "CCA"),
    "pls": (".pls", "PLS"),
    "ajive": (".ajive", "AJIVE"),
    "mogonet": (".mogonet", "Mogonet"),
    "mofa": (".mofa", "MOFA"),
    "stacking": (".stacking", "Stacking"),
}
"""Module and class of every method; modules are imported when first asked for."""


def names() -> tuple[str, ...]:
    """Return the names of all methods."""
    return tuple(PLACES)


def get(name: str) -> type[Method]:
    """Return a method's class; an unknown name raises `InputError` that lists the known ones."""
    if name not in PLACES:
        from ...cache_schema import InputError, shown  # here, so that the names alone are known at once

        raise InputError(f"Unknown method {shown(name)}; known are: {', '.join(PLACES)}.")
    module, attribute = PLACES[name]
    method: type[Method] = getattr(import_module(module, __name__), attribute)
    return method
