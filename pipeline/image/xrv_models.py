"""Models of torchxrayvision, trained on chest X-rays, without their classifier."""

import warnings
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from .encoder import ImageModels
from .model_input import ImageInput
from .weights import cannot_load, load_exactly, unknown_model

if TYPE_CHECKING:
    from torch import nn

FAMILY = "densenet121-res224-"
LARGEST = 1024
"""Grey levels lie between plus and minus this."""


class TorchXRayVision(ImageModels):
    """Models of torchxrayvision."""

    library = "xrv"
    package = "torchxrayvision"
    colour = False

    def image_input(self) -> ImageInput:
        """Return the scaling of all these models."""
        _check(self.name)
        return ImageInput(224, 224, (0.5,), (0.5 / LARGEST,))

    def published_file(self) -> Path:
        """Refuse, and say how to convert: what is published are pickles of whole models."""
        _check(self.name)
        raise cannot_load(
            f"xrv:{self.name}",
            "Its published weights are a pickle, which can run code, and are not read. Convert them once, where you "
            'trust them: python -c "import torch, torchxrayvision as xrv; torch.save(xrv.models.DenseNet(weights='
            f"'{self.name}').state_dict(), '{self.name}.pth')\"; then give "
            f"--image-encoder xrv:{self.name}={self.name}.pth.",
        )

    def untrained(self) -> "nn.Module":
        """Return the model up to and with average pooling (1024 values)."""
        from torch import nn

        _check(self.name)
        features = _models().DenseNet().features
        end = {"relu": nn.ReLU(), "pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
        return nn.Sequential(OrderedDict(features=features, **end))

    def pretrained(self, path: Path) -> "nn.Module":
        """Return the model with the weights of a state dict of the whole model."""
        return load_exactly(self.untrained(), path, ("classifier.", "op_threshs"), f"torchxrayvision's {self.name}")


def _check(name: str) -> None:
    known = [model for model in _models().model_urls if model.startswith(FAMILY)]
    if name not in known:
        raise unknown_model(f"xrv:{name}", known)


def _models() -> ModuleType:
    with warnings.catch_warnings():  # importing it switches all warnings of the process off
        warnings.simplefilter("ignore")
        import torchxrayvision

    models: ModuleType = torchxrayvision.models
    return models
