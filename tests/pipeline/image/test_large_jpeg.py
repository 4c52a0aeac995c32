"""A large JPEG is decoded at a part of its size; it looks as when it is decoded whole, or is refused as then."""

import io
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omnifuse.pipeline.image.decode import SHORT_SIDE, SIZE, decode_image
from omnifuse.pipeline.image.encoder import TOLERANCE, ImageEncoder
from omnifuse.pipeline.image.torchvision_models import Torchvision
from omnifuse.pipeline.source import UnreadableItem
from PIL import ExifTags, Image, ImageDraw, ImageFile, ImageOps

Grey = npt.NDArray[np.uint8]

several = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
many = settings(several, max_examples=60)


def radiograph(height: int, width: int, seed: int) -> Image.Image:
    """Draw soft shapes, structures of all sizes, grain and a bright letter, as a chest radiograph has them."""
    rng = np.random.default_rng(seed)
    grey = rng.normal(0, 5, (height, width)) + 120
    for side, strength in ((4, 60), (16, 25), (64, 10), (256, 5)):
        structure = Image.fromarray(rng.normal(0, strength, (side, side)).astype(np.float32))
        grey += np.asarray(structure.resize((width, height), Image.Resampling.BICUBIC))
    image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    ImageDraw.Draw(image).text((width // 4, height // 4), "L", fill=255, font_size=height / 12)
    return image


def whole(path: Path) -> Grey:
    """Decode all pixels and scale them, as every image of another format is."""
    with Image.open(path) as image:
        grey = ImageOps.exif_transpose(image).convert("L")
    side = min(grey.size) * SIZE / SHORT_SIDE
    left, top = ((length - side) / 2 for length in grey.size)
    return np.asarray(grey.resize((SIZE, SIZE), Image.Resampling.BILINEAR, (left, top, left + side, top + side)))


def check_looks_as_whole(path: Path) -> None:
    """Hold the picture to rounding nearly everywhere; the edges of a white letter on black may be softer."""
    off = np.abs(decode_image(path).astype(np.int64) - whole(path))
    assert off.mean() <= 0.4 and (off > 1).mean() <= 0.005 and off.max() <= 16


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    return tags


@pytest.mark.parametrize(
    ("size", "decoded"),
    [
        ((2544, 3056), (636, 764)),
        ((1023, 3056), (1023, 3056)),
        ((1024, 3056), (512, 1528)),
        ((2047, 2049), (1024, 1025)),
        ((4096, 4097), (512, 513)),
    ],
)
def test_it_is_decoded_as_small_as_leaves_twice_the_pixels_that_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], decoded: tuple[int, int]
) -> None:
    seen: list[tuple[int, int]] = []
    load = ImageFile.ImageFile.load
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: load(seen.append(image.size) or image))
    for suffix in ("jpg", "png"):
        Image.new("L", size, 99).save(tmp_path / f"image.{suffix}")
        assert (decode_image(tmp_path / f"image.{suffix}") == 99).all()
    assert list(dict.fromkeys(seen)) == list(dict.fromkeys([decoded, size]))


