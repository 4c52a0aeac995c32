"""Frozen image models that give one vector per image, and the recipe that says what decides these vectors."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from ...cache_schema import InputError, Recipe, digest_file
from ...cache_schema.packages import require
from ..frozen_encoders import DECIDE_SEEDED_WEIGHTS, Encode, FrozenEncoder
from ..hub import refuse_stand_in
from .decode import DICOM_GREY, SHORT_SIDE, SIZE, Pixels, decode_image, picture_grey
from .model_input import IMAGENET, RANDOM, RESNET34, ImageInput
from .weights import local_file

if TYPE_CHECKING:
    from torch import nn

SEED = 0
BATCH_IMAGES = 32
BATCH_ON_ACCELERATOR = 128
"""A whole part: of a ResNet34 less than 1 GB in bfloat16."""

GREY, WITH_SLICES = 2, 3
"""Dimensions of what is read of a grey image, and of one of several slices."""

TOLERANCE = 0.01
"""Bound of a vector's error against float32, relative to its length; in bfloat16 the worst of 8 was off by 0.004."""

TOLERANCE_OF_OTHERS = 0.05
"""The same for other models: with random weights the worst of 17 was off by 0.039 (EfficientNet-B0)."""

VERSION = 2
"""Raised by hand when images get other vectors from the same files; 2: large JPEGs are decoded at a smaller size."""


@dataclass(frozen=True)
class ImageModels(FrozenEncoder):
    """Models of images by name, all without their classifier: a family is what builds them.

    A model is ``NAME`` with the weights that are published, ``NAME=FILE`` (or a folder with one file), or
    ``NAME=random``. The methods of a family raise :class:`InputError` for a name that it does not know.
    """

    content = "image"
    on_devices = True

    library: ClassVar[str]
    """The name of the family, before the colon."""
    package: ClassVar[str]
    """What must be installed; the extra that installs an optional one has its name."""

    @abstractmethod
    def image_input(self) -> ImageInput:
        """Return what the model reads."""

    @abstractmethod
    def published_file(self) -> Path:
        """Return the weights that are published, fetched once; raises :class:`InputError` if they cannot be."""

    @abstractmethod
    def untrained(self) -> "nn.Module":
        """Return the model with any weights."""

    @abstractmethod
    def pretrained(self, path: Path) -> "nn.Module":
        """Return the model with the weights of a file; raises :class:`InputError` if they do not fit exactly."""

    def __post_init__(self) -> None:
        require(self.package, f"--image-encoder {self.library}:{self.name}")

    @property
    def name(self) -> str:
        """The name of the model in its library."""
        return self.model.partition("=")[0]

    @property
    def weights(self) -> str:
        """``random``, a file or folder, or nothing for those that are published."""
        return self.model.partition("=")[2]

    @property
    def called(self) -> str:
        """What the command line calls it."""
        return f"{self.library}:{self.model}"

    @property
    def architecture(self) -> str:
        """The name in recipes."""
        return f"{self.library} {self.name}"

    @property
    def colour(self) -> bool:
        """Whether the colours of a picture are kept: of models with three channels, which learnt from photographs."""
        return len(self.image_input().mean) == len(IMAGENET.mean)

    def recipe(self) -> Recipe:
        """Return what decides the vectors; for ResNet34 without importing PyTorch.

        See :class:`omnifuse.pipeline.text.encoder.Transformers` for why it has no versions of packages.
        """
        image = self.image_input().describe(colour=self.colour)
        levels = "colours where it has any, else grey" if self.colour else "grey"
        side, short_side = self.square()
        recipe = {
            "version": VERSION,
            "architecture": self.architecture,
            "image": f"{levels}, shorter side {short_side}, central {side} x {side}, {image}",
            "picture": picture_grey(short_side),
            "dicom": DICOM_GREY,
            "output": "after average pooling" if self.architecture == RESNET34 else "before the classifier",
            "dtype": "float16",
            "precision": "bfloat16 where the processor multiplies it, else float32",
            "tolerance": TOLERANCE if self.architecture == RESNET34 else TOLERANCE_OF_OTHERS,
        }
        if self.weights == RANDOM:
            return {**recipe, "name": RANDOM, "seed": SEED}
        path = self._weights_file()
        return {**recipe, "name": path.stem, "weights": digest_file(path)}

    def read(self, path: Path) -> Pixels:
        """Return the :meth:`square` of an image, grey or in colours; raises as :func:`decode_image`."""
        return decode_image(path, *self.square(), colour=self.colour)

    def square(self) -> tuple[int, int]:
        """Return the side of the central square that is read, and to what the shorter side is scaled before."""
        return SIZE, SHORT_SIDE

    def load(self) -> Encode:
        """Load the model, as :class:`ImageEncoder` does."""
        return ImageEncoder(self).rows

    def seeded_by(self) -> tuple[str, ...]:
        """Return the packages that decide weights that come from the seed."""
        return tuple(dict.fromkeys((*DECIDE_SEEDED_WEIGHTS, self.package))) if self.weights == RANDOM else ()

    def weights_digest(self) -> str:
        """Return the sha256 of the weights that the seed gives: it builds the model."""
        from ..frozen_torch import digest_weights

        return digest_weights(self.module())

    def module(self) -> "nn.Module":
        """Return the model with its weights; raises :class:`InputError` if it cannot be loaded."""
        from ..frozen_torch import check_weights, seed_weights

        if self.weights != RANDOM:
            path = self._weights_file()
            pretrained = self.pretrained(path)
            check_weights(pretrained, path)
            return pretrained
        seeded = self.untrained()
        seed_weights(seeded, SEED)
        return seeded

    def _weights_file(self) -> Path:
        path = local_file(self.weights) if self.weights else self.published_file()
        refuse_stand_in(path)
        return path


