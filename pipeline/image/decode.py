"""Image files to grey pixels, in this process or in several."""

import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ...processes import worker_pool
from ..source import UnreadableItem

Pixels = npt.NDArray[np.uint8]

SIZE = 224
SHORT_SIDE = 256
"""Shorter side before the central square of SIZE is cut out, the usual evaluation transform of ImageNet models."""

DICOM_GREY = "modality LUT or rescale, first VOI LUT or else first window, else stretched; MONOCHROME1 inverted"
"""How grey levels come from a DICOM file; part of the recipe, to be changed when that changes."""

DICOM_MARK = b"DICM"
DICOM_PREAMBLE_BYTES = 128

WAITING_PER_WORKER = 16
"""Images asked for ahead of the one that is due: enough to keep workers busy, about 0.8 MB of results for each."""


def decode_image(path: Path) -> Pixels:
    """Return an image as grey levels ``[224, 224]``.

    Colours are weighted as by ITU-R 601-2. Pixels of more than 8 bits are stretched from their least to their greatest
    value, because radiographs seldom use the full range of 16 bits; DICOM files say themselves how they are shown. The
    central square, 224/256 of the shorter side, is scaled with a bilinear filter: the same as scaling the shorter side
    to 256 and cutting out the centre, in one step.

    Raises
    ------
    UnreadableItem
        If the file is missing, is no image or is damaged.
    """
    grey = _read_dicom(path) if _is_dicom(path) else _read_image(path)
    side = min(grey.size) * SIZE / SHORT_SIDE
    left, top = ((length - side) / 2 for length in grey.size)
    box = (left, top, left + side, top + side)
    return np.asarray(grey.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box), np.uint8)


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(DICOM_PREAMBLE_BYTES + len(DICOM_MARK)).endswith(DICOM_MARK)
    except FileNotFoundError as error:
        raise UnreadableItem("the file is missing") from error
    except OSError as error:
        raise UnreadableItem(f"cannot be read: {error.strerror}") from error


def _read_dicom(path: Path) -> Image.Image:
    from .dicom import read_grey  # half a second that other images need not wait for

    return read_grey(path)


def _read_image(path: Path) -> Image.Image:
    """Return the image of any other format in mode L (grey, 8 bits)."""
    try:
        with Image.open(path) as image:
            return _grey(image)
    except FileNotFoundError as error:
        raise UnreadableItem("the file is missing") from error
    except UnidentifiedImageError as error:
        raise UnreadableItem("not an image of a known format") from error
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error) as error:
        raise UnreadableItem("damaged or truncated image") from error
    except Image.DecompressionBombError as error:
        raise UnreadableItem("more pixels than any radiograph has") from error


def _grey(image: Image.Image) -> Image.Image:
    """Return the image in mode L (grey, 8 bits)."""
    if image.mode[0] not in "IF":
        return image.convert("L")
    levels = np.asarray(image, np.float32)
    low, high = float(levels.min()), float(levels.max())
    stretched = (levels - low) * (255 / (high - low) if high > low else 0.0)
    return Image.fromarray(np.rint(stretched).astype(np.uint8))


def decode_all(
    paths: Iterable[Path],
    workers: int,
    read: Callable[[Path], Pixels] = decode_image,
    ahead: int = WAITING_PER_WORKER,
) -> Iterator[Pixels | UnreadableItem]:
    """Yield what ``read`` gives of each image, or why it has nothing, in the order of ``paths``.

    ``workers`` spawned processes decode ``ahead`` images each before the consumer asks for them; they end with this
    process, however it ends. 0 decodes in this process.
    """
    decode = partial(_decode_or_reason, read)
    if workers == 0:
        yield from map(decode, paths)
        return
    with worker_pool(workers) as pool:
        yield from _in_order(pool, decode, iter(paths), workers * ahead)


def _in_order(
    pool: ProcessPoolExecutor,
    decode: Callable[[Path], Pixels | UnreadableItem],
    paths: Iterator[Path],
    ahead: int,
) -> Iterator[Pixels | UnreadableItem]:
    waiting: deque[Future[Pixels | UnreadableItem]] = deque(pool.submit(decode, path) for path in islice(paths, ahead))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(decode, path) for path in islice(paths, 1))
        yield result


def _decode_or_reason(read: Callable[[Path], Pixels], path: Path) -> Pixels | UnreadableItem:
    try:
        return read(path)
    except UnreadableItem as reason:
        return reason
