"""The contract of a data set: what the extraction relies on, asked of one that reads a small raw folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
import polars as pl

from ..cache_schema import ModalityKind, OmniFuseError, canonical_json, digest, offsets_of
from ..cache_schema.consistency import check_samples, check_split, check_task
from ..pipeline.core.memo import DigestMemo
from ..pipeline.core.plan import cohort_key
from ..pipeline.source import Block, DataSet, ItemModality, Quarantine, Records, TableModality, UnreadableItem

Opens = Callable[[Path], DataSet]
Content = dict[str, str]
"""A digest of every part of what was read, by the name of the part."""

ITEM_COLUMNS = ("sample_id", "item_id", "path", "time")
READ_ITEMS = 20
"""At most so many texts of a modality are read."""


def check_dataset(open_raw: Opens, raw: Path) -> None:
    """Raise AssertionError, in words, where a data set breaks the contract that the extraction relies on.

    It lists its inputs and says its settings alike each time; reads a cohort of unique, sorted ids with one subject a
    sample; yields each sample's rows in at most one block, of the columns that it announced and in order of time; lists
    items of its samples; labels them as their kind allows; reads the same twice; depends on no file below ``raw`` that
    it does not list; and has another key when a file that it lists has changed.

    Parameters
    ----------
    open_raw
        Makes the data set of a raw folder. It is called for copies of ``raw``, too, and must read nothing elsewhere.
    raw
        A small raw folder, of some patients; it is not changed.
    """
    dataset = open_raw(raw)
    check_description(dataset, open_raw(raw))
    records = dataset.read(Quarantine())
    check_records(records)
    content = content_of(records)
    _same(content, content_of(dataset.read(Quarantine())), "differs when it is read a second time")
    with TemporaryDirectory() as folder:
        copy = Path(folder) / raw.name
        shutil.copytree(raw, copy)
        check_inputs(open_raw, copy, content)


def check_description(dataset: DataSet, again: DataSet) -> None:
    """Check what a data set says before it is read; ``again`` is the same, opened a second time."""
    assert isinstance(dataset.name, str) and dataset.name, f"its name is {dataset.name!r}"
    inputs = dataset.inputs()
    assert inputs == again.inputs(), "inputs() lists other files the second time"
    assert inputs, "inputs() lists no file, so that nothing would ever be extracted anew"
    for path in inputs:
        assert path.is_file(), f"inputs() lists {path}, which is no file; raise MissingInputError if one is missing"
    for path in dataset.resources:
        assert path.is_dir(), f"its resources name {path}, which is no folder"
    settings = _stored("its settings", canonical_json, dataset.settings())
    assert settings == canonical_json(again.settings()), "settings() differ the second time"


def check_records(records: Records) -> None:
    """Check samples, modalities and splits, and the labels once the tables have been read."""
    samples = records.samples
    _stored("the samples", check_samples, samples)
    without = samples.filter(pl.col("subject_id").is_null())
    assert without.is_empty(), f"sample {without['sample_id'][0]} has no subject_id"
    for place, kind in (("tables", TableModality), ("items", ItemModality)):
        for one in getattr(records, place):
            assert isinstance(one, kind), f"Records.{place} holds a {type(one).__name__}"
    names = [*(table.name for table in records.tables), *(items.name for items in records.items)]
    assert len(names) == len(set(names)), f"two modalities have one name: {', '.join(names)}"
    for table in records.tables:
        check_table(table, samples["sample_id"])
    for items in records.items:
        check_items(items, samples["sample_id"])
    for name, parts in records.splits.items():
        _stored(f"the split {name!r}", check_split, name, parts, samples["sample_id"])
        several = parts.join(samples, on="sample_id").group_by("subject_id").agg(pl.col("part").n_unique())
        cut = several.filter(pl.col("part") > 1)
        assert cut.is_empty(), f"the split {name!r} puts subject {cut['subject_id'][0]} into two parts"
    for task in records.tasks(_first_hours(records)):
        _stored(f"the task {task.name!r}", check_task, task, samples.height)


def check_table(table: TableModality, sample_ids: pl.Series) -> None:
    """Check a modality that is computed from tables, and every block of it."""
    what, kinds = f"the modality {table.name!r}", get_args(ModalityKind)
    assert table.kind in kinds, f"{what} has the kind {table.kind!r}; known are {', '.join(kinds)}"
    _stored(f"the recipe of {what}", canonical_json, table.recipe)
    masked = {column.variable for column in table.columns if column.role == "mask"}
    bare = [column.name for column in table.columns if column.variable not in masked]
    assert table.kind != "timeseries" or not bare, f"{what} has no mask of its column {bare[0]!r}"
    assert table.inputs, f"{what} lists no inputs, so that nothing would ever compute it anew"
    blocks = table.blocks(Quarantine())
    assert isinstance(blocks, Iterator), (
        f"blocks() of {what} returns a {type(blocks).__name__}; yield block after block"
    )
    known, seen = set(sample_ids.to_list()), set[Any]()
    for block in blocks:
        ids = block.sample_ids.tolist()
        assert set(ids) <= known, f"{what} has rows of {sorted(set(ids) - known)[0]!r}, which is no sample"
        assert len(ids) == len(set(ids)) and not seen & set(ids), f"{what} has a sample in two blocks"
        seen |= set(ids)
        check_block(block, len(table.columns), what)


def check_block(block: Block, columns: int, what: str) -> None:
    """Check shapes, types and times of a block; ``what`` names its modality."""
    assert block.lengths.shape == block.sample_ids.shape, f"{what} has a block whose lengths are not of its samples"
    rows, shape = int(block.lengths.sum()), block.values.shape
    assert shape == (rows, columns), f"{what} announced {rows} rows of {columns} columns and gave {shape}"
    assert block.time.shape == (rows,), f"{what} has {rows} rows and times of shape {block.time.shape}"
    for name, array in (("values", block.values), ("times", block.time)):
        assert array.dtype == np.float32, f"the {name} of {what} are {array.dtype}, not float32"
        assert not np.isinf(array).any(), f"the {name} of {what} are not finite; what is unknown is NaN"
    offsets = offsets_of(block.lengths)
    for begin, end in pairwise(offsets):
        assert not (np.diff(block.time[begin:end]) < 0).any(), f"a sample of {what} has rows that go back in time"


def check_items(items: ItemModality, sample_ids: pl.Series) -> None:
    """Check a list of items, and read some of its texts."""
    what, table = f"the modality {items.name!r}", items.items
    needed = [*ITEM_COLUMNS, *(["digest"] if items.texts is not None else [])]
    missing = [name for name in needed if name not in table.columns]
    assert not missing, f"the items of {what} have no column {', '.join(missing)}"
    assert table["time"].dtype == pl.Float32, f"the time of the items of {what} is {table['time'].dtype}, not Float32"
    placed = table.drop_nulls("sample_id")
    strangers = placed.filter(~pl.col("sample_id").is_in(sample_ids.implode()))
    assert strangers.is_empty(), f"{what} has an item of {strangers['sample_id'][0]!r}, which is no sample"
    twice = placed.filter(pl.struct("sample_id", "item_id").is_duplicated())
    assert twice.is_empty(), f"{what} lists the item {twice['item_id'][0]!r} twice"
    _stored(f"the recipe of {what}", canonical_json, items.recipe)
    if items.read_text is not None:
        for path in table["path"][:READ_ITEMS]:
            check_text(items.read_text, Path(path), what)


def check_text(read_text: Callable[[Path], str], path: Path, what: str) -> None:
    """Check that a text is read, or said to be none."""
    try:
        text = read_text(path)
    except UnreadableItem:  # which is quarantined, with its reason
        return
    assert isinstance(text, str) and text.strip(), f"{what} reads {text!r} from {path}; raise UnreadableItem instead"


def check_inputs(open_raw: Opens, raw: Path, content: Content) -> None:
    """Check that the files that are listed decide everything, and that a change of one is seen; ``raw`` is changed."""
    records, inputs = open_raw(raw).read(Quarantine()), open_raw(raw).inputs()
    elsewhere = [path for path in inputs if not path.is_relative_to(raw)]
    assert not elsewhere, f"inputs() lists {elsewhere[0]}, which is not below the folder that it was given, {raw}"
    listed = {*inputs, *(path for table in records.tables for path in table.inputs)}
    listed |= {Path(path) for items in records.items for path in items.items["path"]}
    for path in [path for path in raw.rglob("*") if path.is_file() and listed.isdisjoint((path, *path.parents))]:
        path.unlink()
    try:
        alone = content_of(open_raw(raw).read(Quarantine()))
    except OmniFuseError as error:
        raise AssertionError(f"it needs a file that inputs() does not list: {error}") from error
    _same(content, alone, "depends on a file that inputs() does not list")
    before = _key(open_raw, raw)
    assert before == _key(open_raw, raw), "its key differs the second time"
    for path in (inputs[0], inputs[-1]):
        whole = path.read_bytes()
        path.write_bytes(whole + b"\n")
        assert _key(open_raw, raw) != before, f"its key is the same when {path.name} has changed"
        path.write_bytes(whole)


def content_of(records: Records) -> Content:
    """Return what was read, without paths; the quarantine is not part of it."""
    content = {"the table of samples": digest(_rows(records.samples))}
    for table in records.tables:
        blocks = sorted(_digest(block) for block in table.blocks(Quarantine()))
        content[f"the modality {table.name!r}"] = digest(blocks)
    for items in records.items:
        content[f"the modality {items.name!r}"] = digest(_rows(items.items.drop("path", "place", strict=False)))
    for task in records.tasks(_first_hours(records)):
        arrays = [array for array in (task.y, task.sample, task.time) if array is not None]
        content[f"the task {task.name!r}"] = digest([list(task.labels), *(array.tobytes().hex() for array in arrays)])
    return content | {f"the split {name!r}": digest(_rows(parts)) for name, parts in records.splits.items()}


def _same(content: Content, other: Content, what: str) -> None:
    differing = sorted(part for part in content.keys() | other.keys() if content.get(part) != other.get(part))
    assert not differing, f"{', '.join(differing)} {what}"


def _first_hours(records: Records) -> dict[str, Any]:
    """Return hours of the first observation ``[N]`` by table, as the extraction gives them to the tasks."""
    place = {sample: number for number, sample in enumerate(records.samples["sample_id"])}
    hours = {table.name: np.full(len(place), np.nan) for table in records.tables}
    for table in records.tables:
        for block in table.blocks(Quarantine()):
            if block.first_hours is not None:
                hours[table.name][[place[sample] for sample in block.sample_ids.tolist()]] = block.first_hours
    return hours


def _rows(frame: pl.DataFrame) -> Sequence[Sequence[str]]:
    return [list(map(repr, row)) for row in frame.iter_rows()]


def _digest(block: Block) -> str:
    arrays = map(np.ascontiguousarray, (block.sample_ids, block.lengths, block.values, block.time))
    return digest([array.tolist() if array.dtype == object else array.tobytes().hex() for array in arrays])


def _key(open_raw: Opens, raw: Path) -> str | None:
    """Return the key of what would be extracted; None where a data set refuses its files, and so has seen a change."""
    try:
        return digest(cohort_key(open_raw(raw), DigestMemo(raw.parent / "memo", raw)))
    except OmniFuseError:
        return None


def _stored(what: str, check: Callable[..., Any], *values: Any) -> Any:
    """Return what a check of some values returns; what it refuses could not be stored in a cache."""
    try:
        return check(*values)
    except (OmniFuseError, TypeError, ValueError) as error:
        raise AssertionError(f"{what} cannot be stored: {error}") from error