class WholeImageModels(ImageModels):
    """Models that lie somewhere as a whole, weights included: a model is the name of that place."""

    @property
    def name(self) -> str:
        """The place."""
        return self.model

    @property
    def weights(self) -> str:
        """Those that lie there."""
        return ""

    def untrained(self) -> "nn.Module":
        """Refuse: such a model has the weights that it has."""
        raise InputError(f"The image encoder {self.called!r} has no random weights.")


class ImageEncoder:
    """A frozen image model on the default device; several threads may use it.

    Parameters
    ----------
    model : ImageModels
        Which one.

    Attributes
    ----------
    dim : int
        Length of an image's vector: 512 of a ResNet34.
    precision : str
        ``bfloat16`` or ``float32``: what this machine computes in.

    Raises
    ------
    InputError
        If the model cannot be loaded, or gives no vector; the message names other choices.
    """

    def __init__(self, model: ImageModels) -> None:
        import torch

        from ..batch_limit import BatchLimit
        from ..frozen_torch import default_device, fast_precision, is_accelerator

        self._called = model.called
        self._input = model.image_input()
        self._device = default_device()
        self._dtype = fast_precision(self._device)
        module = model.module().eval().requires_grad_(False).to(self._device, self._dtype)
        self._model = module.to(memory_format=torch.channels_last)
        self.precision = str(self._dtype).removeprefix("torch.")
        largest = BATCH_ON_ACCELERATOR if is_accelerator(self._device) else BATCH_IMAGES
        self._limit = BatchLimit(largest, "images", self._device)
        self.dim: int = self._forward(np.zeros((1, SIZE, SIZE), np.uint8)).shape[1]

    def rows(self, items: Iterable[Pixels]) -> Iterator[npt.NDArray[np.float16]]:
        """Yield one row of each image ``[224, 224]``, encoded together, and the rows of each ``[S, 224, 224]`` alone.

        Items with slices are taken one by one: several would not fit into memory. Images in colours
        ``[1, 3, 224, 224]`` are encoded together too.
        """
        for dimensions, images in groupby(items, lambda item: item.ndim):
            if dimensions == WITH_SLICES:
                yield from map(self.encode, images)
            else:
                together = np.stack if dimensions == GREY else np.concatenate
                yield from self.encode(together(list(images)))[:, None]

    def encode(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        """Return the vectors ``[n, dim]`` of grey images ``[n, 224, 224]``, or in colours ``[n, 3, 224, 224]``.

        Raises
        ------
        InputError
            If the encoder gives values that are not finite.
        """
        vectors = [np.empty((0, self.dim), np.float16)]
        while len(images):
            batch, images = np.split(images, [self._limit.size])
            vectors += self._limit.results(self._forward, batch, len(batch))
        return np.concatenate(vectors)

    def _forward(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        import torch

        from ..frozen_torch import to_device, to_float16

        wanted = self._input
        with torch.inference_mode():
            levels = to_device(images, self._device) / 255  # [B, 224, 224] or [B, 3, 224, 224]
            levels = levels[:, None] if levels.ndim == 3 else levels
            size = (wanted.height, wanted.width)
            if levels.shape[-2:] != size:
                levels = torch.nn.functional.interpolate(
                    levels, size, mode="bilinear", antialias=True
                )  # [B, 1|3, H, W]
            mean, deviation = (
                torch.tensor(values, device=self._device).view(-1, 1, 1) for values in (wanted.mean, wanted.deviation)
            )
            channels = ((levels - mean) / deviation).to(self._dtype)  # [B, C, H, W]
            vectors = self._model(channels.contiguous(memory_format=torch.channels_last))
        if getattr(vectors, "ndim", 0) != 2:
            raise InputError(f"The image encoder {self._called!r} does not give one vector for an image.")
        return to_float16(vectors, self._called)
