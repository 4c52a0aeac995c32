"""The reports of runs and studies: HTML files that a stranger can read without a network."""

from .external import write_external
from .page import write_report
from .patients import write_patients
from .study import write_study

__all__ = ["write_external", "write_patients", "write_report", "write_study"]
