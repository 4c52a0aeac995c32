"""Where the weights of the image encoder lie: a local file or folder, or torchvision's download folder."""

import os
import shutil
from pathlib import Path
from urllib.request import urlopen

from ...cache_schema import InputError, MissingInputError, digest_file

RESNET34 = "resnet34"
RESNET34_URL = "https://download.pytorch.org/models/resnet34-b627a593.pth"
"""torchvision's IMAGENET1K_V1; the file name ends with the first digits of its sha256."""

SUFFIXES = (".safetensors", ".pth", ".pt")
TIMEOUT_SECONDS = 5.0


def weights_file(encoder: str) -> Path:
    """Return the file with the weights of an encoder, fetching torchvision's once.

    Raises
    ------
    MissingInputError
        If there is no such file and it cannot be fetched; the message names the other choices.
    InputError
        If a folder holds no weights, or more than one file of them.
    """
    if encoder == RESNET34:
        return _torchvision_file()
    path = Path(encoder).expanduser()
    if path.is_dir():
        return _only_file(path)
    if path.is_file() and path.suffix in SUFFIXES:
        return path
    raise _not_found(encoder, f"It is no folder and no file that ends in {', '.join(SUFFIXES)}.")


def _only_file(folder: Path) -> Path:
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(f"{folder} must hold one file of image weights ({', '.join(SUFFIXES)}); it holds {names}.")
    return found[0]


def _torchvision_file() -> Path:
    """Return torchvision's weights from where torchvision itself looks for them."""
    caches = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    home = Path(os.environ.get("TORCH_HOME", caches / "torch")).expanduser()
    path = home / "hub" / "checkpoints" / RESNET34_URL.rpartition("/")[2]
    if not path.exists():
        _fetch(RESNET34_URL, path)
    return path


def _fetch(url: str, path: Path) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urlopen(url, timeout=TIMEOUT_SECONDS) as response, partial.open("wb") as file:  # noqa: S310
            shutil.copyfileobj(response, file)
    except OSError as error:
        reason = f"{path} does not exist, and {url} could not be fetched ({error})."
        raise _not_found(RESNET34, reason) from error
    if not digest_file(partial).startswith(path.stem.rpartition("-")[2]):
        partial.unlink()
        raise _not_found(RESNET34, f"What {url} gave is not the expected file; fetch it again.")
    partial.replace(path)


def _not_found(encoder: str, reason: str) -> MissingInputError:
    return MissingInputError(
        f"The image encoder {encoder!r} cannot be loaded. {reason} Give a file or folder with the weights of a "
        "ResNet34 with `--image-encoder PATH`, or `--image-encoder random` to try things out without them."
    )
