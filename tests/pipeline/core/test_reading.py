"""Items read ahead of their use, the unreadable set aside, by workers that never outlive their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice, repeat
from pathlib import Path

import numpy as np
import psutil
import pytest
from omnifuse.cache_schema import OmniFuseError
from omnifuse.pipeline.core.reading import read_all
from omnifuse.pipeline.image.decode import decode_image
from omnifuse.pipeline.source import UnreadableItem
from PIL import Image

Draw = Callable[..., Path]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Write an array as an image file."""

    def write(pixels: np.ndarray, name: str = "image.png") -> Path:
        Image.fromarray(pixels).save(tmp_path / name)
        return tmp_path / name

    return write


def picture() -> np.ndarray:
    return np.linspace(0, 255, 230 * 230).reshape(230, 230).astype(np.uint8)


def read_number(path: Path) -> int:
    return int(path.read_text())


def test_whatever_a_reader_raises_sets_its_item_aside_without_its_content(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("7")
    bad.write_text("Jane Doe")
    number, damaged, missing = read_all([good, bad, tmp_path / "missing"], read_number, workers=0)
    assert number == 7
    assert str(damaged) == "damaged, or of a kind that the encoder does not read"
    assert str(missing) == "the file is missing"


@pytest.mark.parametrize("workers", [0, 2])
def test_all_are_read_in_order_and_the_unreadable_stand_in_their_place(draw: Draw, workers: int) -> None:
    paths = [draw(np.full((230, 230), level, np.uint8), f"{level}.png") for level in range(0, 240, 5)]
    paths[7].write_bytes(b"")
    decoded = list(read_all(paths, decode_image, workers))
    assert str(decoded[7]) == "not an image of a known format"
    levels = [image[0, 0] for image in decoded if not isinstance(image, UnreadableItem)]
    assert levels == [level for level in range(0, 240, 5) if level != 35]


def test_more_workers_than_cores_are_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    (tmp_path / "number").write_text("7")
    before = worker_processes()
    numbers = read_all([tmp_path / "number"] * 3, read_number, workers=64)
    assert next(numbers) == 7
    assert len(worker_processes() - before) == 1
    assert list(numbers) == [7, 7]


def worker_processes() -> set[psutil.Process]:
    """Return the spawned processes, without the tracker of semaphores."""
    children = psutil.Process().children(recursive=True)
    return {child for child in children if any("spawn_main" in part for part in child.cmdline())}


def test_it_asks_for_a_bounded_number_of_images_ahead(draw: Draw) -> None:
    path = draw(picture())
    asked: list[Path] = []
    images = read_all((asked.append(path) or path for _ in range(10_000)), decode_image, workers=1)
    next(images)
    images.close()
    assert len(asked) < 20


def test_a_worker_that_is_killed_is_said(draw: Draw) -> None:
    before = worker_processes()
    images = read_all(repeat(draw(picture())), decode_image, workers=1)
    next(images)
    for process in worker_processes() - before:
        process.kill()
    with pytest.raises(OmniFuseError, match=r"A process that read items was killed.*fewer --workers"):
        list(islice(images, 1000))


PARENT = """
import sys, time
from itertools import repeat
from pathlib import Path
from omnifuse.pipeline.core import reading
from omnifuse.pipeline.core.reading import read_all
from omnifuse.pipeline.image.decode import decode_image

if __name__ == "__main__":
    for _ in read_all(repeat(Path(sys.argv[1])), decode_image, workers=2):
        print("reading", flush=True)
        time.sleep(0.1)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_workers_end_when_their_parent_is_killed(draw: Draw, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script), str(draw(picture()))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "reading\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) >= 2
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (alive := [child for child in children if child.is_running()]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
