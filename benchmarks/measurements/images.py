"""Chest radiographs as JPEG through a ResNet34."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from .encoding import Extracting, blocks_of, compare, encoded_by
from .measure import Child, Measured, Versions, call, in_turns, ratios, summary, without_start
from .row import Family, Figure, Found, Row, Setting

if TYPE_CHECKING:
    import torch

IMAGES, QUICK_IMAGES = 500, 60
WIDTH, HEIGHT, DRAWN = 2544, 3056, 16
"""Pixels of an image, and how many are drawn; the others are copies that differ in a comment, so that none is known."""

BATCH, WORKERS = 32, 2
OPERATIONS = 2 * 3.66e9
"""Floating-point operations of ResNet34 for an image of 224 x 224."""

WEIGHTS = "resnet34.safetensors"
DECODED = 24
COMMENT = b"\xff\xfe\x00\x0c%010d"
SAME = 0.999

COSINE = Figure("least cosine of an image's vector to the plain one", "number", at_least=SAME)
PLAIN = "PIL, torchvision transforms, DataLoader with 2 workers, float32"

ROWS = {
    "images-decode": Row(
        "decoding a JPEG of 2,544 x 3,056 pixels",
        "PIL, torchvision transforms",
        {"cpu": Figure("times less CPU", at_least=2)},
        "Every coefficient of the file is read whatever the size of the picture; that is most of what is left.",
    ),
    "images-float32": Row(
        "500 JPEGs of 2,544 x 3,056 pixels, ResNet34, float32",
        PLAIN,
        {
            "clock": Figure("times faster", at_least=2.3),
            "cpu": Figure("times less CPU", at_least=2.3),
            "cosine": COSINE,
        },
        "The convolutions are the same arithmetic on both sides, and most of the time. Tried and left out: folding "
        "batch norms (5 to 10 % for an experimental API and other bytes), freezing the graph (6 % for 13 to 30 s), "
        "NNPACK (faster for three shapes of five, half as fast for two).",
    ),
    "images-bfloat16": Row(
        "the same in bfloat16, as this processor multiplies it",
        "the same, float32",
        {
            "clock": Figure("times faster", at_least=4),
            "cpu": Figure("times less CPU"),
            "cosine": COSINE,
        },
        "Decoding gains nothing from bfloat16 and is about a third of what is left; convolutions gain no more than "
        "matrix products do.",
    ),
}


def write_images(folder: Path, count: int = DRAWN) -> list[Path]:
    """Write grey JPEGs of about 1.7 MB unless they are there: structures of all sizes, grain, and a letter.

    All are different files; every sixteenth shows the same.
    """
    import numpy as np
    from PIL import Image, ImageDraw

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths[:DRAWN]):
        if not path.exists():
            rng = np.random.default_rng(number)
            grey = rng.normal(120, 2, (HEIGHT, WIDTH))
            for side, strength in ((4, 60), (16, 25), (64, 10), (256, 5), (1024, 3)):
                structure = Image.fromarray(rng.normal(0, strength, (side, side)).astype(np.float32))
                grey += np.asarray(structure.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
            image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
            ImageDraw.Draw(image).text((300, 300), "L", fill=255, font_size=200)
            image.save(path, quality=95)
    for number, path in enumerate(paths[DRAWN:], DRAWN):
        if not path.exists():
            drawn = paths[number % DRAWN].read_bytes()
            path.write_bytes(drawn[:2] + COMMENT % number + drawn[2:])
    return paths


def write_inputs(folder: str, count: int) -> list[str]:
    """Write images, and a ResNet34 with weights from a seed; return the paths of the images."""
    import torch
    from safetensors.torch import save_file
    from torchvision.models import resnet34

    torch.manual_seed(0)
    weights = Path(folder) / WEIGHTS
    if not weights.exists():
        save_file(resnet34().state_dict(), weights)
    return [str(path) for path in write_images(Path(folder) / "jpeg", count)]


class PlainReader:
    """A data set of images ``[3, 224, 224]``, read as the loops of most papers do."""

    def __init__(self, paths: Sequence[str | Path]) -> None:
        from torchvision import transforms

        self._paths = paths
        self._transform = transforms.Compose(
            [
                transforms.Resize(256),
                transforms.CenterCrop(224),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> torch.Tensor:
        from PIL import Image

        with Image.open(self._paths[number]) as image:
            tensor: torch.Tensor = self._transform(image.convert("RGB"))
        return tensor


class Plain:
    """The loop of most papers."""

    def __init__(self, weights: str, device: str = "cpu") -> None:
        import torch
        from safetensors.torch import load_file
        from torchvision.models import resnet34

        self._device = device
        self._model = resnet34()
        self._model.load_state_dict(load_file(weights))
        self._model.fc = torch.nn.Identity()
        self._model.eval().to(device)

    def encode(self, items: list[str]) -> None:
        """Encode images and drop the vectors."""
        self._vectors(items)

    def store_vectors(self, path: str, items: list[str]) -> None:
        """Write the vectors."""
        import numpy as np

        np.save(path, self._vectors(items))

    def _vectors(self, paths: list[str]) -> Any:
        """Return vectors [n, 512]."""
        import torch
        from torch.utils.data import DataLoader

        loader = DataLoader(PlainReader(paths), BATCH, num_workers=WORKERS)  # type: ignore[arg-type, var-annotated]
        with torch.inference_mode():
            return torch.cat([self._model(batch.to(self._device)).cpu() for batch in loader]).numpy()


class Reading:
    """Reads images in one process and drops them, plainly or as the product does."""

    def __init__(self, plain: bool) -> None:
        import torch
        from omnifuse.pipeline.frozen_encoders import frozen_encoder

        torch.set_num_threads(1)
        self._plain = plain
        self._encoder = frozen_encoder("image", "random")

    def read(self, items: list[str]) -> None:
        """Read images."""
        if self._plain:
            reader = PlainReader(items)
            for number in range(len(reader)):
                reader[number]
        else:
            for path in items:
                self._encoder.read(Path(path))


def ours(setting: Setting, precision: str, gpu: bool = False) -> Child:
    """Return a process in which images are extracted."""
    weights = setting.folder / WEIGHTS
    return Child(
        "measurements.images:Extracting", gpu=gpu, folder=str(setting.folder / f"images-{precision or 'own'}"),
        column="image:cxr", precision=precision, encoder={"image_encoder": str(weights)},
    )  # fmt: skip


def measure(setting: Setting) -> Mapping[str, Found]:
    """Measure all rows: a block of images goes through every version before the next does."""
    count = QUICK_IMAGES if setting.quick else IMAGES
    paths = call("measurements.images:write_inputs", folder=str(setting.folder), count=count).value
    blocks, few = blocks_of(paths, setting.turns), paths[:WORKERS]
    with (
        Child("measurements.images:Plain", weights=str(setting.folder / WEIGHTS)) as plain,
        ours(setting, "float32") as single,
        ours(setting, "") as own,
        Child("measurements.machine:Matmul", precision="float32") as peak,
    ):
        chosen = str(own.ask("chosen_precision").value)
        single_encode, own_encode = encoded_by(single.ask), encoded_by(own.ask)
        versions: Versions[Any] = {
            "plain": lambda items: plain.ask("encode", items=items),
            "plain start": lambda _: plain.ask("encode", items=few),
            "float32": single_encode,
            "float32 start": lambda _: single_encode(few),
            "float32 peak": lambda _: peak.ask("rate"),
            "own": own_encode,
            "own start": lambda _: own_encode(few),
        }
        for name in ("plain start", "float32 start", "own start"):  # imports
            versions[name](few)
        taken = in_turns(blocks, versions)
        cosines = [compare(setting.folder, plain, side, paths) for side in (single, own)]
    found = {
        "images-decode": _decoding(setting, paths),
        "images-float32": _found(taken, "float32", blocks, cosines[0]),
        "images-bfloat16": _found(taken, "own", blocks, cosines[1]),
    }
    if chosen != "bfloat16":
        found["images-bfloat16"] = Found(missing="This processor does not multiply bfloat16.")
    return found


def _decoding(setting: Setting, paths: Sequence[str]) -> Found:
    blocks = blocks_of(list(islice(paths, DECODED)), setting.turns)
    with (
        Child("measurements.images:Reading", plain=True) as plain,
        Child("measurements.images:Reading", plain=False) as product,
    ):
        versions: Versions[Any] = {
            "plain": lambda items: plain.ask("read", items=items),
            "ours": lambda items: product.ask("read", items=items),
        }
        for read in versions.values():
            read(paths[:1])  # imports
        taken = in_turns(blocks, versions)
    size = median(Path(path).stat().st_size for path in paths) / 1e6
    return Found(
        {"cpu": ratios(taken["plain"], taken["ours"], "cpu_seconds")},
        {**summary(taken["ours"]), "items": len(blocks[0])},
        {**summary(taken["plain"]), "items": len(blocks[0])},
        f"{len(blocks)} blocks of {len(blocks[0])} images of {size:.1f} MB, one process.",
    )


def _found(
    taken: Mapping[str, Sequence[Measured]], version: str, blocks: Sequence[Sequence[str]], cosine: float
) -> Found:
    start = taken[f"{version} start"]
    net, plain = without_start(taken[version], start), without_start(taken["plain"], taken["plain start"])
    peak = median(float(one.value) for one in taken["float32 peak"])
    return Found(
        {
            "clock": ratios(plain, net),
            "cpu": ratios(plain, net, "cpu_seconds"),
            "cosine": [cosine],
        },
        {**summary(net, start), "items": len(blocks[0])},
        {**summary(plain, taken["plain start"]), "items": len(blocks[0])},
        f"{len(blocks)} blocks of {len(blocks[0])} images; at the float32 peak of matrix products the network alone "
        f"would take {peak / OPERATIONS:.0f} images a second.",
    )


FAMILY = Family("images", ROWS, measure)

__all__ = ["FAMILY", "ROWS", "Extracting", "Plain", "Reading", "write_images", "write_inputs"]
