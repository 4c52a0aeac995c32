"""Published work to be done again: what its cohort was and how many it counted, its numbers, and where they stand."""

from .comparison import Beside, beside
from .reproduction import Expected, Published, Reproduction, read_reproduction, reproduction_names

__all__ = ["Beside", "Expected", "Published", "Reproduction", "beside", "read_reproduction", "reproduction_names"]
