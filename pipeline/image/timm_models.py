"""Models of timm, pooled and without their classifier."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...cache_schema import InputError
from ..hub import cut, download_text, fetch_from_hub, first_line
from .encoder import ImageModels
from .model_input import ImageInput
from .weights import cannot_load, read_weights, unknown_model

if TYPE_CHECKING:
    from torch import nn

HUB_FILE = "model.safetensors"


class Timm(ImageModels):
    """Models of timm."""

    library = package = "timm"
    colour = True
    """Said without asking timm, because whoever reads images asks for each."""

    def image_input(self) -> ImageInput:
        """Return what the model's own data configuration says."""
        config = _config(self.name)
        _, height, width = config.input_size
        return ImageInput(height, width, tuple(config.mean), tuple(config.std))

    def published_file(self) -> Path:
        """Return the weights on the Hugging Face hub, from its local cache if they are there."""
        from huggingface_hub import try_to_load_from_cache

        config, encoder = _config(self.name), f"timm:{self.name}"
        if not config.hf_hub_id or config.custom_load:
            raise cannot_load(encoder, "timm names no weights on the Hugging Face hub that can be read as they are.")
        file = config.hf_hub_filename or HUB_FILE
        cached = try_to_load_from_cache(config.hf_hub_id, file)
        if isinstance(cached, str):
            return Path(cached)
        try:
            return fetch_from_hub(config.hf_hub_id, [file]) / file
        except OSError as error:
            reason = f"{config.hf_hub_id} is not in the local hub cache, and fetching it failed ({first_line(error)})."
            command = ["hf", "download", config.hf_hub_id, file, "--local-dir", self.name]
            option = ["--image-encoder", f"{encoder}={self.name}/{file}"]
            raise cannot_load(encoder, reason, download_text(command, option)) from error

    def untrained(self) -> "nn.Module":
        """Return a model without its classifier."""
        import timm

        _config(self.name)
        model: nn.Module = timm.create_model(self.name, num_classes=0)
        return model

    def pretrained(self, path: Path) -> "nn.Module":
        """Return a model with the weights of a state dict, with a classifier of any number of classes or without one.

        timm renames tensors of older files. It skips tensors that are absent if the number of classes differs; so the
        model is built with the file's own classifier, which is taken off afterwards.
        """
        import timm

        tensors, classifier = read_weights(path), _config(self.name).classifier
        first = classifier if isinstance(classifier, str) or classifier is None else classifier[0]
        classes = len(tensors[weight]) if (weight := f"{first}.weight") in tensors else 0
        overlay = {"state_dict": tensors, "num_classes": classes, "label_offset": 0, "custom_load": False}
        try:
            model = timm.create_model(self.name, pretrained=True, num_classes=classes, pretrained_cfg_overlay=overlay)
        except Exception as error:  # what weights of another model make timm raise has no common class
            raise InputError(f"{path} does not hold the weights of timm's {self.name}: {cut(error)}") from error
        model.reset_classifier(0)
        headless: nn.Module = model
        return headless


def _config(name: str) -> Any:
    from timm.models import get_pretrained_cfg, is_model, list_pretrained

    known = is_model(name)
    try:
        config = get_pretrained_cfg(name) if known else None
    except RuntimeError:  # no such weights of a model that there is
        config = None
    if config is None:
        raise unknown_model(f"timm:{name}", list_pretrained())
    return config
