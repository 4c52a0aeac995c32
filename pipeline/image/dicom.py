"""DICOM files to grey levels or measured values, and single elements of their headers without the pixels.

A grey level is what the header says a viewer should show: stored value, through modality LUT or rescale, through the
first VOI LUT or else the first window, to 0 (black) to 255 (white).
"""

import io
import logging
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import UID

from ..source import UnreadableItem, unreadable
from .guard import MAX_BYTES, check_bytes, check_pixels

Levels = npt.NDArray[np.float64]
Pixels = TypeVar("Pixels")

MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
MAX_BITS = 16
COLOUR_BITS = 8
BLACK = 0
ROWS_AT_ONCE = 64
GREATEST = float(np.finfo(np.float32).max)

logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # its warnings quote header values, which may name a patient


def read_header(path: Path, names: Sequence[str]) -> list[str]:
    """Return the named elements of a file's header as text, empty where absent, without reading its pixels.

    Raises
    ------
    UnreadableItem
        If the file is missing or is no whole DICOM file.
    """
    dataset = read_dataset(path, stop_before_pixels=True, specific_tags=list(names))
    with unreadable("damaged or truncated DICOM file"):
        return [str(dataset.get(name) or "").strip() for name in names]


def read_grey(path: Path) -> Image.Image:
    """Return the image of a DICOM file in mode L (grey, 8 bits).

    Without VOI LUT and window, 8 bits are taken as they are and more are stretched from the least to the greatest
    value, as in other formats. Padding is black and counts for neither. Colours are weighted as by ITU-R 601-2.

    Raises
    ------
    UnreadableItem
        If the file is missing, damaged, too large, of a kind that no radiograph is, or compressed in a way that needs a
        package which is not installed.
    """
    return _decode(path, _grey)


def read_rescaled(path: Path) -> Levels:
    """Return stored value * RescaleSlope + RescaleIntercept ``[rows, columns]``: of CT Hounsfield units, of PET Units.

    Padding, where nothing was measured, has the least measured value: in a CT that is air.

    Raises
    ------
    UnreadableItem
        As :func:`read_grey`, and if the file has colours or lacks one of the two elements.
    """
    return _decode(path, _rescaled)


def numbers(dataset: Dataset, name: str, count: int = 1) -> Levels:
    """Return the finite numbers ``[count]`` of an element; raises :class:`UnreadableItem` naming what has none."""
    try:
        with warnings.catch_warnings(action="ignore"):
            value = dataset.get(name)
            values = np.atleast_1d(np.asarray([] if value in (None, "") else value, np.float64))
    except (ValueError, TypeError, ArithmeticError) as error:
        raise UnreadableItem(f"{name} is no number") from error
    if not values.size:
        raise UnreadableItem(f"without {name}")
    if values.shape != (count,) or not np.isfinite(values).all():
        raise UnreadableItem(f"{name} is not {count} finite number{'s' * (count > 1)}")
    return values


def _decode(path: Path, pixels_of: Callable[[Dataset], Pixels]) -> Pixels:
    dataset = read_dataset(path)
    with unreadable("damaged or truncated DICOM image"):
        return pixels_of(dataset)


def read_dataset(path: Path, **how: Any) -> Dataset:
    """Return a DICOM file, read with the arguments of :func:`pydicom.dcmread`.

    Raises
    ------
    UnreadableItem
        If the file is missing, too large or no whole DICOM file.
    """
    with unreadable("damaged or truncated DICOM file"):
        check_bytes(path)
        try:
            with _BoundedReader(io.FileIO(path)) as file:
                return dcmread(file, **how)
        except InvalidDicomError as error:
            raise UnreadableItem("not a DICOM file") from error


