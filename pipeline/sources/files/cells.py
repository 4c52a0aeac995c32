"""Numbers and categories of a user's table: one row a sample."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ....cache_schema import Column, InputError
from ...source import Block, Quarantine, TableModality
from ...tables.feature_files import SAMPLE_ID, STAGE, PlaceOf, feature_block, read_numbers
from ...tables.labels import as_classes, in_order
from ...tables.sample_table import SampleTable
from .columns import CATEGORIES, LEVELS, Content

VERSION = 4
"""To be raised whenever the same cells would give other numbers."""

MOST_LEVELS = 100

Levels = Mapping[str, tuple[str, ...]]


def cells_modality(
    name: str, contents: Sequence[Content], given: Levels, samples: SampleTable, path: Path
) -> TableModality:
    """Return the modality of some columns: a number as it is, a category as a column of 0 and 1 for each level.

    ``given`` are the levels of categories by the name of the column; those of others are what stands in the table.

    Raises
    ------
    InputError
        If a category has so many levels that it is none.
    """
    levels = {
        content.name: given.get(content.name) or levels_of(samples.table[content.column], path)
        for content in contents
        if content.kind == CATEGORIES
    }
    columns = tuple(column for content in contents for column in _columns(content, levels))
    recipe: dict[str, Any] = {"files": VERSION}  # what a column was called in this table decides no number
    if levels:
        recipe["levels"] = {name: list(known) for name, known in levels.items()}
    blocks = partial(_blocks, contents, levels, samples, path)
    return TableModality(name, "features", columns, "one row of cells a sample", recipe, (path,), blocks)


def levels_of(column: pl.Series, path: Path) -> tuple[str, ...]:
    """Return the levels that stand in a column; raises :class:`InputError` for more than a category can have."""
    levels = as_classes(column).drop_nulls().unique().to_list()
    if not 0 < len(levels) <= MOST_LEVELS:
        raise InputError(
            f"{path}: the column {column.name!r} has {len(levels):,} different values; expected 1 to "
            f"{MOST_LEVELS} levels of a category. Name those to use in a YAML file, `{LEVELS}NAME: [low, "
            "high]`, or leave it out."
        )
    return in_order(levels)


def _columns(content: Content, levels: Levels) -> list[Column]:
    if content.kind == CATEGORIES:
        return [Column(f"{content.name}->{level}", "", content.name, "onehot") for level in levels[content.name]]
    return [Column(content.name, variable=content.name)]


def _blocks(
    contents: Sequence[Content], levels: Levels, samples: SampleTable, path: Path, quarantine: Quarantine
) -> Iterator[Block]:
    """Yield the rows of the samples that have anything, as one block."""
    numeric = [samples.table[content.column] for content in contents if content.kind != CATEGORIES]
    numbers = iter(read_numbers(numeric, samples.place_of, path, quarantine).T)
    parts = [
        _one_hot(samples.table[content.column], levels[content.name], samples.place_of, path, quarantine)
        if content.kind == CATEGORIES
        else next(numbers)[:, None]
        for content in contents
    ]
    yield feature_block(samples.frame[SAMPLE_ID], np.concatenate(parts, axis=1))


def _one_hot(
    column: pl.Series, levels: Sequence[str], place_of: PlaceOf, path: Path, quarantine: Quarantine
) -> npt.NDArray[np.float32]:
    """Return ``[n, levels]`` of 0 and 1, NaN where the level is missing; one that is not known is quarantined too."""
    texts = as_classes(column)
    index = texts.replace_strict(list(levels), list(range(len(levels))), default=None, return_dtype=pl.Int64)
    for at in (index.is_null() & texts.is_not_null()).arg_true():
        quarantine.add(
            STAGE, path.name, f"{place_of(column.name, at)}, {column.name}", "", "none of the levels of this category"
        )
    rows = np.full((len(column), len(levels)), np.nan, dtype=np.float32)
    rows[index.is_not_null().to_numpy()] = 0
    rows[index.is_not_null().arg_true().to_numpy(), index.drop_nulls().to_numpy()] = 1
    return rows
