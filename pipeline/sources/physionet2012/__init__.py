"""PhysioNet/CinC Challenge 2012."""

from .data_set import Physionet2012DataSet

__all__ = ["Physionet2012DataSet"]
