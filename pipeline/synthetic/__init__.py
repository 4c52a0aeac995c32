"""A synthetic cohort in MIMIC's raw layout with a planted law, and the best that anybody can do on it."""

from .best_possible import BestPossible, best_possible
from .cohort import SynthSettings
from .law import Law
from .write import write_cohort

__all__ = ["BestPossible", "Law", "SynthSettings", "best_possible", "write_cohort"]
