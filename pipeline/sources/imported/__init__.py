"""A user's own features, joined by sample id."""

from .data_set import ImportedDataSet, with_every_modality

__all__ = ["ImportedDataSet", "with_every_modality"]
