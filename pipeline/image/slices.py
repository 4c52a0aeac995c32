"""CT and PET series, DICOM folders or NIfTI files, as grey slices."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from ..source import UnreadableItem, unreadable
from .decode import SIZE, Pixels
from .dicom import read_dataset, read_rescaled
from .nifti import read_volume
from .series import LEAST_SLICES, is_nifti, read_series
from .suv import scan_start, suv_factor

WINDOW_LEVEL, WINDOW_WIDTH = -600.0, 1500.0
"""Hounsfield units: the usual lung window."""

MOST_SUV = 10.0
IMPOSSIBLE_SUV = 1000.0

SLICES = f"along z towards the head, whole slices padded to a square, {SIZE} x {SIZE} in place of a crop"
CT_RECIPE: dict[str, Any] = {
    "version": 2,
    "slices": SLICES,
    "grey": f"Hounsfield units, level {WINDOW_LEVEL:g}, width {WINDOW_WIDTH:g}",
}
PET_RECIPE: dict[str, Any] = {
    "version": 2,
    "slices": SLICES,
    "grey": f"standardised uptake value by body weight, 0 to {MOST_SUV:g}",
}

Values = Iterable[npt.NDArray[np.float64]]


def read_ct(path: Path) -> Pixels:
    """Return the slices of a CT series as grey levels ``[S, 224, 224]`` in the lung window.

    Raises
    ------
    UnreadableItem
        If folder or file holds no series that can be used, see :func:`read_series`.
    """
    with unreadable("damaged series"):
        return _grey(ct_values(path), WINDOW_LEVEL - WINDOW_WIDTH / 2, WINDOW_LEVEL + WINDOW_WIDTH / 2)


def read_pet(path: Path) -> Pixels:
    """Return the slices of a PET series as grey levels ``[S, 224, 224]``, SUV 0 black and 10 white; raises likewise."""
    with unreadable("damaged series"):
        return _grey(pet_values(path), 0.0, MOST_SUV)


def ct_values(path: Path) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the slices of a CT series in Hounsfield units ``[rows, columns]``; a NIfTI file has them already."""
    if not is_nifti(path):
        yield from map(read_rescaled, read_series(path).files)
        return
    least = 0.0
    for values in read_volume(path):
        least = min(least, float(values.min()))
        yield values
    if least >= 0:
        raise UnreadableItem("no value below 0, so these are no Hounsfield units")


def pet_values(path: Path) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the slices of a PET series as SUV ``[rows, columns]``; a NIfTI file, which has no dose, must be in SUV."""
    if not is_nifti(path):
        series = read_series(path)
        factor = suv_factor(read_dataset(series.files[0], stop_before_pixels=True), scan_start(series.headers))
        yield from (read_rescaled(file) * factor for file in series.files)
        return
    for values in read_volume(path):
        if values.max() > IMPOSSIBLE_SUV:
            raise UnreadableItem(f"values above {IMPOSSIBLE_SUV:g}, which cannot be SUV: convert it first")
        yield values


def _grey(slices: Values, low: float, high: float) -> Pixels:
    """Return the slices between ``low`` (black) and ``high`` (white), each whole, in the middle of a black square."""
    shares = (np.clip((values - low) / (high - low), 0, 1) for values in slices)
    images = (Image.fromarray(np.rint(share * 255).astype(np.uint8)) for share in shares)
    grey = [np.asarray(ImageOps.pad(image, (SIZE, SIZE), Image.Resampling.BILINEAR)) for image in images]
    if len(grey) < LEAST_SLICES:
        raise UnreadableItem(f"a series of {len(grey)}, where at least {LEAST_SLICES} slices are expected")
    return np.stack(grey)
