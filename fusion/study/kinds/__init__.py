"""The kinds of experiments that a study can be made of, by the name that a grid calls them."""

from __future__ import annotations

from .ablation import Ablation
from .base import Experiment
from .claims import Claims
from .fusion_methods import FusionMethods
from .hypotheses import Hypotheses
from .imputation import Imputation
from .laziness import Laziness
from .learning import Learning
from .learning_curve import LearningCurve
from .missing import Missing
from .published import Published
from .sites import Sites
from .trust import Trust

KINDS: dict[str, type[Experiment]] = {
    kind.kind: kind
    for kind in (
        Claims,
        Hypotheses,
        Laziness,
        FusionMethods,
        Ablation,
        Learning,
        LearningCurve,
        Missing,
        Imputation,
        Published,
        Sites,
        Trust,
    )
}

__all__ = ["KINDS", "Experiment"]
