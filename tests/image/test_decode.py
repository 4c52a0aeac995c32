"""Image files to pixels: what the result is, what is unreadable, and workers that never outlive their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from omnifuse.pipeline.image.decode import SIZE, decode_all, decode_image
from omnifuse.pipeline.source import UnreadableItem
from PIL import Image

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


def test_a_constant_16_bit_image_is_black(draw: Draw) -> None:
    assert (decode_image(draw(np.full((300, 300), 4095, np.uint16))) == 0).all()


def test_jpeg_and_tiny_images_are_decoded(draw: Draw) -> None:
    assert decode_image(draw(gradient(300, 400), "image.jpg")).shape == (SIZE, SIZE)
    assert decode_image(draw(gradient(1, 1))).shape == (SIZE, SIZE)


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


@pytest.mark.parametrize("workers", [0, 2])
def test_all_are_decoded_in_order_and_the_unreadable_stand_in_their_place(draw: Draw, workers: int) -> None:
    paths = [draw(np.full((230, 230), level, np.uint8), f"{level}.png") for level in range(0, 240, 5)]
    paths[7].write_bytes(b"")
    decoded = list(decode_all(paths, workers))
    assert str(decoded[7]) == "not an image of a known format"
    levels = [image[0, 0] for image in decoded if not isinstance(image, UnreadableItem)]
    assert levels == [level for level in range(0, 240, 5) if level != 35]


def test_it_asks_for_a_bounded_number_of_images_ahead(draw: Draw) -> None:
    path = draw(gradient(230, 230))
    asked: list[Path] = []
    images = decode_all((asked.append(path) or path for _ in range(10_000)), workers=1)
    next(images)
    images.close()
    assert len(asked) < 20


PARENT = """
import sys, time
from itertools import repeat
from pathlib import Path
from omnifuse.pipeline.image.decode import decode_all

if __name__ == "__main__":
    for _ in decode_all(repeat(Path(sys.argv[1])), workers=2):
        print("decoding", flush=True)
        time.sleep(0.1)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_workers_end_when_their_parent_is_killed(draw: Draw, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script), str(draw(gradient(230, 230)))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "decoding\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) >= 2
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (alive := [child for child in children if child.is_running()]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
