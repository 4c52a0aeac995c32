"""The slices of a DICOM series in one folder, in the order of their positions, or why they make no volume."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from ..source import UnreadableItem
from .dicom import numbers, read_dataset
from .guard import MAX_SLICES

LEAST_SLICES = 3
SAME_POSITION = 0.01
"""Slices that are less than this apart, in mm, are at one position."""

SPACING_TOLERANCE = 0.1
"""Share of the usual spacing by which a spacing may differ, because headers round positions."""

SAME_DIRECTION = 0.001
"""Directions whose cosines differ by less are one."""

NO_SLICES = ("DICOMDIR", "Thumbs.db", "desktop.ini")
"""Files that programs leave beside slices."""

NIFTI_ENDINGS = (".nii", ".nii.gz")

HEADER = (
    "SeriesInstanceUID",
    "ImageType",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SeriesDate",
    "SeriesTime",
    "AcquisitionDate",
    "AcquisitionTime",
)


@dataclass(frozen=True)
class Series:
    """The files of a series from the feet to the head, and of each the elements ``HEADER``."""

    files: tuple[Path, ...]
    headers: tuple[Dataset, ...]


def is_nifti(path: Path) -> bool:
    """Tell NIfTI files by the end of their name."""
    return path.name.lower().endswith(NIFTI_ENDINGS)


def slice_files(folder: Path) -> list[Path]:
    """Return the files of a folder that should be slices of a DICOM series, by name."""
    return sorted(path for path in folder.iterdir() if path.is_file() and _should_be_slice(path))


def _should_be_slice(path: Path) -> bool:
    return not (path.name.startswith(".") or path.name in NO_SLICES or is_nifti(path))


def read_series(folder: Path) -> Series:
    """Return the slices of the only series in a folder in the order of their positions, whatever the files are called.

    Raises
    ------
    UnreadableItem
        If the folder holds anything else than one series, a localizer, fewer than 3 slices, slices that are not axial,
        or positions that do not follow each other at one distance.
    """
    files = slice_files(folder)
    if len(files) > MAX_SLICES:
        raise UnreadableItem(f"a series of {len(files)} slices, where at most {MAX_SLICES} are read")
    headers = _headers(files)
    if (series := len({str(header.get("SeriesInstanceUID") or "") for header in headers})) > 1:
        raise UnreadableItem(f"{series} series in one folder, where one is expected: give each a folder of its own")
    if any("LOCALIZER" in (header.get("ImageType") or ()) for header in headers):
        raise UnreadableItem("a localizer (scout), not a series of slices")
    if len(files) < LEAST_SLICES:
        raise UnreadableItem(f"a series of {len(files)}, where at least {LEAST_SLICES} slices are expected")
    positions = _positions(headers)
    order = np.argsort(positions, kind="stable")
    _check_spacing(np.diff(positions[order]))
    return Series(tuple(files[i] for i in order), tuple(headers[i] for i in order))


def _headers(files: Sequence[Path]) -> list[Dataset]:
    headers, reasons = [], []
    for file in files:
        try:
            headers.append(read_dataset(file, stop_before_pixels=True, specific_tags=list(HEADER)))
        except UnreadableItem as reason:
            reasons.append(reason)
    if reasons:
        raise UnreadableItem(f"{len(reasons)} of {len(files)} files: {reasons[0]}") from reasons[0]
    return headers


def _positions(headers: Sequence[Dataset]) -> npt.NDArray[np.float64]:
    """Return where the slices lie along their common normal ``[S]``, in mm towards the head."""
    directions = np.stack([numbers(header, "ImageOrientationPatient", 6) for header in headers])  # [S, 6]
    if np.ptp(directions, axis=0).max() > SAME_DIRECTION:
        raise UnreadableItem("slices of several ImageOrientationPatient, where one is expected")
    normal = np.cross(directions[0, :3], directions[0, 3:])
    if np.abs(normal).argmax() != 2:
        raise UnreadableItem("slices that are not axial by their ImageOrientationPatient")
    corners = np.stack([numbers(header, "ImagePositionPatient", 3) for header in headers])  # [S, 3]
    positions: npt.NDArray[np.float64] = corners @ normal * np.sign(normal[2])
    return positions


def _check_spacing(spacings: npt.NDArray[np.float64]) -> None:
    """Raise if slices are at one position, missing, or not evenly spaced; ``spacings`` [S - 1] in mm."""
    if repeated := int((spacings < SAME_POSITION).sum()):
        raise UnreadableItem(f"{repeated} slices at the position of another")
    usual = float(np.median(spacings))
    share = spacings / usual
    off = np.abs(share - np.rint(share)) > SPACING_TOLERANCE
    if off.any() or share.min() < 1 - SPACING_TOLERANCE:
        raise UnreadableItem(f"slices at unequal distances, {spacings.min():.4g} to {spacings.max():.4g} mm")
    if missing := int((np.rint(share) - 1).sum()):
        raise UnreadableItem(f"{missing} slices missing: a gap of {spacings.max():.4g} mm, {usual:.4g} mm elsewhere")
