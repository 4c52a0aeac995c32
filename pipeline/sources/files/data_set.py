"""A user's own table of texts, image files and numbers, one row a sample, and long tables of timed events."""

import errno
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from ....cache_schema import InputError, meant
from ...source import ItemModality, Quarantine, Records
from ...tables.feature_files import SAMPLE_ID, STAGE, as_text, read_table, require_columns, row_of
from ...tables.headers import is_row_number, say_left_out
from ...tables.label_spec import label_columns
from ...tables.labels import check_name
from ...tables.sample_table import SUBJECT_ID, SampleColumns, SampleTable, read_samples, refuse_formula_errors
from .cells import cells_modality
from .columns import CATEGORIES, KINDS, LABEL, LEVELS, T0, Content, Description, contents_of, read_description
from .event_table import EventTable, Starts

VERSION = 3
"""To be raised whenever the same files would give another result."""

TEXT_RECIPE = {"text": "one cell, without white space around it", "version": 1}
SEPARATOR = ";"
"""Between the image files of one sample."""


class FilesDataSet:
    """A table whose columns are texts, paths of image files and numbers, and long tables of events.

    Parameters
    ----------
    samples
        Table with ``sample_id`` and columns of contents: ``text:NAME`` (a text), ``image:NAME`` (image files, absolute
        or relative to the table), ``num:COLUMN`` (a number of the modality ``num``), ``cat:COLUMN`` (a category of the
        modality ``cat``), ``num.GROUP:COLUMN`` or ``cat.GROUP:COLUMN`` (of the modality GROUP). What is empty is
        missing.
    mapping
        YAML file with these names and, behind each, the column of the table; then no other column is read. It can also
        list the variables of a table of events, ``events:NAME: [HR, Temp]``, and the levels of a category,
        ``levels:COLUMN: [low, high]``; without that they are those of the table.
    columns
        Labels, split and columns to keep. Without labels, a column called ``label`` is one.
    modalities
        None: all that the table has.
    limit
        Only the first samples, in order of their id.
    events
        Long tables by the name of their modality, with the columns sample_id, time, variable and value. ``time`` is in
        hours since t0 or, if the table of samples has a column ``t0``, a date and time. Each becomes bins from t0 to
        the last event: the last value of each variable, carried forward, then the masks.
    bin_hours
        Hours per bin of events.
    """

    name = "files"
    resources: tuple[Path, ...] = ()

    def __init__(
        self,
        samples: Path,
        mapping: Path | None = None,
        columns: SampleColumns | None = None,
        modalities: Sequence[str] | None = None,
        limit: int | None = None,
        events: Mapping[str, Path] | None = None,
        bin_hours: float = 2.0,
    ) -> None:
        self.raw = samples.parent
        self.samples = samples
        described = read_description(mapping) if mapping else Description()
        self.mapping, self.levels = described.columns, described.levels
        if unknown := sorted(described.variables.keys() - (events or {}).keys()):
            raise InputError(f"{mapping} names events:{unknown[0]}; give its table, --events {unknown[0]}=FILE.")
        self.events = [
            EventTable(check_name(name, "The modality"), path, described.variables.get(name), bin_hours)
            for name, path in (events or {}).items()
        ]
        self.columns = columns or SampleColumns()
        self.modalities = None if modalities is None else tuple(modalities)
        self.limit = limit

    def inputs(self) -> list[Path]:
        """Return the tables; raises :class:`InputError` if one lacks a column or has one that cannot be meant."""
        self._columns()
        for table in self.events:
            table.require_columns()
        return [self.samples, *(table.path for table in self.events)]

    def settings(self) -> dict[str, Any]:
        """Return everything but the files that decides the result."""
        return {
            "version": VERSION,
            "columns": self.mapping,
            "levels": {name: list(levels) for name, levels in self.levels.items()},
            "labels": list(self.columns.labels),
            "split": self.columns.split,
            "keep": list(self.columns.keep),
            "modalities": None if self.modalities is None else list(self.modalities),
            "limit": self.limit,
            "events": {table.name: table.settings() for table in self.events},
        }

    def read(self, quarantine: Quarantine) -> Records:
        """Read the table; rows without an id, or with one that was there already, are quarantined."""
        columns, contents = self._columns()
        samples = read_samples(self.samples, columns, quarantine, self.limit)
        worded = [content.column for content in contents if content.kind in ("text", "image", CATEGORIES)]
        refuse_formula_errors(samples.table, worded, samples.lines, self.samples)
        say_left_out([*filter(is_row_number, samples.table.columns)], STAGE, self.samples, quarantine)
        cells: dict[str, list[Content]] = {}
        items = []
        for content in contents:
            if content.tabular:
                cells.setdefault(content.modality, []).append(content)
            elif content.kind == "text":
                items.append(_texts(content, samples, self.samples))
            else:
                items.append(images(content, samples, self.samples, quarantine))
        tables = [cells_modality(name, group, self.levels, samples, self.samples) for name, group in cells.items()]
        wanted = [table for table in self.events if self.modalities is None or table.name in self.modalities]
        if wanted:
            starts = Starts.read(samples, self._t0(samples.table), self.samples, quarantine)
            tables += [table.modality(starts) for table in wanted]
        return Records(samples.frame, lambda _: samples.tasks, tuple(tables), tuple(items), samples.splits)

    def _t0(self, table: pl.DataFrame) -> str | None:
        """Return the column with the beginning of each sample, if there is one."""
        column = (self.mapping or {}).get(T0, T0)
        return column if column in table.columns else None

    def _columns(self) -> tuple[SampleColumns, list[Content]]:
        """Return which columns of the table say what."""
        header = read_table(self.samples, rows=0)
        mapping = self.mapping or {}
        contents = contents_of(header.columns, self.mapping, self.samples)
        known = {content.modality for content in contents}
        if twice := [table.name for table in self.events if table.name in known]:
            raise InputError(f"{twice[0]!r} is a modality of {self.samples} already; give --events another name.")
        known |= {table.name for table in self.events}
        if not known:
            raise InputError(
                f"{self.samples} has no column of contents. Name some {KINDS}, or say with --columns which are."
            )
        if unknown := [name for name in self.modalities or () if name not in known]:
            hint = meant(unknown[0], known)
            raise InputError(f"{self.samples} has no modality {unknown[0]!r}; it has {', '.join(sorted(known))}.{hint}")
        label = mapping.get(LABEL, LABEL)
        default = (label,) if LABEL in mapping or label in header.columns else ()
        columns = replace(
            self.columns,
            labels=self.columns.labels or default,
            sample_id=mapping.get(SAMPLE_ID, SAMPLE_ID),
            subject_id=mapping.get(SUBJECT_ID, SUBJECT_ID),
        )
        predicted = label_columns(columns.labels, header.columns)
        if leaks := [content for content in contents if content.column in predicted]:
            raise InputError(
                f"{self.samples}: the column {leaks[0].column!r} is to be predicted, and would be an input of "
                f"{leaks[0].modality!r}. Leave it out of the contents."
            )
        ids = [columns.sample_id, *(mapping[name] for name in (SUBJECT_ID, T0) if name in mapping)]
        require_columns(header, [*ids, *(content.column for content in contents)], self.samples)
        categories = {content.name for content in contents if content.kind == CATEGORIES}
        if unknown := [name for name in self.levels if name not in categories]:
            raise InputError(f"{LEVELS}{unknown[0]}: {self.samples} has no column {CATEGORIES}:{unknown[0]}.")
        return columns, [
            content for content in contents if self.modalities is None or content.modality in self.modalities
        ]


def _texts(content: Content, samples: SampleTable, path: Path) -> ItemModality:
    """List the texts of a column by their digest; an empty cell has none."""
    cells = as_text(samples.table[content.column])
    rows, texts = [], {}
    for sample, (text, line) in enumerate(zip(cells, samples.lines_of(content.column), strict=True)):
        if text is not None:
            digest = sha256(text.encode()).hexdigest()
            texts[digest] = text
            rows.append((sample, "", str(path), f"{row_of(line)}, {content.column}", digest))
    items = _items(rows, samples)
    return ItemModality(content.modality, "text", "one token of a text", items, TEXT_RECIPE, texts=texts)


def images(content: Content, samples: SampleTable, path: Path, quarantine: Quarantine) -> ItemModality:
    """List the image files of a column, whether or not a file is there.

    Messages name the row and not the file: a text put into this column by mistake must not be repeated.
    """
    cells = as_text(samples.table[content.column])
    rows = []
    for sample, (cell, line) in enumerate(zip(cells, samples.lines_of(content.column), strict=True)):
        names = [name.strip() for name in (cell or "").split(SEPARATOR) if name.strip()]
        for number, name in enumerate(names, 1):
            place = f"{row_of(line)}, {content.column}, image {number}"
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
