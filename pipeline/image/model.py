"""ResNet34 without its classifier, pretrained or with seeded weights."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torchvision.models import resnet34

from ...cache_schema import InputError
from ..frozen import seed_weights


def pretrained_resnet(path: Path) -> nn.Module:
    """Return the model with the weights of a file, up to and with average pooling (512 values).

    Raises
    ------
    InputError
        If the file is damaged or does not hold the tensors of torchvision's ResNet34.
    """
    model = _without_classifier()
    tensors = {name: tensor for name, tensor in _read(path).items() if not name.startswith("fc.")}
    try:
        absent, unknown = model.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise InputError(f"{path} does not fit torchvision's ResNet34: {error}") from error
    absent = [name for name in absent if not name.endswith("num_batches_tracked")]
    if absent or unknown:
        raise InputError(
            f"{path} does not hold the weights of torchvision's ResNet34: {len(absent)} tensors are absent (first: "
            f"{min(absent, default='none')}), {len(unknown)} are unknown (first: {min(unknown, default='none')})."
        )
    return model


def random_resnet(seed: int) -> nn.Module:
    """Return the model with seeded weights."""
    model = _without_classifier()
    seed_weights(model, seed)
    return model


def _without_classifier() -> nn.Module:
    model: nn.Module = resnet34(weights=None)
    model.fc = nn.Identity()
    return model


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (OSError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        raise InputError(f"{path} cannot be read as weights; give a state dict. {error}") from error
    return tensors
