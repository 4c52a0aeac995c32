"""Vision models of the Hugging Face hub, or of a folder that ``save_pretrained`` wrote, such as RAD-DINO."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...cache_schema import InputError, Recipe, digest_file
from ..hub import cut, download_text, fetch_from_hub, first_line, refuse_stand_in
from .encoder import WholeImageModels
from .model_input import IMAGENET, ImageInput
from .weights import cannot_load

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG, PREPROCESSING, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
FILES = (CONFIG, PREPROCESSING, WEIGHTS)
POOLER = "pooler"
LARGEST_SIDE = 2048


@dataclass(frozen=True)
class TransformersVision(WholeImageModels):
    """Any vision model of transformers, by its id on the hub or its folder: scaled as its own preprocessor does.

    An image is one vector: what the model's pooler gives, or its first token where the pooler has no weights.
    """

    library = "hf"
    package = "transformers"

    @property
    def architecture(self) -> str:
        """The kind of model, as its description calls it."""
        return f"transformers {self._described(CONFIG).get('model_type', '')}"

    def recipe(self) -> Recipe:
        """Return what decides the vectors, the description of the model included."""
        return {
            **super().recipe(),
            "name": Path(self.model).name,
            "config": digest_file(self._folder() / CONFIG),
            "output": "pooled, or the first token where the pooler has no weights",
        }

    def square(self) -> tuple[int, int]:
        """Return what the preprocessor cuts out, and to what it scales the shorter side before."""
        side, size = self.image_input().height, self._described(PREPROCESSING).get("size")
        shortest = size.get("shortest_edge") if isinstance(size, dict) else None
        return side, max(int(shortest or 0), side)

    def image_input(self) -> ImageInput:
        """Return what the preprocessor beside the weights says.

        Raises
        ------
        InputError
            If that is no square of three channels.
        """
        said = self._described(PREPROCESSING)
        crop = said.get("crop_size") if said.get("do_center_crop") else None
        height, width = _height_and_width(crop or said.get("size"), self.model)
        mean, deviation = (
            tuple(map(float, said.get(name) or default))
            for name, default in (("image_mean", IMAGENET.mean), ("image_std", IMAGENET.deviation))
        )
        if height != width or not 0 < height <= LARGEST_SIDE or not len(mean) == len(deviation) == len(IMAGENET.mean):
            raise self._refused(f"reads {height} x {width} pixels of {len(mean)} channels; expected a square of three")
        return ImageInput(height, width, mean, deviation)

    def published_file(self) -> Path:
        """Return the weights in the folder."""
        return self._folder() / WEIGHTS

    def pretrained(self, path: Path) -> "nn.Module":
        """Return the model of the folder of ``path``; raises :class:`InputError` if its weights do not fit."""
        import torch
        from transformers import AutoModel

        try:
            model, loading = AutoModel.from_pretrained(
                path.parent, local_files_only=True, use_safetensors=True, trust_remote_code=False,
                dtype=torch.float32, output_loading_info=True,
            )  # fmt: skip
        except Exception as error:  # what damaged files make the readers raise has no common class
            raise self._refused(f"cannot be loaded: {cut(error)}") from error
        absent = sorted(loading["missing_keys"])
        if without := [name for name in absent if POOLER not in name]:
            raise self._refused(f"lacks {len(without)} tensors in {path}, the first {without[0]}")
        return _vectors(model, pooled=not absent)

    def _folder(self) -> Path:
        """Return the folder with all files, fetched once; raises :class:`InputError` naming what is missing."""
        folder = Path(self.model).expanduser()
        folder = folder if folder.is_dir() else self._fetched()
        if missing := [name for name in FILES if not (folder / name).is_file()]:
            raise self._refused(f"is not complete: {folder} has no {', '.join(missing)}")
        for name in FILES:
            refuse_stand_in(folder / name)
        return folder

    def _fetched(self) -> Path:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            return Path(snapshot_download(self.model, allow_patterns=list(FILES), local_files_only=True))
        except HFValidationError as error:
            raise cannot_load(self.called, "It is no folder, and no name of the Hugging Face hub.") from error
        except LocalEntryNotFoundError:
            pass
        try:
            return fetch_from_hub(self.model, FILES)
        except OSError as error:
            reason = f"It is neither a folder nor in the local hub cache, and fetching it failed ({first_line(error)})."
            folder = self.model.rpartition("/")[2]
            command = ["hf", "download", self.model, *FILES, "--local-dir", folder]
            option = ["--image-encoder", f"{self.library}:{folder}"]
            raise cannot_load(self.called, reason, download_text(command, option)) from error

    def _described(self, name: str) -> dict[str, Any]:
        path = self._folder() / name
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path} is no JSON. Get the file again.") from error
        if not isinstance(said, dict):
            raise InputError(f"{path} describes nothing. Get the file again.")
        return said

    def _refused(self, why: str) -> InputError:
        return InputError(f"The image encoder {self.called!r} {why}.")


def _height_and_width(size: Any, model: str) -> tuple[int, int]:
    if isinstance(size, dict):
        size = [size.get(name, size.get("shortest_edge")) for name in ("height", "width")]
    sides = size if isinstance(size, list) else [size, size]
    if not all(isinstance(side, int) for side in sides) or len(sides) != len(("height", "width")):
        raise InputError(f"The preprocessor of the image encoder {model!r} does not say what size its images have.")
    return sides[0], sides[1]


def _vectors(model: "nn.Module", *, pooled: bool) -> "nn.Module":
    """Return a module that gives one vector an image ``[B, D]`` of a model of transformers."""
    from torch import nn

    class Vectors(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: "Tensor") -> "Tensor":
            output = self.model(pixel_values=pixels)
            vector = output.pooler_output if pooled and output.get("pooler_output") is not None else None
            tokens: Tensor = output.last_hidden_state  # [B, T, D]
            return tokens[:, 0] if vector is None else vector.flatten(1)

    return Vectors()
