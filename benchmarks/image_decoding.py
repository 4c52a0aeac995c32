"""What decoding and encoding a chest radiograph takes, in CPU seconds, and images a second by the number of workers.

    OMP_NUM_THREADS=1 python benchmarks/image_decoding.py [--images 60] [--repeats 5] [--workers 0,1,2] [--folder DIR]

The images are grey JPEGs of 2,544 x 3,056 pixels and about 1.7 MB, as those of MIMIC-CXR-JPG are. Compared are the
plain loop (Pillow, then the transforms of torchvision), decoding of all pixels, and what ``extract`` does: a decoder
that makes a smaller picture. They take turns; each figure is the median of the repeats, with the least and greatest.
CPU seconds change little on a machine that is busy with other things, images a second much.

Encoding is by a ResNet34 with weights from a seed, in float32 and, last, in bfloat16 where the processor multiplies it;
its vectors tell how much the smaller picture changes.
"""

import argparse
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from tempfile import gettempdir
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import torch
from measurements.images import PlainReader, write_images
from omnifuse.pipeline import frozen_torch
from omnifuse.pipeline.core.reading import WAITING_PER_WORKER, read_all
from omnifuse.pipeline.image import decode
from omnifuse.pipeline.image.decode import Pixels, decode_image
from omnifuse.pipeline.image.encoder import ImageEncoder
from omnifuse.pipeline.image.torchvision_models import Torchvision

BATCH = 16

RESNET34 = Torchvision("resnet34=random")

Decode = Callable[[Path], Pixels | torch.Tensor]


def plain(path: Path) -> torch.Tensor:
    """Return an image ``[3, 224, 224]`` as the loops of most papers read it."""
    return PlainReader([path])[0]


def whole(path: Path) -> Pixels:
    """Return an image as `decode_image` does, but decode all of its pixels."""
    with patch.object(decode, "_decode_smaller", lambda image: image.size):
        return decode_image(path)


def cpu_seconds(work: Callable[[list[Path]], object], paths: list[Path]) -> float:
    """Return the CPU seconds of all threads for each of the images."""
    start = time.process_time()
    work(paths)
    return (time.process_time() - start) / len(paths)


def print_turns(title: str, works: dict[str, Callable[[list[Path]], object]], paths: list[Path], repeats: int) -> None:
    """Print what an image takes in each way, the ways taking turns; the first way is what the others are held to."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work(paths[:2])  # imports
    for _ in range(repeats):
        for name, work in works.items():
            taken[name].append(1000 * cpu_seconds(work, paths))
    first = median(next(iter(taken.values())))
    print(f"\n| {title} | CPU ms an image | least to greatest | times less |\n|---|---|---|---|")
    for name, values in taken.items():
        print(
            f"| {name} | {median(values):.1f} | {min(values):.1f} to {max(values):.1f} | {first / median(values):.2f} |"
        )


def encoder() -> ImageEncoder:
    """Return a ResNet34 in float32, whatever the processor multiplies."""
    with patch.object(frozen_torch, "fast_precision", return_value=torch.float32):
        return ImageEncoder(RESNET34)


def print_difference(paths: list[Path], model: ImageEncoder) -> None:
    """Print how far pixels and vectors are from those of the whole pictures."""
    pixels, expected = (np.stack([read(path) for path in paths]) for read in (decode_image, whole))
    off = np.abs(pixels.astype(int) - expected)
    found, vectors = (model.encode(images).astype(np.float64) for images in (pixels, expected))
    lengths = np.linalg.norm(found, axis=1), np.linalg.norm(vectors, axis=1)
    cosine = (found * vectors).sum(1) / (lengths[0] * lengths[1])
    error = np.linalg.norm(found - vectors, axis=1) / lengths[1]
    print(
        f"\nGrey levels differ by at most {off.max()}, by more than 1 at {(off > 1).mean():.3%} of the pixels; "
        f"vectors by at most {error.max():.5f} of their length, cosine at least {cosine.min():.6f}."
    )


def images_a_second(paths: list[Path], images: int, workers: int) -> float:
    """Return how many images are decoded in a second; workers are busy with others before and after those counted."""
    warm = ahead = 2 * WAITING_PER_WORKER * max(1, workers)
    decoded = read_all(islice(cycle(paths), warm + images + ahead), decode_image, workers)
    for _ in islice(decoded, warm):
        pass
    start = time.perf_counter()
    for image in islice(decoded, images):  # always as many waiting behind them
        assert isinstance(image, np.ndarray)
    return images / (time.perf_counter() - start)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", default="0,1,2")
    parser.add_argument("--folder", type=Path, default=Path(gettempdir()) / "omnifuse-decode-benchmark")
    options = parser.parse_args()
    files = write_images(options.folder)
    paths = list(islice(cycle(files), options.images))
    print(
        f"{np.mean([path.stat().st_size for path in files]) / 1e6:.1f} MB an image, {torch.get_num_threads()} threads"
    )

    ways: dict[str, Decode] = {"plain loop": plain, "whole picture": whole, "smaller picture": decode_image}
    print_turns("decoding", {name: alone(way) for name, way in ways.items()}, paths, options.repeats)
    model, fast = encoder(), ImageEncoder(RESNET34)
    works = {name: encoded(way, model) for name, way in ways.items()}
    works[f"smaller picture, {fast.precision}"] = encoded(decode_image, fast)
    print_turns("decoding and encoding", works, paths, options.repeats)
    print_difference(files, model)

    print("\n| workers | images a second |\n|---|---|")
    for workers in map(int, options.workers.split(",")):
        print(f"| {workers} | {images_a_second(files, options.images, workers):.1f} |")


def alone(read: Decode) -> Callable[[list[Path]], object]:
    """Return what decodes images and drops them."""
    return lambda paths: [read(path).shape for path in paths]


def encoded(read: Decode, model: ImageEncoder) -> Callable[[list[Path]], object]:
    """Return what decodes and encodes images in batches: tensors by the plain model, grey levels by ours."""

    def batch(paths: list[Path]) -> npt.NDArray[np.floating]:
        images = [read(path) for path in paths]
        if isinstance(images[0], torch.Tensor):
            with torch.inference_mode():
                vectors: npt.NDArray[np.floating] = network(torch.stack(images)).numpy()  # type: ignore[arg-type]
            return vectors
        return model.encode(np.stack(images))

    network = RESNET34.module().eval()
    return lambda paths: [batch(paths[start : start + BATCH]) for start in range(0, len(paths), BATCH)]


if __name__ == "__main__":
    main()
