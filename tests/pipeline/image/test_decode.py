"""Image files to pixels: what the result is, and what is unreadable."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omnifuse.pipeline.image.decode import SIZE, decode_image
from omnifuse.pipeline.source import UnreadableItem
from PIL import EpsImagePlugin, ExifTags, Image, ImageFile

Draw = Callable[..., Path]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Write an array as an image file."""

    def write(pixels: np.ndarray, name: str = "image.png", mode: str | None = None) -> Path:
        image = Image.fromarray(pixels)
        path = tmp_path / name
        (image.convert(mode) if mode else image).save(path)
        return path

    return write


def gradient(height: int, width: int) -> np.ndarray:
    return np.linspace(0, 255, height * width).reshape(height, width).astype(np.uint8)


def test_a_256_pixel_square_is_cropped_and_not_scaled(draw: Draw) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    decoded = decode_image(draw(pixels))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, pixels[16:240, 16:240])


def test_scaling_is_that_of_the_usual_two_steps(draw: Draw) -> None:
    from torchvision.transforms.functional import center_crop, resize

    path = draw(gradient(600, 512))
    usual = np.asarray(center_crop(resize(Image.open(path), 256), SIZE))
    assert np.abs(decode_image(path).astype(int) - usual).max() <= 1


def test_the_centre_of_a_wide_image_is_kept(draw: Draw) -> None:
    pixels = np.zeros((256, 1024), np.uint8)
    pixels[:, 384:640] = 200
    assert (decode_image(draw(pixels)) == 200).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "LA"])
def test_grey_whatever_the_mode(draw: Draw, mode: str) -> None:
    pixels = np.full((256, 256), 77, np.uint8)
    decoded = decode_image(draw(pixels, "image.tif" if mode == "CMYK" else "image.png", mode))
    assert (np.abs(decoded.astype(int) - 77) <= 1).all()


def test_16_bits_are_stretched_to_the_values_that_occur(draw: Draw) -> None:
    pixels = np.full((256, 256), 1000, np.uint16)
    pixels[:, 128:] = 5000
    decoded = decode_image(draw(pixels))
    assert set(np.unique(decoded)) == {0, 255}


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_tiff_whose_zero_is_white_is_shown_as_one_whose_zero_is_black(draw: Draw, kind: type[np.generic]) -> None:
    black, white, photometric_short = b"\x01\x00", b"\x00\x00", b"\x06\x01\x03\x00\x01\x00\x00\x00"
    pixels = np.full((256, 256), 0, kind)
    pixels[:, 128:] = np.iinfo(kind).max
    expected = decode_image(draw(pixels, "black.tif"))
    path = draw(np.iinfo(kind).max - pixels, "white.tif")
    said = path.read_bytes().replace(photometric_short + black, photometric_short + white)
    assert said != path.read_bytes()
    path.write_bytes(said)
    np.testing.assert_array_equal(decode_image(path), expected)


def test_a_constant_16_bit_image_is_black(draw: Draw) -> None:
    assert (decode_image(draw(np.full((300, 300), 4095, np.uint16))) == 0).all()


def test_jpeg_and_tiny_images_are_decoded(draw: Draw) -> None:
    assert decode_image(draw(gradient(300, 400), "image.jpg")).shape == (SIZE, SIZE)
    assert decode_image(draw(gradient(1, 1))).shape == (SIZE, SIZE)


CORNERS = {"top left": (0, 0), "top right": (0, -1), "bottom left": (-1, 0), "bottom right": (-1, -1)}


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize(
    ("orientation", "white", "grey"),  # where the top left and the top right corner of the file belong, by EXIF 2.3
    [
        (1, "top left", "top right"),
        (2, "top right", "top left"),
        (3, "bottom right", "bottom left"),
        (4, "bottom left", "bottom right"),
        (5, "top left", "bottom left"),
        (6, "top right", "bottom right"),
        (7, "bottom right", "top right"),
        (8, "bottom left", "top left"),
    ],
)
def test_an_image_is_turned_as_its_exif_orientation_says(
    tmp_path: Path, orientation: int, white: str, grey: str, suffix: str
) -> None:
    pixels = np.zeros((256, 256), np.uint8)
    pixels[:128, :128], pixels[:128, 128:] = 255, 128
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(tmp_path / f"image.{suffix}", exif=exif)
    decoded = decode_image(tmp_path / f"image.{suffix}")
    found = {name: int(decoded[at]) for name, at in CORNERS.items()}
    assert found == {**dict.fromkeys(CORNERS, 0), white: 255, grey: 128}


def test_an_image_with_damaged_exif_is_shown_as_it_is(draw: Draw, tmp_path: Path) -> None:
    Image.fromarray(gradient(300, 300)).save(tmp_path / "damaged.png", exif=b"Exif\0\0no exif at all")
    np.testing.assert_array_equal(decode_image(tmp_path / "damaged.png"), decode_image(draw(gradient(300, 300))))


@pytest.mark.parametrize("name", ["pages.tif", "frames.gif", "frames.png"])
def test_several_pages_or_frames_are_refused(tmp_path: Path, name: str) -> None:
    first, second = (Image.fromarray(np.full((30, 30), level, np.uint8)) for level in (50, 200))
    first.save(tmp_path / name, save_all=True, append_images=[second])
    with pytest.raises(UnreadableItem, match="several pages or frames in one file, where one image is expected"):
        decode_image(tmp_path / name)


