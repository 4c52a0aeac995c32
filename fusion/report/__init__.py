"""The report of a run: one HTML file that a stranger can read without a network."""

from .page import write_report

__all__ = ["write_report"]