@several
@given(
    height=st.integers(1024, 1500),
    width=st.integers(1024, 1500),
    mode=st.sampled_from(["L", "RGB", "CMYK"]),
    quality=st.integers(40, 97),
    progressive=st.booleans(),
    orientation=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_it_looks_as_when_it_is_decoded_whole(
    tmp_path: Path, height: int, width: int, mode: str, quality: int, progressive: bool, orientation: int, seed: int
) -> None:
    image, path = radiograph(height, width, seed).convert(mode), tmp_path / "image.jpg"
    image.save(path, quality=quality, progressive=progressive, exif=exif(orientation))
    check_looks_as_whole(path)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_each_size_looks_as_when_it_is_decoded_whole(tmp_path: Path, factor: int) -> None:
    radiograph(513 * factor - 1, 530 * factor + 1, factor).save(tmp_path / "image.jpg", quality=95)
    check_looks_as_whole(tmp_path / "image.jpg")


@many
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    mode=st.sampled_from(["L", "RGB", "CMYK"]),
    quality=st.integers(1, 97),
    orientation=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_a_small_one_is_decoded_whole_whatever_its_colours(
    tmp_path: Path, height: int, width: int, mode: str, quality: int, orientation: int, seed: int
) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path = tmp_path / "image.jpg"
    Image.fromarray(noise).convert(mode).save(path, quality=quality, exif=exif(orientation))
    off = np.abs(decode_image(path).astype(np.int64) - whole(path))
    assert off.max() <= (orientation != 1)  # one that is turned afterwards may be rounded otherwise


def test_its_vector_is_that_of_the_whole_image_within_the_tolerance_of_the_recipe(tmp_path: Path) -> None:
    images = []
    for seed, (height, width) in enumerate([(3056, 2544), (1200, 1400)]):
        radiograph(height, width, seed).save(tmp_path / "image.jpg", quality=95)
        images += [decode_image(tmp_path / "image.jpg"), whole(tmp_path / "image.jpg")]
    vectors = ImageEncoder(Torchvision("resnet34=random")).encode(np.stack(images)).astype(np.float64)
    first, first_whole, second, second_whole = vectors
    for found, expected in ((first, first_whole), (second, second_whole)):
        length = np.linalg.norm(expected)
        assert np.linalg.norm(found - expected) <= TOLERANCE * length
        assert found @ expected >= 0.999 * np.linalg.norm(found) * length
    assert np.linalg.norm(first - second) > 3 * TOLERANCE * np.linalg.norm(first)


def lossless(width: int, height: int, grey: int) -> bytes:
    """Return a lossless JPEG (ITU-T T.81, process 14) of one grey level: one difference, and then zeros."""
    size = abs(grey - 128).bit_length()
    bits = f"{size:04b}" + (f"{grey - 128:0{size}b}" if grey > 128 else "") + "0000" * (width * height - 1)
    pixels = int(bits.ljust(-(-len(bits) // 8) * 8, "1"), 2).to_bytes(-(-len(bits) // 8), "big")
    frame = struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0)
    table = bytes([0, 0, 0, 0, 9, *[0] * 12, *range(9)])  # codes of 4 bits for the 9 sizes of a difference
    segments = ((0xC3, frame), (0xC4, table), (0xDA, bytes([1, 1, 0, 1, 0, 0])))
    heads = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    return b"\xff\xd8" + heads + pixels + b"\xff\xd9"


def test_a_lossless_one_which_has_no_smaller_sizes_is_read(tmp_path: Path) -> None:
    (tmp_path / "image.jpg").write_bytes(lossless(1200, 1100, 150))
    assert (decode_image(tmp_path / "image.jpg") == 150).all()


def test_one_of_12_bits_is_refused(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.new("L", (1100, 1100), 99).save(content, "JPEG")
    baseline = b"\xff\xc0\x00\x0b"  # its frame header; behind it, the bits of a pixel
    assert content.getvalue().count(baseline + b"\x08") == 1
    (tmp_path / "image.jpg").write_bytes(content.getvalue().replace(baseline + b"\x08", baseline + b"\x0c"))
    with pytest.raises(UnreadableItem, match="not an image of a known format"):
        decode_image(tmp_path / "image.jpg")


@several
@given(share=st.floats(0, 1), progressive=st.booleans(), mode=st.sampled_from(["L", "RGB"]))
def test_a_truncated_one_is_refused_wherever_it_would_be_if_decoded_whole(
    tmp_path: Path, share: float, progressive: bool, mode: str
) -> None:
    content, path = io.BytesIO(), tmp_path / "image.jpg"
    radiograph(1100, 1200, 0).convert(mode).save(content, "JPEG", progressive=progressive)
    path.write_bytes(content.getvalue()[: int(len(content.getvalue()) * share)])
    try:
        whole(path)
    except OSError:
        with pytest.raises(UnreadableItem, match=r"damaged or truncated image|not an image of a known format"):
            decode_image(path)
    else:
        check_looks_as_whole(path)
