"""The slices of a NIfTI volume along z, as DICOM shows them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..source import UnreadableItem

MAX_VOXELS = 1 << 30
"""Far more than any scan of a body has."""


def read_volume(path: Path) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the slices of a volume from the feet to the head, each ``[rows, columns]``.

    As in axial DICOM images, rows go from front to back and columns from the right of the patient to the left,
    wherever the affine says that these are; oblique volumes are taken by their closest axes. NaN becomes the lowest
    value of its slice.

    Raises
    ------
    UnreadableItem
        If the file is missing, damaged, or has not three dimensions.
    """
    volume = _load(path)  # [left to right, back to front, feet to head]
    for k in range(volume.shape[2]):
        values = np.asarray(volume[:, :, k], np.float64)[::-1, ::-1].T
        finite = values[np.isfinite(values)]
        yield np.nan_to_num(values, nan=finite.min() if finite.size else 0.0)


def _load(path: Path) -> npt.NDArray[Any]:
    import nibabel

    try:
        image = nibabel.load(path)
        if image.ndim < 3 or max(image.shape[3:], default=1) > 1:
            raise UnreadableItem(f"a NIfTI file of shape {image.shape}, where one volume is expected")
        if np.prod(image.shape, dtype=np.float64) > MAX_VOXELS:
            raise UnreadableItem("more voxels than any scan has")
        volume: npt.NDArray[Any] = np.asanyarray(nibabel.as_closest_canonical(image).dataobj)
        return volume.reshape(volume.shape[:3])
    except UnreadableItem:
        raise
    except FileNotFoundError as error:
        raise UnreadableItem("the file is missing") from error
    except Exception as error:  # what a damaged header or stream raises has no common class
        raise UnreadableItem("damaged or truncated NIfTI file") from error
