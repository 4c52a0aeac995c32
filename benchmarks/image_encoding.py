"""What limits a ResNet34 on this processor: ways to compute it beside the largest matrix product, in GFLOP/s.

    OMP_NUM_THREADS=1 python benchmarks/image_encoding.py [--images 16] [--repeats 5]

Compared are the model as torchvision builds it, with the channels last as ``extract`` computes it, and that with each
batch norm folded into the convolution before it. All give vectors within the recipe's tolerance of each other; the
least cosine is printed. The ways take turns; each figure is the median of the repeats by CPU time, with the least and
greatest. One image is 3.66 billion multiplications and additions, each of which counts as two operations.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from omnifuse.pipeline.frozen_torch import fast_precision
from omnifuse.pipeline.image.decode import SIZE
from omnifuse.pipeline.image.torchvision_models import Torchvision
from torch.fx.experimental.optimization import fuse

OPERATIONS = 2 * 3.66e9
SIDE = 2048
"""Of the matrices whose product is the limit."""


def ways(images: torch.Tensor) -> dict[str, Callable[[], torch.Tensor]]:
    """Return what computes vectors ``[B, 512]`` of ``[B, 3, 224, 224]`` in each way, in the precision of the images."""
    plain, ours, folded = (Torchvision("resnet34=random").module().eval().requires_grad_(False) for _ in range(3))
    last = images.contiguous(memory_format=torch.channels_last)
    models = {"plain": plain, "channels last": ours, "channels last, norms folded": fuse(folded)}
    for name, model in models.items():
        model.to(images.dtype)
        if name != "plain":
            model.to(memory_format=torch.channels_last)
    return {
        name: lambda model=model, at=images if name == "plain" else last: model(at) for name, model in models.items()
    }


def print_precision(dtype: torch.dtype, images: int, repeats: int) -> None:
    """Print a table of the ways in one precision."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(SIDE, SIDE, generator=generator).to(dtype)
    works = ways(torch.randn(images, 3, SIZE, SIZE, generator=generator).to(dtype))
    operations = dict.fromkeys(works, images * OPERATIONS) | {"matrix product": 2.0 * SIDE**3}
    works["matrix product"] = lambda: matrix @ matrix
    vectors = {name: work().float() for name, work in works.items()}  # what is built once is built here
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            start = time.process_time()
            work()
            taken[name].append(time.process_time() - start)
    print(f"\n| {str(dtype).removeprefix('torch.')} | GFLOP/s | least to greatest | images a second | cosine |")
    print("|---|---|---|---|---|")
    for name, seconds in taken.items():
        speeds = sorted(operations[name] / second / 1e9 for second in seconds)
        rate, cosine = "", ""
        if name != "matrix product":
            rate = f"{median(speeds) * 1e9 / OPERATIONS:.1f}"
            cosine = f"{torch.cosine_similarity(vectors[name], vectors['plain']).min():.6f}"
        print(f"| {name} | {median(speeds):.0f} | {speeds[0]:.0f} to {speeds[-1]:.0f} | {rate} | {cosine} |")


def main() -> None:
    """Print a table for float32, and one for bfloat16 where the processor multiplies it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads")
    with torch.inference_mode():
        for dtype in dict.fromkeys((torch.float32, fast_precision(torch.device("cpu")))):
            print_precision(dtype, options.images, options.repeats)


if __name__ == "__main__":
    main()
