"""Is everything here that an extraction and a training need? Each check that does not hold names its mend."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from ..cache_schema import OmniFuseError
from .encoders import Encoders
from .image.encoder import image_recipe
from .sources import DATASETS, SourceOptions, open_dataset, raw_folder
from .text.encoder import text_recipe

PACKAGES = ("numpy", "polars", "safetensors", "scikit-learn", "torch", "torchvision", "transformers", "zarr")
LEAST_FREE_BYTES = 2 << 30


@dataclass(frozen=True)
class Check:
    """One thing looked at: ``ok``, worth a ``note``, or a ``problem``; ``mend`` where the finding does not say it."""

    name: str
    state: Literal["ok", "note", "problem"]
    finding: str
    mend: str = ""


def examine(encoders: Encoders) -> list[Check]:
    """Check Python, packages, device, room on disk, encoder weights and data folders."""
    return [
        Check("python", "ok", sys.version.split()[0]),
        *map(_package, PACKAGES),
        _device(),
        _disk(),
        *(_weights("text", text_recipe, *named) for named in encoders.of("text").items()),
        *(_weights("image", image_recipe, *named) for named in encoders.of("image").items()),
        *map(_data, DATASETS),
    ]


def checks_text(checks: Sequence[Check]) -> str:
    """Return one line for each check, ending with the mend where there is one."""
    return "\n".join(
        f"{check.state:8}{check.name}: {check.finding}{' -> ' + check.mend if check.mend else ''}" for check in checks
    )


def _package(name: str) -> Check:
    try:
        return Check(name, "ok", version(name))
    except PackageNotFoundError:
        return Check(name, "problem", "not installed", f"python -m pip install {name}")


def _device() -> Check:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check("device", "problem", f"torch cannot be imported ({error})", "install torch again: pytorch.org")
    if torch.cuda.is_available():
        return Check("device", "ok", torch.cuda.get_device_name(0))
    return Check("device", "ok", f"CPU, {os.cpu_count()} cores")


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    finding = f"{free / 2**30:.0f} GiB free here"
    if free < LEAST_FREE_BYTES:
        return Check("disk", "problem", finding, "make room, or name another place with --cache")
    return Check("disk", "ok", finding)


def _weights(content: str, recipe: Callable[[str], object], name: str, encoder: str) -> Check:
    title = f"{content} encoder {name + '=' if name else ''}{encoder}"
    try:
        recipe(encoder)
    except OmniFuseError as error:
        return Check(title, "problem", str(error))
    return Check(title, "ok", "can be loaded")


def _data(dataset: str) -> Check:
    try:
        folder = raw_folder(dataset, None)
        tables = open_dataset(dataset, folder, SourceOptions()).inputs()
    except OmniFuseError as error:
        return Check(f"data {dataset}", "note", str(error))
    return Check(f"data {dataset}", "ok", f"{folder}, {len(tables)} tables")
