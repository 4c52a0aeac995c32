"""Image models in files of ONNX."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ...cache_schema import InputError, MissingInputError
from .encoder import WholeImageModels
from .model_input import IMAGENET, ImageInput

if TYPE_CHECKING:
    from torch import nn

LARGEST_SIDE = 2048
CHANNELS = {1: ImageInput(0, 0, (0.5,), (0.5,)), 3: IMAGENET}
"""Scaling by the number of channels: three as ImageNet, one from -1 to 1."""
RANK_OF_IMAGES = 4


class Onnx(WholeImageModels):
    """A file of ONNX that reads images ``[B, C, H, W]`` of 1 or 3 channels and gives one vector each."""

    library = "onnx"
    package = "onnxruntime"

    @property
    def architecture(self) -> str:
        """What is in the file."""
        return "onnx"

    def square(self) -> tuple[int, int]:
        """Return the size of what the model reads: the whole shorter side."""
        side = self.image_input().height
        return side, side

    def image_input(self) -> ImageInput:
        """Return what the file says of its input; raises :class:`InputError` if it reads no square images."""
        path = self.published_file()
        shape = _shape(path, path.stat().st_mtime_ns)
        channels, height, width = shape[1:] if len(shape) == RANK_OF_IMAGES else (None, None, None)
        if channels not in CHANNELS or height is None or height != width or height > LARGEST_SIDE:
            raise InputError(f"{path} reads {list(shape)}; expected images [batch, 1 or 3 channels, side, side].")
        scaling = CHANNELS[channels]
        return ImageInput(height, height, scaling.mean, scaling.deviation)

    def published_file(self) -> Path:
        """Return the file; raises :class:`MissingInputError` if there is none."""
        path = Path(self.model).expanduser()
        if not path.is_file():
            raise MissingInputError(f"There is no file {path}. Give one with --image-encoder onnx:FILE.onnx.")
        return path

    def pretrained(self, path: Path) -> "nn.Module":
        """Return the model of the file."""
        from ..onnx_model import OnnxVectors

        return OnnxVectors(path)


@lru_cache(maxsize=8)
def _shape(path: Path, _modified: int) -> tuple[int | None, ...]:
    """Return the shape that a file reads; it is asked for with every image."""
    from ..onnx_model import OnnxVectors

    return OnnxVectors(path).shape
