"""Is everything here that an extraction and a training need? Each check that does not hold names its mend."""

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..cache_schema import OmniFuseError
from .check import Check
from .core.encoders import Encoders
from .frozen_encoders import FROZEN_ENCODERS, blamed, frozen_encoder
from .raw_check import check_raw
from .sources import has_folder, open_dataset, raw_folder, usable

PACKAGES = ("numpy", "polars", "safetensors", "scikit-learn", "torch", "torchvision", "transformers", "zarr")
LEAST_FREE_BYTES = 2 << 30


def examine(encoders: Encoders, raw: Path | None = None) -> list[Check]:
    """Check Python, packages, device, room on disk, encoder weights, and one raw folder or those of every data set."""
    return [
        Check("python", "ok", sys.version.split()[0]),
        *map(_package, PACKAGES),
        _device(),
        _disk(),
        *(_weights(content, *named) for content in encoders.contents for named in encoders.of(content).items()),
        *map(_brought, FROZEN_ENCODERS.offered),
        *(_folders() if raw is None else check_raw(raw)),
    ]


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


def _weights(content: str, name: str, encoder: str) -> Check:
    title = f"{content} encoder {name + '=' if name else ''}{encoder or content}"
    try:
        chosen = frozen_encoder(content, encoder)
        with blamed(type(chosen)):
            chosen.recipe()
    except OmniFuseError as error:
        return Check(title, "problem", str(error))
    return Check(title, "ok", "can be loaded")


def _brought(name: str) -> Check:
    """Check that a family of encoders of another package can be used."""
    title, package = f"frozen encoder {name}", FROZEN_ENCODERS.package(name)
    try:
        family = FROZEN_ENCODERS.get(name)
    except OmniFuseError as error:
        return Check(title, "problem", str(error), "install another version of the package, or remove it")
    return Check(title, "ok", f"reads {family.content}; of {package}")


def _folders() -> Iterator[Check]:
    return (_data(name) for name, module in usable() if has_folder(module))


def _data(dataset: str) -> Check:
    try:
        folder = raw_folder(dataset)
        tables = open_dataset(dataset, folder).inputs()
    except OmniFuseError as error:
        return Check(f"data {dataset}", "note", str(error))
    return Check(f"data {dataset}", "ok", f"{folder}, {len(tables)} tables")
