"""MIMIC-III and MIMIC-IV with MIMIC-CXR: one sample is one ICU stay."""

from .data_set import MimicDataSet

__all__ = ["MimicDataSet"]
