"""Methods with the conventions of scikit-learn, for samples in memory."""

from .classifier import FusionClassifier
from .regressor import FusionRegressor

__all__ = ["FusionClassifier", "FusionRegressor"]
