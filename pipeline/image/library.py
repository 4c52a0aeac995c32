"""The libraries that image models come from, and how ``--image-encoder`` names a model of one."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...cache_schema.packages import require
from .model_input import RESNET34, ImageInput

if TYPE_CHECKING:
    from torch import nn

PACKAGES = {"torchvision": "torchvision", "timm": "timm", "xrv": "torchxrayvision"}
"""The package of each library; the extra that installs an optional one has its name."""


class Library(Protocol):
    """Models by name, all without their classifier; each function raises :class:`InputError` for an unknown name."""

    def image_input(self, name: str) -> ImageInput:
        """Return what the model reads."""
        ...

    def published_file(self, name: str) -> Path:
        """Return the weights that the library publishes, fetched once; raises :class:`InputError` if it cannot."""
        ...

    def untrained(self, name: str) -> "nn.Module":
        """Return the model with any weights."""
        ...

    def pretrained(self, name: str, path: Path) -> "nn.Module":
        """Return the model with the weights of a file; raises :class:`InputError` if they do not fit exactly."""
        ...


@dataclass(frozen=True)
class ImageModel:
    """A model of a library, and its weights: ``random``, a file or folder, or nothing for those that are published."""

    source: str
    name: str
    weights: str

    @classmethod
    def parse(cls, encoder: str) -> "ImageModel":
        """Return what ``LIBRARY:NAME``, ``LIBRARY:NAME=WEIGHTS``, ``resnet34`` or the weights of a ResNet34 mean."""
        source, colon, model = encoder.partition(":")
        if colon and source in PACKAGES:
            name, _, weights = model.partition("=")
            return cls(source, name, weights)
        return cls("torchvision", RESNET34, "" if encoder == RESNET34 else encoder)

    @property
    def architecture(self) -> str:
        """The name in recipes."""
        return self.name if self.source == "torchvision" else f"{self.source} {self.name}"

    @property
    def library(self) -> Library:
        """What builds it; raises :class:`InputError` if the package is not installed."""
        from . import timm_models, torchvision_models, xrv_models

        require(PACKAGES[self.source], f"--image-encoder {self.source}:{self.name}")
        libraries: dict[str, Library] = {
            "torchvision": torchvision_models,
            "timm": timm_models,
            "xrv": xrv_models,
        }
        return libraries[self.source]
