"""A cohort that `omnifuse synth` wrote, in the shape of MIMIC."""

from .mimic import Options, open

__all__ = ["Options", "open", "title"]

title = "a MIMIC-shaped cohort written by `omnifuse synth`"
