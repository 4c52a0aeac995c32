"""The size of a cache, and how fast it is read into memory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from .measure import Child, Measured, call, in_turns, summary
from .row import Family, Figure, Found, Row, Setting

STAYS, QUICK_STAYS = 20_000, 4000
PADDED_TOKENS = 150

ROWS = {
    "size": Row(
        "a cache of 20,000 stays on disk",
        "padded float32 arrays",
        {"size": Figure("of the bytes", "share", at_most=0.25)},
        "Vectors of tokens are noise to a compressor and stored as float16; how many tokens a report has decides.",
    ),
    "load": Row(
        "opening and loading it for a training",
        "copying the same arrays in memory",
        {
            "new": Figure("of the rate of a copy into new memory", "share", at_least=0.5),
            "same": Figure("of the rate of a copy into the same memory", "share"),
        },
        "Every byte goes through a checksum, is decoded, and is looked through for infinite values; the system gives "
        "new memory page by page.",
    ),
}


def cache_folder(setting: Setting, stays: int) -> Path:
    """Return a cache of so many stays, written the first time."""
    cache = setting.folder / f"stays-{stays}"
    if not cache.exists():
        call("measurements.caches:write", cache=str(cache), stays=stays)
    return cache


def write(cache: str, stays: int) -> None:
    """Write a cache of EHR in 24 bins, images and reports; see train_epoch.py."""
    from train_epoch import write_cache

    write_cache(Path(cache), stays)


def sizes(cache: str) -> dict[str, int]:
    """Return the bytes of a cache on disk, and of its modalities as float32 padded to the longest sample."""
    from omnifuse import FeatureCache

    opened = FeatureCache.open(cache)
    padded = 0
    for name in opened.modalities:
        offsets = opened.offsets(name)
        longest = PADDED_TOKENS if name == "rep" else int((offsets[1:] - offsets[:-1]).max())
        padded += (len(offsets) - 1) * longest * opened.dim(name) * 4
    return {"disk": sum(path.stat().st_size for path in Path(cache).rglob("*") if path.is_file()), "padded": padded}


class Loading:
    """Loads a cache for a training, or copies what was loaded."""

    def __init__(self, cache: str) -> None:
        self._cache = cache
        self._arrays: list[Any] = []
        self._same: list[Any] = []

    def load(self) -> int:
        """Open and load the cache; return its bytes in memory."""
        from omnifuse import FeatureCache
        from omnifuse.fusion.inputs.loading import load

        self._arrays, self._same = [], []
        cohort = load(FeatureCache.open(self._cache), "outcome")
        self._arrays = [source.rows.values for source in cohort.sources.values()]
        return sum(array.nbytes for array in self._arrays)

    def copy(self) -> None:
        """Copy what was loaded into new memory."""
        self._same = []
        self._same = [array.copy() for array in self._arrays]

    def copy_again(self) -> None:
        """Copy it into the memory of the last copy."""
        import numpy as np

        for copy, array in zip(self._same, self._arrays, strict=True):
            np.copyto(copy, array)


def measure(setting: Setting) -> Mapping[str, Found]:
    """Measure both."""
    cache = str(cache_folder(setting, QUICK_STAYS if setting.quick else STAYS))
    size = call("measurements.caches:sizes", cache=cache).value
    with Child("measurements.caches:Loading", cache=cache) as child:
        child.ask("load")  # imports, and the file is in the system's memory
        methods = ("load", "copy", "copy_again")
        taken = in_turns(range(setting.turns), {name: partial(_ask, child, name) for name in methods})
    seconds = {name: [one.seconds for one in measured] for name, measured in taken.items()}
    gigabytes = taken["load"][0].value / 1e9
    return {
        "size": Found(
            {"size": [size["disk"] / size["padded"]]},
            note=f"{size['disk'] / 1e9:.2f} GB for {size['padded'] / 1e9:.2f} GB, reports padded to {PADDED_TOKENS}.",
        ),
        "load": Found(
            {
                "new": [copy / load for copy, load in zip(seconds["copy"], seconds["load"], strict=True)],
                "same": [copy / load for copy, load in zip(seconds["copy_again"], seconds["load"], strict=True)],
            },
            summary(taken["load"]),
            summary(taken["copy"]),
            f"{gigabytes:.2f} GB, in the system's file cache; copies in one thread.",
        ),
    }


def _ask(child: Child, method: str, _turn: int) -> Measured:
    return child.ask(method)


FAMILY = Family("caches", ROWS, measure)
