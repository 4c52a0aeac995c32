"""Chest radiographs decoded in a second, by the number of worker processes.

    python benchmarks/image_decoding.py [--images 300] [--workers 0,1,2] [--folder DIR]

The images are grey JPEGs of 2,544 x 3,056 pixels, the usual size of MIMIC-CXR-JPG. Workers are busy with
others before the first and after the last that is counted.
"""

import argparse
import json
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from omnifuse.pipeline.core.reading import WAITING_PER_WORKER, read_all
from omnifuse.pipeline.image.decode import decode_image
from PIL import Image

WIDTH, HEIGHT, FILES = 2544, 3056, 20


def write_images(folder: Path) -> list[Path]:
    """Write a few images unless they are there; smooth shapes and noise, so that they compress as radiographs do."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.jpg" for number in range(FILES)]
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / HEIGHT
    for number, path in enumerate(paths):
        if not path.exists():
            rng = np.random.default_rng(number)
            grey = 128 + 80 * np.sin(7 * x + number) * np.cos(5 * y) + rng.normal(0, 8, x.shape)
            Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(path, quality=95)
    return paths


def images_a_second(paths: list[Path], images: int, workers: int) -> float:
    """Return how many images are decoded in a second when nobody else works on them."""
    warm = ahead = 2 * WAITING_PER_WORKER * max(1, workers)
    decoded = read_all(islice(cycle(paths), warm + images + ahead), decode_image, workers)
    for _ in islice(decoded, warm):
        pass
    start = time.perf_counter()
    for image in islice(decoded, images):  # always as many waiting behind them
        assert isinstance(image, np.ndarray)
    return images / (time.perf_counter() - start)


def main() -> None:
    """Print images a second for each number of workers, and how much faster two are than one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--workers", default="0,1,2")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "omnifuse-decode-benchmark")
    options = parser.parse_args()
    paths = write_images(options.folder)
    speeds = {}
    for workers in map(int, options.workers.split(",")):
        speeds[workers] = round(images_a_second(paths, options.images, workers), 2)
        print(json.dumps({"workers": workers, "images_per_second": speeds[workers]}))
    if {1, 2} <= speeds.keys():
        print(json.dumps({"speed_up_of_two": round(speeds[2] / speeds[1], 2)}))


if __name__ == "__main__":
    main()