class _BoundedReader(io.BufferedReader):
    """A file that is not read to its end in one go, as pydicom reads deflated data sets alone, where that would burst.

    pydicom inflates what it gets whole; here it is inflated piece by piece first, to see how much there is.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        if size is None or size < 0:
            _check_inflated(content)
        return content


def _check_inflated(deflated: bytes) -> None:
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while deflated:
        size += len(inflater.decompress(deflated, 1 << 20))
        deflated = inflater.unconsumed_tail
        if size > MAX_BYTES:
            raise UnreadableItem(f"a deflated file of more than the {MAX_BYTES:,} bytes that are read")


def _grey(dataset: Dataset) -> Image.Image:
    pixels = _stored_values(dataset)  # [rows, columns], or [rows, columns, 3] in colour
    if pixels.ndim == 3:
        return Image.fromarray(pixels).convert("L")
    low, high = int(pixels.min()), int(pixels.max())
    padding = _padding(dataset, pixels.dtype)
    measured = pixels if padding is None else pixels[_is_measured(pixels, padding)]
    first, last = int(measured.min()), int(measured.max())
    shown = _grey_of_each(dataset, first, last)
    table = np.full(high - low + 1, BLACK, np.uint8)  # the grey level of every stored value
    table[first - low : last - low + 1] = 255 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown
    if padding:
        table[max(padding[0] - low, 0) : max(padding[1] - low + 1, 0)] = BLACK
    grey = np.empty(pixels.shape, np.uint8)
    for top in range(0, len(pixels), ROWS_AT_ONCE):
        grey[top : top + ROWS_AT_ONCE] = table[pixels[top : top + ROWS_AT_ONCE].astype(np.int64) - low]
    return Image.fromarray(grey)


def _rescaled(dataset: Dataset) -> Levels:
    slope, intercept = numbers(dataset, "RescaleSlope"), numbers(dataset, "RescaleIntercept")
    stored = _stored_values(dataset)
    if stored.ndim != 2:
        raise UnreadableItem("a slice in colours, where values are expected")
    values = _rescale(stored, float(slope[0]), float(intercept[0]))
    if padding := _padding(dataset, stored.dtype):
        measured = _is_measured(stored, padding)
        values[~measured] = values[measured].min()
    return values


def _rescale(stored: npt.NDArray[Any], slope: float, intercept: float) -> Levels:
    """Return stored value * slope + intercept; raise where float32 cannot hold that, or all become one."""
    values: Levels = stored * np.float64(slope) + intercept
    if not (slope and (np.abs(values) <= GREATEST).all()):
        raise UnreadableItem(f"RescaleSlope {slope:g} and RescaleIntercept {intercept:g}, which cannot be meant")
    return values


def _padding(dataset: Dataset, kind: np.dtype[Any]) -> tuple[int, int] | None:
    """Return the least and the greatest stored value that stands for nothing measured (DICOM PS3.3 C.7.5.1.1.2)."""
    names = [name for name in ("PixelPaddingValue", "PixelPaddingRangeLimit") if dataset.get(name) not in (None, "")]
    if "PixelPaddingValue" not in names:
        return None
    bounds, span = np.iinfo(kind), 1 << 8 * kind.itemsize
    ends = [int(numbers(dataset, name)[0]) for name in names]
    # headers give the bits of a signed value as those of an unsigned one, and the other way round
    ends = [end - span if end > bounds.max else end + span if end < bounds.min else end for end in ends]
    return min(ends), max(ends)


def _is_measured(pixels: npt.NDArray[Any], padding: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Tell which stored values are no padding; raise if none is."""
    measured: npt.NDArray[np.bool_] = (pixels < padding[0]) | (pixels > padding[1])
    if not measured.any():
        raise UnreadableItem("an image of padding alone")
    return measured


def _stored_values(dataset: Dataset) -> npt.NDArray[Any]:
    """Return the pixels as they are stored, decompressed."""
    if "Rows" not in dataset or "PixelData" not in dataset:
        raise UnreadableItem("a DICOM file without an image")
    check_pixels(dataset.Columns, dataset.Rows)
    if (frames := int(dataset.get("NumberOfFrames") or 1)) > 1:
        raise UnreadableItem(f"{frames} frames in one DICOM file, where one image is expected")
    kind, bits = dataset.PhotometricInterpretation, dataset.BitsAllocated
    readable = bits <= MAX_BITS if kind in MONOCHROME else bits == COLOUR_BITS and dataset.SamplesPerPixel == 3
    if not readable:
        raise UnreadableItem(f"a DICOM image that is neither grey of at most {MAX_BITS} bits nor RGB of {COLOUR_BITS}")
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        _check_frame(dataset)
    try:
        pixels: npt.NDArray[Any] = pixel_array(dataset)
        return pixels
    except RuntimeError as error:  # no decoder that is installed could do it
        raise UnreadableItem(_why_compressed(dataset.file_meta.TransferSyntaxUID)) from error


