"""The samples of several caches in one table, each under the name of its place."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from .read import StoredCache


@dataclass(frozen=True)
class JoinedSamples:
    """The samples of all places in the order of their new ids."""

    places: Mapping[str, StoredCache]
    column: str
    shared_patients: bool

    @cached_property
    def _ordered(self) -> pl.DataFrame:
        ids = ["sample_id"] if self.shared_patients else ["sample_id", "subject_id"]
        parts = [
            cache.samples.with_columns(pl.col("subject_id").cast(pl.String))
            .with_columns(*(after(f"{name}-", one) for one in ids), pl.lit(name).alias(self.column))
            .with_row_index(" row")
            for name, cache in self.places.items()
        ]
        return together(parts).sort("sample_id")

    @cached_property
    def samples(self) -> pl.DataFrame:
        """The table of samples."""
        return self._ordered.drop(" row")

    def of(self, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return where the samples of a place are here, rising, and where each is in its own cache."""
        here = np.flatnonzero((self._ordered[self.column] == name).to_numpy())
        return here, self._ordered[" row"].to_numpy()[here].astype(np.int64)


def after(prefix: str, column: str) -> pl.Expr:
    """Return a column as text with something in front."""
    return (prefix + pl.col(column).cast(pl.String)).alias(column)


def together(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Return tables one below the other; a column that has several types becomes text, one that some lack is empty."""
    types: dict[str, set[pl.DataType]] = {}
    for part in parts:
        for name, dtype in part.schema.items():
            types.setdefault(name, set()).add(dtype)
    mixed = [name for name, found in types.items() if len(found) > 1]
    texts = [
        part.with_columns(pl.col(name).cast(pl.String) for name in mixed if name in part.columns) for part in parts
    ]
    return pl.concat(texts, how="diagonal")
