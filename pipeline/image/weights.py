"""Files of image weights: where they lie, fetching them, and loading them so that every tensor has its place."""

import os
import pickle
import re
import shutil
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from ...cache_schema import InputError, MissingInputError, digest_file
from ..hub import cut, download_text
from .model_input import CHOICES, RESNET34

if TYPE_CHECKING:
    import torch
    from torch import nn

SUFFIXES = (".safetensors", ".pth", ".pt")
TIMEOUT_SECONDS = 5.0

NAMED_DIGEST = re.compile(r"-([0-9a-f]{8,})\.\w+$")
"""PyTorch's published files end with the first digits of their sha256."""


def local_file(weights: str) -> Path:
    """Return a file of weights, given as such or as the only one in a folder.

    Raises
    ------
    MissingInputError
        If there is no such file; the message names the other choices.
    InputError
        If a folder holds no weights, or more than one file of them.
    """
    path = Path(weights).expanduser()
    if path.is_dir():
        return _only_file(path)
    if path.is_file() and path.suffix in SUFFIXES:
        return path
    raise cannot_load(weights, f"It is no folder and no file that ends in {', '.join(SUFFIXES)}.")


def _only_file(folder: Path) -> Path:
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(f"{folder} must hold one file of image weights ({', '.join(SUFFIXES)}); it holds {names}.")
    return found[0]


def fetched_by_torch(url: str, encoder: str) -> Path:
    """Return a file from where PyTorch keeps those that it downloads, fetching it once."""
    caches = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    home = Path(os.environ.get("TORCH_HOME", caches / "torch")).expanduser()
    path = home / "hub" / "checkpoints" / url.rpartition("/")[2]
    if not path.exists():
        _fetch(url, path, encoder)
    return path


def _fetch(url: str, path: Path, encoder: str) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urlopen(url, timeout=TIMEOUT_SECONDS) as response, partial.open("wb") as file:  # noqa: S310
            shutil.copyfileobj(response, file)
    except OSError as error:
        option = path.name if encoder == RESNET34 else f"{encoder}={path.name}"
        download = download_text(["curl", "-L", "-O", url], ["--image-encoder", option])
        raise cannot_load(
            encoder, f"{path} does not exist, and {url} could not be fetched ({error}).", download
        ) from error
    named = NAMED_DIGEST.search(path.name)
    if named and not digest_file(partial).startswith(named[1]):
        partial.unlink()
        raise cannot_load(encoder, f"What {url} gave is not the expected file; fetch it again.")
    partial.replace(path)


def read_weights(path: Path) -> "dict[str, torch.Tensor]":
    """Return the tensors of a file by name; raises :class:`InputError` for a file that holds anything else."""
    import torch
    from safetensors.torch import load_file

    refusal = f"{path} cannot be read as weights; give a state dict."
    try:
        read = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(f"{refusal} Files that hold more than tensors can run code and are not read.") from error
    except Exception as error:  # what a damaged file makes the readers raise has no common class
        raise InputError(f"{refusal} {cut(error)}") from error
    if not isinstance(read, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in read.values()):
        raise InputError(f"{refusal} It holds more than tensors by name.")
    return dict(read)


def load_exactly(model: "nn.Module", path: Path, without: tuple[str, ...], what: str) -> "nn.Module":
    """Load the tensors of a file, but for those whose names begin with one of ``without``, into a model.

    Raises
    ------
    InputError
        If the file is damaged or does not hold the tensors of ``what``.
    """
    tensors = {name: tensor for name, tensor in read_weights(path).items() if not name.startswith(without)}
    try:
        absent, unknown = model.load_state_dict(tensors, strict=False)
    except Exception as error:  # as above
        raise InputError(f"{path} does not fit {what}: {cut(error)}") from error
    absent = [name for name in absent if not name.endswith("num_batches_tracked")]
    if absent or unknown:
        raise InputError(
            f"{path} does not hold the weights of {what}: {len(absent)} tensors are absent (first: "
            f"{min(absent, default='none')}), {len(unknown)} are unknown (first: {min(unknown, default='none')})."
        )
    return model


def cannot_load(encoder: str, reason: str, more: str = "") -> MissingInputError:
    """Return the error that says why there are no weights, and what else there is."""
    return MissingInputError(f"The image encoder {encoder!r} cannot be loaded. {reason} {CHOICES}{more}")


def unknown_model(encoder: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that a library does not know, with names that are near."""
    near = ", ".join(get_close_matches(encoder.partition(":")[2], list(known), n=5, cutoff=0))
    return InputError(f"There is no image model {encoder!r}; names that are near: {near}. {CHOICES}")
