"""What texts and images share: ours is a whole ``omnifuse.extract`` of a table, and vectors of both sides compare."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .measure import Child, Measured, call, remove_cache

Items = Sequence[str]
COMPARED = 16


class Extracting:
    """The product on a table of items: ``omnifuse.extract`` into a new cache, nothing kept between two calls.

    Parameters
    ----------
    folder
        Where tables and caches are written.
    column
        What the items are, such as ``text:note``.
    precision
        ``float32``, or nothing for what this machine would compute in.
    encoder
        The options of `omnifuse.extract` that name it.
    """

    def __init__(self, folder: str, column: str, precision: str, encoder: dict[str, Any]) -> None:
        import torch
        from omnifuse.pipeline import frozen_torch

        if precision:
            frozen_torch.fast_precision = lambda device: getattr(torch, precision)  # noqa: ARG005
        self.precision = str(frozen_torch.fast_precision(frozen_torch.default_device())).removeprefix("torch.")
        self._folder, self._column, self._encoder = Path(folder), column, encoder
        self._made = 0
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)

    def chosen_precision(self) -> str:
        """Return the precision in which items are encoded."""
        return self.precision

    def encode(self, items: list[str]) -> None:
        """Make a cache of the items."""
        import omnifuse
        from omnifuse.processes import cores

        self._made += 1
        table = self._folder / f"{self._made}.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["sample_id", "subject_id", "label", self._column])
            rows.writerows([number, number, number % 2, item] for number, item in enumerate(items))
        omnifuse.extract("files", cache=self._cache(), samples=table, workers=cores(), progress=False, **self._encoder)

    def forget(self) -> None:
        """Delete the last cache."""
        remove_cache(self._cache())

    def store_vectors(self, path: str, items: int) -> None:
        """Write the rows of the first items of the last cache as one matrix."""
        import numpy as np
        from omnifuse import FeatureCache

        modality = FeatureCache.open(self._cache()).modality(self._column.partition(":")[2])
        np.save(path, np.concatenate([modality[sample] for sample in range(items)]))

    def _cache(self) -> Path:
        return self._folder / f"cache-{self._made}"


def encoded_by(ask: Callable[..., Measured]) -> Callable[[Items], Measured]:
    """Return what lets a child of :class:`Extracting` encode, and deletes afterwards what is not measured."""

    def encode(items: Items) -> Measured:
        measured = ask("encode", items=items)
        ask("forget")
        return measured

    return encode


def compare(folder: Path, plain: Child, product: Child, items: Items) -> float:
    """Return the least cosine of a vector of the product's to the plain one, of the first items."""
    few, files = list(items[:COMPARED]), [str(folder / name) for name in ("plain.npy", "ours.npy")]
    plain.ask("store_vectors", path=files[0], items=few)
    product.ask("encode", items=few)
    product.ask("store_vectors", path=files[1], items=len(few))
    product.ask("forget")
    return float(call("measurements.encoding:least_cosine", path=files[0], other=files[1]).value)


def least_cosine(path: str, other: str) -> float:
    """Return the least cosine of two rows in the same place of two matrices in files."""
    import numpy as np

    a, b = (np.load(file).astype(np.float64) for file in (path, other))
    cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return float(cosine.min())


def blocks_of(items: Sequence[Any], count: int) -> list[list[Any]]:
    """Cut items into ``count`` lists of equal length; what is left over is left out."""
    size = len(items) // count
    return [list(items[start * size : (start + 1) * size]) for start in range(count)]
