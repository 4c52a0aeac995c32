"""ICU event tables -> one row per time bin, 76 columns of 17 variables."""

from .rules import CLEAN_RULES, Profile
from .settings import EhrSettings
from .tensors import EhrTensors, extract_tensors
from .variables import RESOURCES, Variable, columns, variables

__all__ = [
    "CLEAN_RULES",
    "RESOURCES",
    "EhrSettings",
    "EhrTensors",
    "Profile",
    "Variable",
    "columns",
    "extract_tensors",
    "variables",
]
