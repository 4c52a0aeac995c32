"""The first stage: which samples and items there are, and what of them must be done.

If nothing has changed, that is found without reading tables. Otherwise the cohort is read, not the events, and every
item is digested. Labels are made at the commit: whether a stay has events is known when those have been read.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from ...cache_schema import (
    CacheError,
    CacheNotFoundError,
    InputError,
    Recipe,
    damaged_files,
    difference,
    digest,
    read_manifest,
)
from ...progress import progress
from ..frozen_encoders import FrozenEncoder, frozen_encoder
from ..resources import resource_digests
from ..source import DataSet, ItemModality, Quarantine, Records, TableModality, keyed_hash, pseudonym_key
from .blocks import BlockStore
from .encoders import Encoders, joined, kind_of, tasks_of_every_encoder
from .memo import DigestMemo, Entry
from .parts import PartStore

LISTED_FILES = 20
"""A key names single files up to this many in one folder, above it one digest for the folder."""


@dataclass(frozen=True)
class PlannedTable:
    """A modality that is computed whole from tables, and where its blocks are or will be."""

    modality: TableModality
    store: BlockStore


@dataclass(frozen=True)
class PlannedItems:
    """A modality of encoded items, with one of the encoders of its content; its name has the encoder's behind it.

    ``items`` has every readable item with its ``sample`` (index) and ``digest``; ``unique`` one row for each distinct
    content in the order of encoding (digest, path); ``recipe`` has the source's preprocessing and the encoder's. Of the
    ``listed`` items ``missing`` have no file.
    """

    modality: ItemModality
    encoder: FrozenEncoder
    recipe: Recipe
    items: pl.DataFrame
    unique: pl.DataFrame
    store: PartStore
    listed: int
    missing: int

    @property
    def digests(self) -> list[str]:
        """Digests of the distinct items, in the order of encoding."""
        return self.unique["digest"].to_list()

    @cached_property
    def paths(self) -> dict[str, str]:
        """Absolute path of a file of each distinct item, by its digest."""
        return {item: str(Path(path).absolute()) for item, path in self.unique.iter_rows()}


@dataclass(frozen=True)
class Plan:
    """What an extraction will do."""

    dataset: str
    records: Records
    tables: tuple[PlannedTable, ...]
    items: tuple[PlannedItems, ...]
    keys: dict[str, Any]
    quarantine: Quarantine
    folder: Path
    """Where parts and blocks lie."""


def memo_file(cache: Path) -> Path:
    """Return where the digests of the raw files of a cache are kept."""
    return parts_folder(cache) / "digests.memo"


def parts_folder(cache: Path) -> Path:
    """Return the folder of parts, blocks and digests that belongs to a cache."""
    return cache.with_name(cache.name + ".items")


def cohort_key(dataset: DataSet, memo: DigestMemo) -> dict[str, Any]:
    """Return what decides cohort and labels: data set, settings, the digests of input tables and of our resources."""
    inputs = _digests(dataset.inputs(), memo, dataset.raw)
    if (key := pseudonym_key(dataset)) is not None:  # names of files are often those of patients
        inputs = {f"{len(inputs)} entries": keyed_hash(key, "inputs", digest(inputs))}
    resources = resource_digests(dataset.resources)
    return {"dataset": dataset.name, "settings": dataset.settings(), "inputs": inputs, "resources": resources}


def _digests(paths: Sequence[Path], memo: DigestMemo, raw: Path) -> dict[str, str]:
    """Return the digest of every file by its path below ``raw``, or by its whole path if it lies elsewhere."""
    names = (path.relative_to(raw) if path.is_relative_to(raw) else path for path in paths)
    return _by_folder({name.as_posix(): memo.file(path).digest for name, path in zip(names, paths, strict=True)})


def _by_folder(digests: Mapping[str, str]) -> dict[str, str]:
    """Replace the files of folders that hold many by one digest for each folder."""
    folders: dict[str, dict[str, str]] = {}
    for name, value in digests.items():
        folders.setdefault(name.rpartition("/")[0], {})[name] = value
    key: dict[str, str] = {}
    for folder, files in folders.items():
        key |= files if len(files) <= LISTED_FILES else {f"{folder}/ ({len(files)} files)": digest(files)}
    return key


def reasons_to_run(cache: Path, cohort: dict[str, Any], encoders: Encoders, memo: DigestMemo) -> list[str]:
    """Return in readable lines why the cache at ``cache`` is not what would be made now; nothing if it is.

    Raises
    ------
    InputError
        If the cache holds another data set, which must not be replaced by mistake.
    """
    try:
        keys = read_manifest(cache).keys
        damaged = damaged_files(cache)
    except CacheNotFoundError:
        return [f"there is no complete cache at {cache} yet"]
    except CacheError as error:
        return [str(error)]
    if not (_is_table(keys.get("cohort"), "dataset") and _is_table(keys.get("encoders")) and "contents" in keys):
        return [f"the cache at {cache} does not say what it was made from"]
    if (held := keys["cohort"]["dataset"]) != cohort["dataset"]:
        raise InputError(
            f"{cache} holds the data set {held}, not {cohort['dataset']}. Name another place with --cache."
        )
    old = {"cohort": keys["cohort"], "encoders": keys["encoders"]}
    kinds = {key.partition(".")[0] for key in keys["encoders"]}
    new = {"cohort": cohort, "encoders": encoders.recipes(kinds, memo)}
    reasons = difference(old, new) + [f"{finding.file} {finding.problem}" for finding in damaged]
    if not reasons and not (memo.unchanged() and memo.saved_fingerprint == keys["contents"]):
        reasons.append(
            "the digests of the raw files were damaged"
            if memo.damaged
            else "files of items were added, changed or removed"
        )
    return reasons


def _is_table(value: object, *names: str) -> bool:
    return isinstance(value, dict) and value.keys() >= set(names)


def make_plan(dataset: DataSet, cache: Path, cohort: dict[str, Any], encoders: Encoders, memo: DigestMemo) -> Plan:
    """Read the cohort and list what must be encoded or computed for it."""
    quarantine = Quarantine()
    records = dataset.read(quarantine)
    folder = parts_folder(cache)
    ids = digest(records.samples["sample_id"].to_list())

    def table_key(modality: TableModality) -> dict[str, Any]:
        """Return what decides the rows of a table modality, and no more: nothing else must compute them anew."""
        inputs = _digests(modality.inputs, memo, dataset.raw)
        columns = [column.name for column in modality.columns]
        decides = {"inputs": inputs, "resources": cohort["resources"], "samples": ids}
        return {"recipe": modality.recipe, "columns": columns, **decides}

    tables = tuple(
        PlannedTable(modality, BlockStore(folder, modality.name, table_key(modality))) for modality in records.tables
    )
    recipes = encoders.recipes({kind_of(modality) for modality in records.items}, memo)
    items = tuple(
        _plan_items(
            replace(modality, name=joined(modality.name, name)),
            records.samples,
            frozen_encoder(kind_of(modality), encoder),
            recipes[joined(kind_of(modality), name)],
            folder,
            memo,
            quarantine,
        )
        for modality in records.items
        for name, encoder in encoders.of(kind_of(modality)).items()
    )
    _check_names([*(table.modality.name for table in tables), *(planned.modality.name for planned in items)])
    keys = {"cohort": cohort, "encoders": recipes, "contents": memo.fingerprint}
    records = replace(records, tasks=partial(tasks_of_every_encoder, records, encoders))
    return Plan(dataset.name, records, tables, items, keys, quarantine, folder)


def _check_names(names: Sequence[str]) -> None:
    name, number = Counter(names).most_common(1)[0] if names else ("", 0)
    if number > 1:
        raise InputError(f"Two modalities would be called {name!r}; give the encoder of one of them another name.")


def _plan_items(
    modality: ItemModality,
    samples: pl.DataFrame,
    encoder: FrozenEncoder,
    encoder_recipe: Recipe,
    folder: Path,
    memo: DigestMemo,
    quarantine: Quarantine,
) -> PlannedItems:
    """Digest every item's content, set the unreadable ones aside, and keep one row for each distinct content."""
    recipe = {**modality.recipe, "encoder": encoder_recipe}
    placed = _with_place(modality.items)
    entries = _entries(modality, memo)
    for place, entry in zip(placed["place"], entries, strict=True):
        if entry.reason:
            quarantine.add("plan", modality.name, place, "", entry.reason)
    index = samples.select("sample_id", sample=pl.int_range(pl.len(), dtype=pl.Int64))
    items = (
        placed.with_columns(
            digest=pl.Series([entry.digest for entry in entries], dtype=pl.String),
            length=pl.Series([entry.length for entry in entries], dtype=pl.Int64),
        )
        .filter(pl.col("digest") != "")
        .join(index, on="sample_id", how="inner")
        .sort("sample", "time", "item_id", nulls_last=True)
    )
    unique = items.sort("length", "digest", "path").unique("digest", keep="first", maintain_order=True)
    store = PartStore(folder, recipe)
    missing = sum(entry.size < 0 and entry.reason != "" for entry in entries)
    return PlannedItems(modality, encoder, recipe, items, unique.select("digest", "path"), store, len(entries), missing)


