"""Image files to grey pixels, or to three colours."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from ..source import UnreadableItem, unreadable
from .guard import MAX_PIXELS, check_bytes, check_pixels

Pixels = npt.NDArray[np.uint8]

SIZE = 224
SHORT_SIDE = 256
"""Shorter side before the central square of SIZE is cut out, the usual evaluation transform of ImageNet models."""

FINER = 2
"""A JPEG is decoded at 1/2, 1/4 or 1/8 of its size while its sides keep so many times the pixels that are needed, which
the filter averages."""

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF")
"""What is opened beside DICOM, told by its first bytes; Pillow would hand others, such as EPS, to programs."""

DICOM_GREY = (
    "modality LUT or rescale, first VOI LUT or else first window, else stretched; MONOCHROME1 inverted; padding black"
)
"""How grey levels come from a DICOM file; part of the recipe, to be changed when that changes."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image of an EXIF orientation the right way up."""

PHOTOMETRIC = 262
"""The TIFF tag by which 0 is white or black."""

STRIP_PIXELS = 1 << 20
"""Of images of more than 8 bits so many are in memory a second time."""

DEEP = ";16"
"""Stands in what Pillow calls pixels of 16 bits a value; it reads colours of such as their upper 8 bits."""

GREY_MODES = ("1", "L", "LA", "La")
"""What Pillow calls pictures of 8 bits without colours."""

DICOM_MARK = b"DICM"
DICOM_PREAMBLE_BYTES = 128


def picture_grey(short_side: int = SHORT_SIDE) -> str:
    """Return how grey levels come from a picture; part of the recipe, to be changed when that changes."""
    return (
        f"a JPEG decoded at 1/2, 1/4 or 1/8 while its sides keep {FINER * short_side} pixels; turned as its EXIF "
        "orientation says, more than 8 bits stretched over the finite pixels, and inverted where 0 of a TIFF is white"
    )


def decode_image(path: Path, size: int = SIZE, short_side: int = SHORT_SIDE, *, colour: bool = False) -> Pixels:
    """Return an image as grey levels ``[size, size]``, by default ``[224, 224]``.

    Colours are weighted as by ITU-R 601-2; with ``colour`` a picture that has any comes as red, green and blue
    ``[1, 3, size, size]``, but no DICOM file. Colours of 16 bits are refused: read as 8 bits they would be others, and
    nobody says how far they are to be stretched. Grey pixels of more than 8 bits are stretched from their least to
    their greatest value, because radiographs seldom use the full range of 16 bits; those that are no finite number are
    black. DICOM files say themselves how they are shown. The central square, 224/256 of the shorter side, is scaled
    with a bilinear filter: the same as scaling the shorter side to ``short_side`` and cutting out the centre, in one
    step. Of a large JPEG the decoder makes a smaller picture first, which takes two thirds of the time; nearly all grey
    levels of radiographs stay within 1 of those of the whole picture, the edges of letters within 16
    (``benchmarks/image_decoding.py``).

    Raises
    ------
    UnreadableItem
        If the file is missing, is no image, has several, is damaged or is too large.
    """
    with unreadable("damaged or truncated image"):
        if _is_dicom(path):
            return np.asarray(_read_dicom(path, size, short_side), np.uint8)
        pixels = np.asarray(_read_picture(path, size, short_side, colour), np.uint8)
        return pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)[None]


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(DICOM_PREAMBLE_BYTES + len(DICOM_MARK)).endswith(DICOM_MARK)


def _read_dicom(path: Path, size: int, short_side: int) -> Image.Image:
    from .dicom import read_grey  # half a second that other images need not wait for

    grey = read_grey(path)
    return _central_square(grey, grey.size, size, short_side)


def _read_picture(path: Path, size: int, short_side: int, colour: bool) -> Image.Image:
    """Return the central square of any other format; nothing is decoded before its size is known."""
    check_bytes(path)
    try:
        with Image.open(path, formats=FORMATS) as image:
            check_pixels(*image.size)
            # MPO: a JPEG with previews or a depth map behind it, as phones write; its first picture is the photograph
            if getattr(image, "is_animated", False) and image.format != "MPO":
                raise UnreadableItem("several pages or frames in one file, where one image is expected")
            _refuse_deep_colours(image)
            drafted = _decode_smaller(image, FINER * short_side)
            keep = colour and image.mode[0] not in "IF" and image.mode not in GREY_MODES
            shown = image.convert("RGB") if keep else _grey(image)
            square = _central_square(shown, drafted, size, short_side)
            method = UPRIGHT.get(_orientation(image))
            return square if method is None else square.transpose(method)
    except UnidentifiedImageError as error:
        raise UnreadableItem("not an image of a known format") from error
    except Image.DecompressionBombError as error:
        raise UnreadableItem(f"more pixels than the {MAX_PIXELS:,} that are read") from error


def _refuse_deep_colours(image: Image.Image) -> None:
    if image.mode[0] not in "IF" and any(DEEP in str(tile[3]) for tile in getattr(image, "tile", ())):
        raise UnreadableItem("colours of 16 bits, which would be read as 8; store it with 8 bits a colour, or grey")


def _decode_smaller(image: Image.Image, side: int) -> tuple[float, float]:
    """Let the decoder of a large JPEG scale it down, and return the width and height that its picture will have.

    The sides of the picture keep ``side`` pixels.
    They need not be whole: of 1,025 columns, the last of 513 at half the size is half a column. A lossless JPEG, the
    only one without tables of quantization, has nothing that could be decoded at a smaller size.
    """
    if not getattr(image, "quantization", None):
        return image.size
    drafted = image.draft(None, (side, side))
    return image.size if drafted is None else drafted[1][2:]


def _central_square(grey: Image.Image, sides: tuple[float, float], size: int, short_side: int) -> Image.Image:
    """Return the centre of an image of these ``sides``, size/short_side of the shorter one, scaled to size x size."""
    side = min(sides) * size / short_side
    left, top = ((length - side) / 2 for length in sides)
    return grey.resize((size, size), Image.Resampling.BILINEAR, (left, top, left + side, top + side))


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an image that is loaded; 1, upright, where its EXIF is damaged."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def _grey(image: Image.Image) -> Image.Image:
    """Return the image in mode L (grey, 8 bits)."""
    if image.mode[0] not in "IF":
        return image.convert("L")
    image.load()
    low, high = _range(image)
    scale = 255 / (high - low) if high > low else 0.0
    white_is_zero = image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC) == 0  # type: ignore[attr-defined]
    black = high if white_is_zero else low
    strips = (np.nan_to_num(strip, nan=black, posinf=black, neginf=black) for strip in _strips(image))
    grey = np.concatenate([np.rint((strip - low) * scale).astype(np.uint8) for strip in strips])
    return Image.fromarray(255 - grey if white_is_zero else grey)  # Pillow inverts those of 8 bits alone


def _range(image: Image.Image) -> tuple[float, float]:
    """Return the least and the greatest finite value of an image."""
    ends = [(finite.min(), finite.max()) for strip in _strips(image) if (finite := strip[np.isfinite(strip)]).size]
    if not ends:
        raise UnreadableItem("no pixel is a finite number")
    return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


def _strips(image: Image.Image) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the values of an image from the top to the bottom, some rows ``[rows, columns]`` at a time."""
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        yield np.asarray(strip).astype(np.float64)
