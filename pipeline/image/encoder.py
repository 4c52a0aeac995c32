"""A frozen image model that gives one vector per image, and the recipe that says what decides these vectors."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import InputError, digest_file
from ..hub import refuse_stand_in
from .decode import DICOM_GREY, PICTURE_GREY, SHORT_SIDE, SIZE
from .library import ImageModel
from .model_input import RANDOM, RESNET34
from .weights import local_file

if TYPE_CHECKING:
    from torch import nn

SEED = 0
BATCH_IMAGES = 32
TOLERANCE = 0.01
"""Bound of a vector's error against float32, relative to its length; in bfloat16 the worst of 8 was off by 0.004."""

TOLERANCE_OF_OTHERS = 0.05
"""The same for other models: with random weights the worst of 17 was off by 0.039 (EfficientNet-B0)."""

VERSION = 1
"""Raised by hand when images get other vectors, beyond the tolerance, from the same files."""


def image_recipe(encoder: str) -> dict[str, Any]:
    """Return what decides the vectors of an image encoder, as JSON values; for ResNet34 without importing PyTorch.

    See :func:`omnifuse.pipeline.text.encoder.text_recipe` for why it has no versions of packages.

    Raises
    ------
    InputError
        If the model is unknown, or its weights can be neither found nor fetched.
    """
    model = ImageModel.parse(encoder)
    image = model.library.image_input(model.name).describe()
    recipe = {
        "version": VERSION,
        "architecture": model.architecture,
        "image": f"grey, shorter side {SHORT_SIDE}, central {SIZE} x {SIZE}, {image}",
        "picture": PICTURE_GREY,
        "dicom": DICOM_GREY,
        "output": "after average pooling" if model.architecture == RESNET34 else "before the classifier",
        "dtype": "float16",
        "precision": "bfloat16 where the processor multiplies it, else float32",
        "tolerance": TOLERANCE if model.architecture == RESNET34 else TOLERANCE_OF_OTHERS,
    }
    if model.weights == RANDOM:
        return {**recipe, "name": RANDOM, "seed": SEED}
    path = _weights_file(model)
    return {**recipe, "name": path.stem, "weights": digest_file(path)}


def weights_digest(encoder: str) -> str:
    """Return the sha256 of an encoder's weights: of its file, or of the values that the seed gives.

    For ``random`` it builds the model; the answer depends on the versions of NumPy, PyTorch and the model's library.
    """
    model = ImageModel.parse(encoder)
    if model.weights != RANDOM:
        return digest_file(_weights_file(model))
    from ..frozen import digest_weights

    return digest_weights(_load(model))


def _weights_file(model: ImageModel) -> Path:
    path = local_file(model.weights) if model.weights else model.library.published_file(model.name)
    refuse_stand_in(path)
    return path


def _load(model: ImageModel) -> "nn.Module":
    from ..frozen import check_weights, seed_weights

    if model.weights != RANDOM:
        path = _weights_file(model)
        pretrained = model.library.pretrained(model.name, path)
        check_weights(pretrained, path)
        return pretrained
    seeded = model.library.untrained(model.name)
    seed_weights(seeded, SEED)
    return seeded


class ImageEncoder:
    """A frozen image model on the GPU where there is one, else on the CPU.

    Parameters
    ----------
    encoder : str
        ``resnet34`` for torchvision's weights, ``random``, or a file (or a folder with one file) of weights of a
        ResNet34; or a model of a library as ``LIBRARY:NAME``, ``LIBRARY:NAME=FILE`` or ``LIBRARY:NAME=random``, the
        library being ``torchvision``, ``timm`` or ``xrv`` (torchxrayvision).

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

    def __init__(self, encoder: str) -> None:
        import torch

        from ..frozen import default_device, fast_precision

        model = ImageModel.parse(encoder)
        self._encoder = encoder
        self._input = model.library.image_input(model.name)
        self._device = default_device()
        self._dtype = fast_precision(self._device)
        module = _load(model).eval().requires_grad_(False).to(self._device, self._dtype)
        self._model = module.to(memory_format=torch.channels_last)
        self.precision = str(self._dtype).removeprefix("torch.")
        self.dim: int = self._forward(np.zeros((1, SIZE, SIZE), np.uint8)).shape[1]

    def encode(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        """Return the vectors ``[n, dim]`` of grey images ``[n, 224, 224]``.

        Raises
        ------
        InputError
            If the encoder gives values that are not finite.
        """
        batches = [self._forward(images[start : start + BATCH_IMAGES]) for start in range(0, len(images), BATCH_IMAGES)]
        return np.concatenate(batches) if batches else np.empty((0, self.dim), np.float16)

    def _forward(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        import torch

        from ..frozen import to_float16

        wanted = self._input
        with torch.inference_mode():
            grey = torch.tensor(images, device=self._device)[:, None] / 255  # [B, 1, 224, 224]
            if (wanted.height, wanted.width) != (SIZE, SIZE):
                size = (wanted.height, wanted.width)
                grey = torch.nn.functional.interpolate(grey, size, mode="bilinear", antialias=True)  # [B, 1, H, W]
            mean, deviation = (
                torch.tensor(values, device=self._device).view(-1, 1, 1) for values in (wanted.mean, wanted.deviation)
            )
            channels = ((grey - mean) / deviation).to(self._dtype)  # [B, C, H, W]
            vectors = self._model(channels.contiguous(memory_format=torch.channels_last))
        if getattr(vectors, "ndim", 0) != 2:
            raise InputError(f"The image encoder {self._encoder!r} does not give one vector for an image.")
        return to_float16(vectors, self._encoder)
