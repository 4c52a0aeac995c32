"""A user's own table of texts, image files and numbers, one row a sample."""

import errno
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ...cache_schema import Column, InputError
from ..source import Block, ItemModality, Quarantine, Records, TableModality
from .feature_files import SAMPLE_ID, STAGE, as_text, feature_block, read_numbers, read_table, require_columns, row_of
from .files_columns import LABEL, NUMBERS, Content, contents_of, read_mapping
from .sample_table import SUBJECT_ID, SampleColumns, SampleTable, read_samples

VERSION = 1
"""To be raised whenever the same files would give another result."""

TEXT_RECIPE = {"text": "one cell, without white space around it", "version": 1}
SEPARATOR = ";"
"""Between the image files of one sample."""


class FilesDataSet:
    """A table whose columns are texts, paths of image files and numbers.

    Parameters
    ----------
    samples
        Table with ``sample_id`` and columns of contents: ``text:NAME`` (a text), ``image:NAME`` (image files, absolute
        or relative to the table), ``num:COLUMN`` (the modality ``num``) or ``num.GROUP:COLUMN`` (the modality GROUP).
        What is empty is missing.
    mapping
        YAML file with these names and, behind each, the column of the table; then no other column is read.
    columns
        Labels, split and columns to keep. Without labels, a column called ``label`` is one.
    modalities
        None: all that the table has.
    limit
        Only the first samples, in order of their id.
    """

    name = "files"

    def __init__(
        self,
        samples: Path,
        mapping: Path | None = None,
        columns: SampleColumns | None = None,
        modalities: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> None:
        self.raw = samples.parent
        self.samples = samples
        self.mapping = read_mapping(mapping) if mapping else None
        self.columns = columns or SampleColumns()
        self.modalities = None if modalities is None else tuple(modalities)
        self.limit = limit

    def inputs(self) -> list[Path]:
        """Return the table; raises :class:`InputError` if it lacks a column or has one that cannot be meant."""
        self._columns()
        return [self.samples]

    def settings(self) -> dict[str, Any]:
        """Return everything but the files that decides the result."""
        return {
            "version": VERSION,
            "columns": self.mapping,
            "labels": list(self.columns.labels),
            "split": self.columns.split,
            "keep": list(self.columns.keep),
            "modalities": None if self.modalities is None else list(self.modalities),
            "limit": self.limit,
        }

    def read(self, quarantine: Quarantine) -> Records:
        """Read the table; rows without an id, or with one that was there already, are quarantined."""
        columns, contents = self._columns()
        samples = read_samples(self.samples, columns, quarantine, self.limit)
        numbers: dict[str, list[Content]] = {}
        items = []
        for content in contents:
            if content.kind == NUMBERS:
                numbers.setdefault(content.modality, []).append(content)
            elif content.kind == "text":
                items.append(_texts(content, samples, self.samples))
            else:
                items.append(_images(content, samples, self.samples, quarantine))
        tables = tuple(_numbers(name, group, samples, self.samples) for name, group in numbers.items())
        return Records(samples.frame, lambda _: samples.tasks, tables, tuple(items), samples.splits)

    def _columns(self) -> tuple[SampleColumns, list[Content]]:
        """Return which columns of the table say what."""
        header = read_table(self.samples, rows=0)
        mapping = self.mapping or {}
        contents = contents_of(header.columns, self.mapping, self.samples)
        known = {content.modality for content in contents}
        if unknown := [name for name in self.modalities or () if name not in known]:
            raise InputError(f"{self.samples} has no modality {unknown[0]!r}; it has {', '.join(sorted(known))}.")
        label = mapping.get(LABEL, LABEL)
        default = (label,) if LABEL in mapping or label in header.columns else ()
        columns = replace(
            self.columns,
            labels=self.columns.labels or default,
            sample_id=mapping.get(SAMPLE_ID, SAMPLE_ID),
            subject_id=mapping.get(SUBJECT_ID, SUBJECT_ID),
        )
        ids = [columns.sample_id, *([columns.subject_id] if SUBJECT_ID in mapping else [])]
        require_columns(header, [*ids, *(content.column for content in contents)], self.samples)
        return columns, [
            content for content in contents if self.modalities is None or content.modality in self.modalities
        ]


def _texts(content: Content, samples: SampleTable, path: Path) -> ItemModality:
    """List the texts of a column by their digest; an empty cell has none."""
    cells = as_text(samples.table[content.column])
    rows, texts = [], {}
    for sample, (text, position) in enumerate(zip(cells, samples.positions, strict=True)):
        if text is not None:
            digest = sha256(text.encode()).hexdigest()
            texts[digest] = text
            rows.append((sample, "", str(path), f"{row_of(position)}, {content.column}", digest))
    items = _items(rows, samples)
    return ItemModality(content.modality, "text", "one token of a text", items, TEXT_RECIPE, texts=texts)


def _images(content: Content, samples: SampleTable, path: Path, quarantine: Quarantine) -> ItemModality:
    """List the image files of a column, whether or not a file is there.

    Messages name the row and not the file: a text put into this column by mistake must not be repeated.
    """
    cells = as_text(samples.table[content.column])
    rows = []
    for sample, (cell, position) in enumerate(zip(cells, samples.positions, strict=True)):
        names = [name.strip() for name in (cell or "").split(SEPARATOR) if name.strip()]
        for number, name in enumerate(names, 1):
            place = f"{row_of(position)}, {content.column}, image {number}"
            if _can_be_a_file(path.parent / name):
                rows.append((sample, f"-{number:02}", str(path.parent / name), place, None))
            else:
                quarantine.add(STAGE, content.modality, place, "", "cannot be the name of a file")
    items = _items(rows, samples).drop("digest")
    return ItemModality(content.modality, "image", "one image", items, {})


def _items(rows: Sequence[tuple[int, str, str, str, str | None]], samples: SampleTable) -> pl.DataFrame:
    """Return the table of items from sample (index), end of the item's id, path, place and digest."""
    schema = {"sample": pl.Int64, "end": pl.String, "path": pl.String, "place": pl.String, "digest": pl.String}
    found = pl.DataFrame(rows, schema=schema, orient="row")
    sample_ids, texts = samples.frame[SAMPLE_ID][found["sample"]], samples.texts[found["sample"]]
    return found.select(
        sample_ids.alias("sample_id"),
        (texts + found["end"]).alias("item_id"),
        "path",
        "place",
        "digest",
        time=pl.lit(None, pl.Float32),
    )


def _can_be_a_file(path: Path) -> bool:
    try:
        path.stat()
    except ValueError:  # a zero byte
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def _numbers(name: str, contents: Sequence[Content], samples: SampleTable, path: Path) -> TableModality:
    """Return the columns of numbers of one modality."""
    columns = tuple(Column(content.name, variable=content.name) for content in contents)
    recipe = {"files": VERSION, "columns": {content.name: content.column for content in contents}}
    blocks = partial(_number_blocks, contents, samples, path)
    return TableModality(name, "features", columns, "one row of numbers a sample", recipe, (path,), blocks)


def _number_blocks(
    contents: Sequence[Content], samples: SampleTable, path: Path, quarantine: Quarantine
) -> Iterator[Block]:
    """Yield the rows of the samples that have any number, as one block."""
    places = [row_of(position) for position in samples.positions]
    numbers = [read_numbers(samples.table[content.column], places, path, quarantine) for content in contents]
    yield feature_block(samples.frame[SAMPLE_ID], np.stack(numbers, axis=1))
