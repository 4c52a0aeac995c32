"""What no decoder may do: take more memory than an image is worth."""

from pathlib import Path

from ..source import UnreadableItem

MAX_BYTES = 1 << 28
"""Of an image file, and of a deflated DICOM file when it is inflated; a radiograph of 100 million pixels has 200 MB."""

MAX_PIXELS = 100_000_000
"""Of one image; the largest radiographs have 20 million."""

MAX_VOLUME_BYTES = 1_000_000_000
"""Of the voxels of a NIfTI file as they are stored; 1,800 slices of 512 x 512 in 16 bits have 944 million."""

MAX_SLICES = 5000
"""Of a series; the longest scans of a whole body have 2,500."""


def check_bytes(path: Path) -> None:
    """Raise :class:`UnreadableItem` if a file is larger than any image that is read."""
    if (size := path.stat().st_size) > MAX_BYTES:
        raise UnreadableItem(f"a file of {size:,} bytes, where at most {MAX_BYTES:,} are read")


def check_pixels(columns: int, rows: int) -> None:
    """Raise :class:`UnreadableItem` if a header announces more pixels than any image that is read has."""
    if columns * rows > MAX_PIXELS:
        raise UnreadableItem(f"more pixels than the {MAX_PIXELS:,} that are read: {columns} x {rows}")