def _with_place(items: pl.DataFrame) -> pl.DataFrame:
    """Add where each item was listed, if that is not said."""
    if "place" in items.columns:
        return items
    places = [f"{item_id} in {Path(path).name}" for item_id, path in items.select("item_id", "path").iter_rows()]
    return items.with_columns(place=pl.Series(places, dtype=pl.String))


def _entries(modality: ItemModality, memo: DigestMemo) -> list[Entry]:
    """Return the digest of each item's content, or why there is none; given texts have theirs already.

    An item that the data set reads is a file, or a folder of files.
    """
    if modality.texts is not None:
        return [Entry(-1, -1, digest, len(modality.texts[digest])) for digest in modality.items["digest"]]
    rule, read = _reader(modality)
    paths = progress(map(Path, modality.items["path"]), f"digests of {modality.name}", total=modality.items.height)
    if modality.read:
        return [memo.file(path) if path.is_file() else memo.folder(path) for path in paths]
    return [memo.content(path, rule, read) if read else memo.file(path) for path in paths]


def _reader(modality: ItemModality) -> tuple[str, Callable[[Path], tuple[str, int]] | None]:
    """Return how the content of an item is digested: texts after their section was cut out, files as they are."""
    read_text = modality.read_text
    if read_text is None:
        return "", None

    def read(path: Path) -> tuple[str, int]:
        text = read_text(path)
        return sha256(text.encode()).hexdigest(), len(text)

    return f"text {digest(modality.recipe)[:16]}", read
