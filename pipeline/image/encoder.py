"""A frozen ResNet34 that gives one vector per image, and the recipe that says what decides these vectors."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import digest_file
from .decode import DICOM_GREY, SHORT_SIDE, SIZE
from .weights import weights_file

RANDOM = "random"
SEED = 0
DIM = 512
BATCH_IMAGES = 32
TOLERANCE = 0.01
"""Bound of a vector's error against float32, relative to its length; in bfloat16 the worst of 8 was off by 0.004."""

VERSION = 1
"""Raised by hand when images get other vectors, beyond the tolerance, from the same files."""

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Mean and standard deviation of the channels of ImageNet, which torchvision's weights expect."""


def image_recipe(encoder: str) -> dict[str, Any]:
    """Return what decides the vectors of an image encoder, as JSON values, without importing PyTorch.

    See :func:`omnifuse.pipeline.text.encoder.text_recipe` for why it has no versions of packages.

    Raises
    ------
    InputError
        If the weights can be neither found nor fetched.
    """
    recipe = {
        "version": VERSION,
        "architecture": "resnet34",
        "image": f"grey, shorter side {SHORT_SIDE}, central {SIZE} x {SIZE}, three equal channels, ImageNet scaling",
        "dicom": DICOM_GREY,
        "output": "after average pooling",
        "dtype": "float16",
        "precision": "bfloat16 where the processor multiplies it, else float32",
        "tolerance": TOLERANCE,
    }
    if encoder == RANDOM:
        return {**recipe, "name": RANDOM, "seed": SEED}
    path = weights_file(encoder)
    return {**recipe, "name": path.stem, "weights": digest_file(path)}


def weights_digest(encoder: str) -> str:
    """Return the sha256 of an encoder's weights: of its file, or of the values that the seed gives.

    For ``random`` it builds the model; the answer depends on the versions of NumPy, PyTorch and torchvision alone.
    """
    if encoder != RANDOM:
        return digest_file(weights_file(encoder))
    from ..frozen import digest_weights
    from .model import random_resnet

    return digest_weights(random_resnet(SEED))


class ImageEncoder:
    """A frozen ResNet34 on the GPU where there is one, else on the CPU.

    Parameters
    ----------
    encoder : str
        ``resnet34`` for torchvision's weights, ``random``, or a file (or a folder with one file) of weights.

    Attributes
    ----------
    dim : int
        Length of an image's vector: 512.
    precision : str
        ``bfloat16`` or ``float32``: what this machine computes in.

    Raises
    ------
    InputError
        If the weights cannot be loaded; the message names the other choices. Nothing is replaced silently.
    """

    dim = DIM

    def __init__(self, encoder: str) -> None:
        import torch

        from ..frozen import default_device, fast_precision
        from .model import pretrained_resnet, random_resnet

        model = random_resnet(SEED) if encoder == RANDOM else pretrained_resnet(weights_file(encoder))
        self._device = default_device()
        self._dtype = fast_precision(self._device)
        model = model.eval().requires_grad_(False).to(self._device, self._dtype)
        self._model = model.to(memory_format=torch.channels_last)
        self.precision = str(self._dtype).removeprefix("torch.")

    def encode(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        """Return the vectors ``[n, 512]`` of grey images ``[n, 224, 224]``.

        Raises
        ------
        ValueError
            If the encoder gives values that are not finite.
        """
        batches = [self._forward(images[start : start + BATCH_IMAGES]) for start in range(0, len(images), BATCH_IMAGES)]
        return np.concatenate(batches) if batches else np.empty((0, DIM), np.float16)

    def _forward(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        import torch

        from ..frozen import to_float16

        with torch.inference_mode():
            grey = torch.tensor(images, device=self._device)[:, None] / 255  # [B, 1, 224, 224]
            mean, deviation = (torch.tensor(values, device=self._device).view(3, 1, 1) for values in (MEAN, DEVIATION))
            channels = ((grey - mean) / deviation).to(self._dtype)  # [B, 3, 224, 224]
            return to_float16(self._model(channels.contiguous(memory_format=torch.channels_last)))
