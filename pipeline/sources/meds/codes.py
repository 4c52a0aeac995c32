"""Which codes of a MEDS data set become columns: those that a file lists, or the most frequent ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from ....cache_schema import InputError
from ...tables.feature_files import reading
from ..files.columns import read_names, read_yaml
from .rows import Readers

MOST_CODES = {"ehr": 100, "codes": 200, "static": 50}
"""At most this many codes are chosen for each modality."""

Codes = Mapping[str, tuple[str, ...]]
"""The codes of each modality, in the order of its columns."""


def read_codes(path: Path) -> Codes:
    """Return the codes that a YAML file lists: ``ehr: [CODE, CODE]``, and ``codes`` and ``static`` like it.

    Raises :class:`InputError` for another modality, or anything but lists of texts.
    """
    listed = read_yaml(path, "ehr: [HEART_RATE, LAB//SODIUM]")
    if unknown := [name for name in listed if name not in MOST_CODES]:
        raise InputError(f"{path}: unknown modality {unknown[0]!r}; known are {', '.join(MOST_CODES)}.")
    return {name: read_names(codes, name, path) for name, codes in listed.items()}


def most_frequent(files: Sequence[Path], windows: pl.DataFrame, readers: Readers) -> Codes:
    """Return for each modality the codes that the most samples have in their windows, in alphabetical order.

    No label decides it. Of codes that equally many have, the first of the alphabet are taken.
    """
    counts = pl.DataFrame(schema={"modality": pl.String, "code": pl.String, "samples": pl.Int64})
    for path in files:
        rows = [rows(path, windows).select("sample", "code", modality=pl.lit(name)) for name, rows in readers.items()]
        counted = pl.concat(rows).unique().group_by("modality", "code").agg(samples=pl.len().cast(pl.Int64))
        with reading(path):
            counts = pl.concat([counts, counted.select(counts.columns).collect(engine="streaming")])
        counts = counts.group_by("modality", "code").agg(pl.col("samples").sum())
    ranked = counts.sort(["samples", "code"], descending=[True, False])
    return {
        name: tuple(ranked.filter(pl.col("modality") == name)["code"].head(most).sort())
        for name, most in MOST_CODES.items()
    }
