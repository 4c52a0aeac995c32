"""Classification models of torchvision, without their last layer."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .encoder import ImageModels
from .model_input import IMAGENET, RESNET34, ImageInput
from .weights import fetched_by_torch, load_exactly, unknown_model

if TYPE_CHECKING:
    from torch import nn

RESNET34_URL = "https://download.pytorch.org/models/resnet34-b627a593.pth"
"""torchvision's weights, known without asking torchvision, so that a recipe needs no PyTorch."""

RESCALING = ("googlenet", "inception_v3")
"""Models that were trained with another scaling than ImageNet's, to which they are told to change their input."""


class Torchvision(ImageModels):
    """Classification models of torchvision."""

    library = package = "torchvision"
    colour = False
    """They read radiographs here, as the default does."""

    @property
    def architecture(self) -> str:
        """The name in recipes: torchvision's own."""
        return self.name

    def image_input(self) -> ImageInput:
        """Return what torchvision's own weights expect."""
        if self.name == RESNET34:
            return IMAGENET
        transform = _published(self.name).transforms()
        (side,) = transform.crop_size
        return ImageInput(side, side, tuple(transform.mean), tuple(transform.std))

    def published_file(self) -> Path:
        """Return torchvision's default weights from where torchvision itself looks for them."""
        url = RESNET34_URL if self.name == RESNET34 else _published(self.name).url
        return fetched_by_torch(url, RESNET34 if self.name == RESNET34 else f"torchvision:{self.name}")

    def untrained(self) -> "nn.Module":
        """Return a model without its last layer."""
        return _without_last_layer(self.name)[0]

    def pretrained(self, path: Path) -> "nn.Module":
        """Return a model without its last layer, with the weights of a state dict of the whole model."""
        model, last = _without_last_layer(self.name)
        return load_exactly(model, path, (f"{last}.",), f"torchvision's {self.name}")


class ResNet34(Torchvision):
    """torchvision's ResNet34 as ``resnet34``, with other weights as their file or folder, or ``random``."""

    default = RESNET34

    @property
    def name(self) -> str:
        """Whatever the weights are."""
        return RESNET34

    @property
    def weights(self) -> str:
        """What the command line names, but for the published ones."""
        return "" if self.model == RESNET34 else self.model

    @property
    def called(self) -> str:
        """What the command line calls it."""
        return self.model


def _published(name: str) -> Any:
    from torchvision import models

    _check(name)
    return models.get_model_weights(name).DEFAULT


def _check(name: str) -> None:
    from torchvision import models

    if name not in (known := models.list_models(module=models)):
        raise unknown_model(f"torchvision:{name}", known)


def _without_last_layer(name: str) -> "tuple[nn.Module, str]":
    """Return a model whose classifier gives what it gets, and the name that its layer had."""
    from torch import nn
    from torchvision import models

    _check(name)
    options = {"transform_input": True, "init_weights": False} if name in RESCALING else {}
    model: nn.Module = models.get_model(name, weights=None, **options)
    *_, last = (layer for layer, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d))
    above, _, own = last.rpartition(".")
    setattr(model.get_submodule(above), own, nn.Identity())
    return model, last
