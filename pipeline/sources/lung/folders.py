"""Which series lie below the folder of a patient, and which modality each of them is."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...image.dicom import read_header
from ...image.series import is_nifti, slice_files
from ...source import UnreadableItem

MODALITY_OF_TAG = {"CT": "ct", "PT": "pet"}
MODALITY_OF_WORD = {"ct": "ct", "pet": "pet", "pt": "pet"}


@dataclass(frozen=True)
class Found:
    """A folder with the slices of a series, or a NIfTI file: its modality, or why that is unknown."""

    path: Path
    modality: str = ""
    reason: str = ""


def find_series(folder: Path) -> Iterator[Found]:
    """Yield the series below a patient's folder, in the order of their paths; folders without any have neither.

    Raises
    ------
    OSError
        If a folder cannot be listed.
    """
    for name, folders, files in os.walk(folder, onerror=_fail):
        folders.sort()
        place = Path(name)
        yield from (_nifti(place / file, folder) for file in sorted(files) if is_nifti(Path(file)))
        yield _slices(place)


def _fail(error: OSError) -> None:
    raise error


def _slices(folder: Path) -> Found:
    """Return what the first DICOM file of a folder says that it is."""
    for file in slice_files(folder):
        try:
            tag = read_header(file, ["Modality"])[0]
        except UnreadableItem:
            continue
        if modality := MODALITY_OF_TAG.get(tag):
            return Found(folder, modality)
        return Found(folder, reason=f"Modality {tag or 'missing'}, where CT or PT is expected")
    return Found(folder)


def _nifti(file: Path, folder: Path) -> Found:
    """Return what the name of a NIfTI file says that it is, or else that of the nearest folder."""
    for name in reversed(file.relative_to(folder).parts):
        words = set(re.split(r"[^a-z]+", name.lower()))
        found = {MODALITY_OF_WORD[word] for word in words & MODALITY_OF_WORD.keys()}
        if len(found) == 1:
            return Found(file, found.pop())
    return Found(file, reason="neither CT nor PET by the name of the NIfTI file or its folders")
