"""A MEDS folder of events with a table of labels."""

from .data_set import WINDOW_HOURS, MedsDataSet

__all__ = ["WINDOW_HOURS", "MedsDataSet"]
