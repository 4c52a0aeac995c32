"""Texts and images on a GPU, where there is one: the same loops, and how busy it is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from tempfile import TemporaryFile
from typing import Any

from . import images, texts
from .encoding import blocks_of, compare, encoded_by
from .measure import Child, Measured, Versions, call, in_turns, ratios, summary, without_start
from .row import Family, Figure, Found, Row, Setting

REPORTS, QUICK_REPORTS = 40_000, 4000
BUSY = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=100")
MISSING = "This machine has no GPU."

BUSY_SHARE = Figure("of the time the GPU is busy", "share", at_least=0.8)
PLAIN = "the same loop on that GPU, float32"

ROWS = {
    "texts-gpu": Row(
        "reports on a GPU, bert-base shape",
        PLAIN,
        {
            "clock": Figure("times faster", at_least=8),
            "busy": BUSY_SHARE,
            "cosine": Figure("least cosine of a token's vector to the plain one", "number", at_least=texts.SAME),
        },
        "Not known: never measured.",
    ),
    "images-gpu": Row(
        "JPEGs on a GPU, ResNet34",
        PLAIN,
        {"clock": Figure("times faster", at_least=3), "busy": BUSY_SHARE, "cosine": images.COSINE},
        "Not known: never measured.",
    ),
}


def measure(setting: Setting) -> Mapping[str, Found]:
    """Measure both rows."""
    if not call("measurements.machine:has_gpu", gpu=True).value:
        return dict.fromkeys(ROWS, Found(missing=MISSING))
    folder, turns = setting.folder, setting.turns
    call("measurements.texts:write_encoder", folder=str(folder / texts.ENCODER))
    reports = texts.reports(QUICK_REPORTS if setting.quick else REPORTS)
    count = images.QUICK_IMAGES if setting.quick else images.IMAGES
    paths = call("measurements.images:write_inputs", folder=str(folder), count=count).value
    plain_texts = {"encoder": str(folder / texts.ENCODER), "device": "cuda"}
    plain_images = {"weights": str(folder / images.WEIGHTS), "device": "cuda"}
    return {
        "texts-gpu": _found(
            setting, Child("measurements.texts:Plain", gpu=True, **plain_texts), texts.ours(setting, "", gpu=True),
            blocks_of(reports, turns), texts.reports(2, seed=1),
        ),
        "images-gpu": _found(
            setting, Child("measurements.images:Plain", gpu=True, **plain_images), images.ours(setting, "", gpu=True),
            blocks_of(paths, turns), paths[:2],
        ),
    }  # fmt: skip


def _found(
    setting: Setting, plain: Child, product: Child, blocks: Sequence[Sequence[str]], few: Sequence[str]
) -> Found:
    busy: list[float] = []
    encode = encoded_by(product.ask)
    with plain, product:
        versions: Versions[Any] = {
            "plain": lambda items: plain.ask("encode", items=list(items)),
            "plain start": lambda _: plain.ask("encode", items=list(few)),
            "ours": lambda items: _watched(busy, lambda: encode(items)),
            "ours start": lambda _: encode(few),
        }
        for name in ("plain start", "ours start"):  # imports
            versions[name](few)
        taken = in_turns(blocks, versions)
        cosine = compare(setting.folder, plain, product, blocks[0])
    net, theirs = (without_start(taken[name], taken[f"{name} start"]) for name in ("ours", "plain"))
    return Found(
        {"clock": ratios(theirs, net), "busy": busy, "cosine": [cosine]},
        {**summary(net, taken["ours start"]), "items": len(blocks[0])},
        {**summary(theirs, taken["plain start"]), "items": len(blocks[0])},
        f"{len(blocks)} blocks of {len(blocks[0]):,}; the time in which the GPU is busy has the start in it.",
    )


def _watched(busy: list[float], work: Callable[[], Measured]) -> Measured:
    """Do the work and note in which share of its time the GPU was busy, where the driver's own program says it."""
    if not shutil.which(BUSY[0]):
        return work()
    with TemporaryFile("w+") as said:
        watch = subprocess.Popen(BUSY, stdout=said, stderr=subprocess.DEVNULL)
        try:
            measured = work()
        finally:
            watch.terminate()
            watch.wait()
        said.seek(0)
        shares = [int(line) / 100 for line in said if line.strip().isdigit()]
    busy.append(mean(shares) if shares else 0.0)
    return measured


FAMILY = Family("gpu", ROWS, measure)