def _check_frame(dataset: Dataset) -> None:
    """Raise if a JPEG or JPEG 2000 stream, which is decoded whole, has another size than the header says."""
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    try:
        with Image.open(io.BytesIO(frame), formats=("JPEG", "JPEG2000")) as image:
            columns, rows = image.size
    except (UnidentifiedImageError, SyntaxError, OSError):  # another compression, or damaged: its decoder says so
        return
    if (columns, rows) != (dataset.Columns, dataset.Rows):
        raise UnreadableItem(f"a stream of {columns} x {rows} pixels where {dataset.Columns} x {dataset.Rows} are said")


def _why_compressed(syntax: UID) -> str:
    """Return why pixels of a transfer syntax could not be decompressed, and which packages would do it."""
    decoder = get_decoder(syntax)
    needed = [entry.partition("requires ")[2] for entry in decoder.missing_dependencies if "pylibjpeg" in entry]
    damaged = "damaged, or " if decoder.is_available else ""
    mend = f"install {needed[0]}, then extract to another --cache with --reuse of this one" if needed else "unreadable"
    return f"{damaged}compressed as {syntax.name}: {mend}"


def _grey_of_each(dataset: Dataset, low: int, high: int) -> npt.NDArray[np.uint8]:
    """Return the grey level of every stored value from ``low`` to ``high``, before any inversion."""
    values = np.arange(low, high + 1, dtype=np.float64)
    plain = dataset.BitsStored <= 8 and dataset.PixelRepresentation == 0
    if sequence := dataset.get("ModalityLUTSequence"):
        values, _ = _look_up(values, sequence[0], dataset)
        plain = False
    elif dataset.get("RescaleSlope") is not None:
        slope, intercept = float(dataset.RescaleSlope), float(dataset.get("RescaleIntercept") or 0)
        values = _rescale(values, slope, intercept)
        plain &= (slope, intercept) == (1, 0)
    if sequence := dataset.get("VOILUTSequence"):
        levels, bits = _look_up(values, sequence[0], dataset)
        share = np.clip(levels / (2**bits - 1), 0, 1)
    elif dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        share = _window(values, dataset)
    else:
        first, last = (0, 2**dataset.BitsStored - 1) if plain else (values.min(), values.max())
        share = (values - first) / max(last - first, 1e-12)
    if not np.isfinite(share).all():
        raise UnreadableItem("a window or table that gives no finite grey levels")
    grey: npt.NDArray[np.uint8] = np.rint(share * 255).astype(np.uint8)
    return grey


def _look_up(values: Levels, table: Dataset, dataset: Dataset) -> tuple[Levels, int]:
    """Return the entries of a look-up table for the values, and how many bits an entry has (DICOM PS3.3 C.11.1)."""
    number, first, bits = table.LUTDescriptor
    number = number or 1 << 16
    data = table.LUTData
    if isinstance(data, bytes):
        packed = "u1" if len(data) < 2 * number else "<u2" if dataset.original_encoding[1] else ">u2"
        data = np.frombuffer(data, packed)
    entries = np.asarray(data, np.float64)[:number]
    places = np.clip(np.rint(values) - first, 0, len(entries) - 1).astype(np.int64)
    return entries[places], bits


def _window(values: Levels, dataset: Dataset) -> Levels:
    """Return values as shares (0 to 1) of the first window (DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    centre, width = (_first(dataset[name].value) for name in ("WindowCenter", "WindowWidth"))
    function = dataset.get("VOILUTFunction") or "LINEAR"
    if not np.isfinite(centre):
        raise UnreadableItem("a window without a centre")
    if not GREATEST >= width >= (1 if function == "LINEAR" else 1e-12):
        raise UnreadableItem(f"a window of width {width:g}, which DICOM does not allow")
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if function == "LINEAR":
        centre, width = centre - 0.5, max(width - 1, 1e-12)
    return np.clip((values - centre) / width + 0.5, 0, 1)


def _first(value: Any) -> float:
    return float(value[0] if isinstance(value, MultiValue) else value)
