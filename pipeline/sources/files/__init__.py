"""A user's own table of texts, images, numbers and events."""

from .data_set import FilesDataSet

__all__ = ["FilesDataSet"]
