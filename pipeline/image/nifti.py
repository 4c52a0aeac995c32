"""The slices of a NIfTI volume along z, as DICOM shows them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..source import UnreadableItem, unreadable
from .guard import MAX_SLICES, MAX_VOLUME_BYTES

NUMBERS = "iuf"
"""Kinds of NumPy's types that are voxels; others are colours, complex numbers or records."""

MOST_OF_GZIP = 1032
"""Times that gzip can make something smaller (deflate: 258 bytes in 2 bits)."""

LONGEST_HEADER = 540
MOST_BEFORE_VOXELS = 1 << 26

Volume = npt.NDArray[Any]


def read_volume(path: Path) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the slices of a volume from the feet to the head, each ``[rows, columns]``.

    As in axial DICOM images, rows go from front to back and columns from the right of the patient to the left,
    wherever the affine says that these are; oblique volumes are taken by their closest axes. What is no finite number
    becomes the lowest value of its slice.

    Raises
    ------
    UnreadableItem
        If the file is missing, damaged or too large, has not three dimensions, or a slice without any number.
    """
    volume, slope, intercept = _load(path)  # [left to right, back to front, feet to head]
    if volume.shape[2] > MAX_SLICES:
        raise UnreadableItem(f"a series of {volume.shape[2]} slices, where at most {MAX_SLICES} are read")
    for k in range(volume.shape[2]):
        with unreadable("damaged or truncated NIfTI file"):
            values = volume[::-1, ::-1, k].T.astype(np.float64) * slope + intercept
            finite = np.isfinite(values)
            if not finite.any():
                raise UnreadableItem("a slice without a finite number")
            values[~finite] = values[finite].min()
        yield values


def _load(path: Path) -> tuple[Volume, float, float]:
    """Return the voxels as they are stored, and slope and intercept that make values of them."""
    from nibabel.orientations import apply_orientation, io_orientation

    with unreadable("damaged or truncated NIfTI file"):
        image = _open(path)
        if image.ndim < 3 or max(image.shape[3:], default=1) > 1:
            raise UnreadableItem(f"a NIfTI file of shape {image.shape}, where one volume is expected")
        _check(path, image.shape, image.get_data_dtype())
        stored: Volume = image.dataobj.get_unscaled().reshape(image.shape[:3])
        return apply_orientation(stored, io_orientation(image.affine)), image.dataobj.slope, image.dataobj.inter


def _open(path: Path) -> Any:
    """Return a file of version 1 or 2 with its header read; voxels must begin soon, since what is before them is read.

    :func:`nibabel.load` would take more kinds of files, and parse the XML that one of them has before its voxels.
    """
    from nibabel import Nifti1Image, Nifti2Image
    from nibabel.openers import ImageOpener

    with ImageOpener(path) as file:
        start = file.read(LONGEST_HEADER)
    for kind in (Nifti1Image, Nifti2Image):
        if kind.header_class.may_contain_header(start):
            header = kind.header_class(start[: kind.header_class.template_dtype.itemsize], check=False)
            if not 0 <= header["vox_offset"] <= MOST_BEFORE_VOXELS:
                raise UnreadableItem("a NIfTI file whose voxels begin nowhere near its header")
            return kind.from_filename(path)
    raise UnreadableItem("damaged or truncated NIfTI file")


def _check(path: Path, shape: tuple[int, ...], kind: np.dtype[Any]) -> None:
    """Raise unless a header announces numbers, of which the file can hold as many."""
    if kind.kind not in NUMBERS:
        raise UnreadableItem("voxels that are not numbers (colours, for example)")
    if min(shape) < 1:
        raise UnreadableItem(f"a NIfTI file of shape {shape}, without a voxel")
    size = int(np.prod(shape, dtype=object)) * kind.itemsize
    if size > MAX_VOLUME_BYTES:
        raise UnreadableItem(f"a volume of {size:,} bytes, where at most {MAX_VOLUME_BYTES:,} are read: {shape}")
    if size > path.stat().st_size * (MOST_OF_GZIP if path.suffix.lower() == ".gz" else 1):
        raise UnreadableItem(f"a NIfTI file that cannot hold the {size:,} bytes that its header announces")
