"""CT and PET series, Chinese text and the pathology of the lung."""

from .data_set import LungDataSet

__all__ = ["LungDataSet"]