def test_of_a_photograph_with_a_preview_behind_it_the_photograph_is_read(tmp_path: Path) -> None:
    photograph, preview = (Image.fromarray(np.full((30, 30), level, np.uint8)) for level in (50, 200))
    photograph.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[preview])
    assert (decode_image(tmp_path / "phone.jpg") == 50).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_no_finite_number_is_black_and_changes_no_other(draw: Draw, value: float) -> None:
    pixels = np.random.default_rng(0).uniform(-3, 7, (256, 256)).astype(np.float32)
    whole = decode_image(draw(pixels, "whole.tif"))
    pixels[100, 100] = value
    expected = whole.copy()
    expected[84, 84] = 0
    np.testing.assert_array_equal(decode_image(draw(pixels, "hole.tif")), expected)


@pytest.mark.parametrize("scale", [1, 1e-40])
def test_values_near_the_ends_of_float32_are_stretched_as_any_others(draw: Draw, scale: float) -> None:
    pixels = np.full((256, 256), -3e38 * scale, np.float32)
    pixels[:, 128:] = 3e38 * scale
    assert decode_image(draw(pixels, "image.tif"))[0, [0, -1]].tolist() == [0, 255]


def test_an_image_without_a_finite_pixel_is_refused(draw: Draw) -> None:
    with pytest.raises(UnreadableItem, match="no pixel is a finite number"):
        decode_image(draw(np.full((30, 30), np.nan, np.float32), "image.tif"))


def test_a_large_image_of_16_bits_is_stretched_in_pieces_to_the_same_levels(draw: Draw) -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (3056, 2544), dtype=np.uint16)
    pixels[0, 0], pixels[-1, -1] = 0, 4095
    grey = np.rint(pixels.astype(np.float64) * (255 / 4095)).astype(np.uint8)
    np.testing.assert_array_equal(decode_image(draw(pixels)), decode_image(draw(grey, "grey.png")))


@pytest.mark.parametrize(
    "content", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", b"P5 1 1 255 a"]
)
def test_other_formats_are_not_opened_whatever_the_file_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    started: list[object] = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *arguments, **options: started.append(arguments))
    path = tmp_path / "radiograph.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableItem, match=r"^not an image of a known format$"):
        decode_image(path)
    assert started == []


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 16, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


@pytest.mark.parametrize(("width", "height"), [(10_001, 10_000), (60_000, 60_000)])
def test_more_pixels_than_are_read_are_refused_before_any_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, height: int
) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("decoded"))
    path = tmp_path / "image.png"
    path.write_bytes(png_header(width, height) + struct.pack(">I4s", 0, b"IDAT") + bytes(4))
    with pytest.raises(UnreadableItem, match="more pixels than the 100,000,000 that are read"):
        decode_image(path)


def test_a_file_larger_than_any_image_is_not_read(draw: Draw) -> None:
    path = draw(gradient(30, 30))
    os.truncate(path, 300_000_000)  # sparse
    with pytest.raises(UnreadableItem, match="a file of 300,000,000 bytes, where at most 268,435,456 are read"):
        decode_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_file_is_unreadable(draw: Draw, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)
    path = draw(noise, f"image.{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnreadableItem, match=r"damaged or truncated image|not an image"):
        decode_image(path)


def test_the_reason_names_neither_path_nor_content(tmp_path: Path) -> None:
    path = tmp_path / "patient.jpg"
    with pytest.raises(UnreadableItem, match=r"^the file is missing$"):
        decode_image(path)
    path.write_text("no image")
    with pytest.raises(UnreadableItem, match=r"^not an image of a known format$"):
        decode_image(path)


def test_colours_are_kept_where_they_are_asked_for_and_grey_stays_grey(draw: Draw, tmp_path: Path) -> None:
    red, green, blue = (np.full((300, 300), level, np.uint8) for level in (200, 100, 50))
    path = draw(np.stack([red, green, blue], axis=-1), "colours.png")
    assert decode_image(path, colour=True)[0, :, 0, 0].tolist() == [200, 100, 50]
    assert decode_image(path)[0, 0] == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "palette.png")
    assert decode_image(tmp_path / "palette.png", colour=True)[0, :, 0, 0].tolist() == [200, 100, 50]
    for grey in (draw(gradient(300, 300)), draw(np.full((30, 30), 4095, np.uint16), "deep.png")):
        np.testing.assert_array_equal(decode_image(grey, colour=True), decode_image(grey))


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)], ids=["RGB", "grey and alpha", "RGBA"])
def test_a_png_with_16_bits_a_colour_is_refused(kind: int, channels: int, colour: bool, tmp_path: Path) -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)

    header = (2).to_bytes(4) + (2).to_bytes(4) + bytes([16, kind, 0, 0, 0])
    pixels = zlib.compress(2 * (b"\0" + 2 * channels * b"\x01\x02"))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    with pytest.raises(UnreadableItem, match="colours of 16 bits, which would be read as 8"):
        decode_image(tmp_path / "deep.png", colour=colour)
