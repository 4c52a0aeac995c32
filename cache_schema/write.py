"""Laying out a cache: everything is written beside the final place, then swapped in, the manifest last."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import zarr

from .consistency import check_items, check_modality, check_samples, check_split, check_task
from .elements import ModalitySpec, Task
from .errors import InputError
from .files import entries_below, flush, flush_below, problem, real_path, remove
from .layout import (
    ATTRIBUTE,
    COUNTS,
    ELEMENT_VERSION,
    EXTRACTION_FILE,
    MANIFEST_FILE,
    METADATA_FILE,
    MODALITIES,
    QUARANTINE,
    QUARANTINE_COUNTS,
    SAMPLES,
    SCHEMA_VERSION,
    SPLITS,
    TASKS,
    check_name,
    create_array,
    staging_path,
)
from .manifest import Manifest, Node, describe_tree, write_manifest
from .ragged import offsets_of
from .recipe import canonical_json
from .table import write_table
from .writing_store import WritingStore

DTYPES = {"embedding": np.float16, "timeseries": np.float32, "features": np.float32}


@dataclass(frozen=True)
class Commit:
    """What a commit did: paths of the nodes that it wrote, and of those that were already right."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...]


class StagedCache:
    """A cache under construction in ``<path>.partial``; nothing at ``path`` changes before :meth:`commit`.

    A new cache can be looked into by its owner alone; the permissions of a folder that is there stay as they are.

    Parameters
    ----------
    path
        Where the cache will be; where a link leads if it is one.
    dataset
        Name of the data set.
    versions
        Versions of the tools that made it.

    Raises
    ------
    InputError
        If something that is not a cache already lies at ``path``; of the ``add_`` methods, if what they are given does
        not fit together or to the samples.
    """

    def __init__(self, path: Path, dataset: str, versions: dict[str, str]) -> None:
        refuse_foreign_folder(path, dataset)
        self.path = real_path(path)
        self.staging = staging_path(self.path)
        self._samples: pl.Series | None = None
        remove(self.staging)
        self.staging.mkdir(mode=0o700, parents=True)
        self.root = zarr.create_group(store=WritingStore(self.staging), zarr_format=3)
        self.root.attrs[ATTRIBUTE] = {
            "element": "cache",
            "schema_version": SCHEMA_VERSION,
            "dataset": dataset,
            "versions": versions,
        }
        for name in (MODALITIES, TASKS, SPLITS):
            self.root.create_group(name)

    def add_samples(self, samples: pl.DataFrame) -> Self:
        """Add the cohort: ``sample_id`` (unique, rising), ``subject_id``, and columns that no model may see."""
        check_samples(samples)
        write_table(self.root, SAMPLES, samples)
        self._samples = samples["sample_id"]
        return self

    def add_modality(
        self,
        spec: ModalitySpec,
        lengths: npt.NDArray[np.integer[Any]],
        dim: int,
        blocks: Iterable[npt.NDArray[Any]],
        time: npt.NDArray[np.float32],
        items: pl.DataFrame | None = None,
    ) -> Self:
        """Add a modality row by row.

        Parameters
        ----------
        lengths
            Rows of each sample, ``[N]``; 0 where it is missing.
        dim
            Number of columns, D.
        blocks
            The rows ``[n, D]`` of all samples one after the other, cut anywhere; together ``sum(lengths)`` rows.
        time
            Hours since t0 of every row, ``[R]``.
        items
            The items the rows came from: item_id, sample, first_row, rows, time, digest, attributes.
        """
        check_name(spec.name, "Modality")
        offsets = offsets_of(lengths)
        if (np.diff(offsets) < 0).any():
            raise InputError(f"Modality {spec.name!r} has a sample with {np.diff(offsets).min()} rows.")
        check_modality(spec, len(self._ids), offsets.shape, (int(offsets[-1]), dim), time.shape)
        if items is not None:
            check_items(spec.name, items, offsets)
        group = self.root.create_group(f"{MODALITIES}/{spec.name}")
        group.attrs[ATTRIBUTE] = {"element": "modality", "element_version": ELEMENT_VERSION, **_attributes(spec)}
        values = create_array(group, "values", (int(offsets[-1]), dim), DTYPES[spec.kind])
        _write_rows(values, blocks, spec.name)
        create_array(group, "offsets", offsets.shape, np.int64)[:] = offsets
        create_array(group, "time", time.shape, np.float32)[:] = time
        if items is not None:
            write_table(group, "items", items)
        return self

    def add_task(self, task: Task) -> Self:
        """Add a task's labels."""
        check_name(task.name, "Task")
        check_task(task, len(self._ids))
        group = self.root.create_group(f"{TASKS}/{task.name}")
        group.attrs[ATTRIBUTE] = {
            "element": "task",
            "element_version": ELEMENT_VERSION,
            "kind": task.kind,
            "labels": list(task.labels),
            "window_hours": task.window_hours,
            **({} if task.history_hours == 0 else {"history_hours": task.history_hours}),
            **({"unit": task.unit} if task.unit else {}),
            "select": {name: dict(rule) for name, rule in task.select.items()},
            "counts": [list(count) for count in task.counts],
            **_title(task),
        }
        create_array(group, "y", task.y.shape, np.float32)[:] = task.y
        if task.sample is not None and task.time is not None:
            create_array(group, "sample", task.sample.shape, np.int64)[:] = task.sample
            create_array(group, "time", task.time.shape, np.float32)[:] = task.time
        return self

    def add_split(self, name: str, parts: pl.DataFrame) -> Self:
        """Add a split that the user or the data set supplies: ``sample_id``, ``part``."""
        check_name(name, "Split")
        check_split(name, parts, self._ids)
        write_table(self.root[SPLITS], name, parts)
        return self

    def add_quarantine(self, rows: pl.DataFrame, counts: pl.DataFrame) -> Self:
        """Add the rows and items that were left out, and how many there were for each reason."""
        write_table(self.root, QUARANTINE, rows)
        write_table(self.root, QUARANTINE_COUNTS, counts)
        return self

    def add_counts(self, counts: pl.DataFrame) -> Self:
        """Add what every step left, beside what was published: scope, step, unit, count, published, source."""
        write_table(self.root, COUNTS, counts)
        return self

    def commit(self, keys: dict[str, Any]) -> Commit:
        """Put the staged cache in its place; killed at any instant it leaves a whole cache or none, never a mixture."""
        manifest = Manifest(describe_tree(self.staging), keys)
        if (self.path / MANIFEST_FILE).is_file():
            return self._swap(manifest)
        write_manifest(self.staging, manifest)
        flush_below([self.staging])
        if self.path.exists():
            shutil.copymode(self.path, self.staging)
            shutil.rmtree(self.path)
        self.staging.rename(self.path)
        flush(self.path.parent)
        return Commit(tuple(manifest.nodes), ())

    def _swap(self, new: Manifest) -> Commit:
        unchanged = tuple(path for path, node in new.nodes.items() if _holds(self.path, path, node))
        written = tuple(path for path in new.nodes if path not in unchanged)
        flush_below(self.staging / path for path in written)
        (self.path / MANIFEST_FILE).unlink()
        flush(self.path)
        _remove_unlisted(self.path, new)
        for path in sorted(written):
            _move_node(self.staging / path, self.path / path, new.nodes[path])
        write_manifest(self.path, new)
        shutil.rmtree(self.staging)
        return Commit(written, unchanged)

    @property
    def _ids(self) -> pl.Series:
        if self._samples is None:
            raise InputError("Samples are added to a cache before anything else.")
        return self._samples


def _attributes(spec: ModalitySpec) -> dict[str, Any]:
    canonical_json(spec.recipe)
    return {
        "kind": spec.kind,
        "row_meaning": spec.row_meaning,
        "recipe": spec.recipe,
        "columns": [asdict(column) for column in spec.columns],
        **_title(spec),
    }


def _title(described: ModalitySpec | Task) -> dict[str, str]:
    return {} if described.title is None else {"title": described.title}


def _write_rows(array: zarr.Array, blocks: Iterable[npt.NDArray[Any]], name: str) -> None:
    """Write consecutive blocks of rows so that every chunk is written once and whole."""
    chunk = array.chunks[0]
    pending: list[npt.NDArray[Any]] = []
    written = 0
    for block in blocks:
        if block.ndim != 2 or block.shape[1] != array.shape[1]:  # zarr would repeat a single column
            raise InputError(
                f"Modality {name!r} announced {array.shape[1]} columns and gave rows of {block.shape[1:]}."
            )
        pending.append(block)
        whole = sum(map(len, pending)) // chunk * chunk
        if whole:
            rows = np.concatenate(pending)
            array[written : written + whole] = rows[:whole]
            pending, written = [rows[whole:]], written + whole
    if pending and len(rest := np.concatenate(pending)):
        array[written : written + len(rest)] = rest
        written += len(rest)
    if written != array.shape[0]:
        raise InputError(f"Modality {name!r} announced {array.shape[0]} rows and gave {written}.")


def _move_node(source: Path, target: Path, node: Node) -> None:
    target.mkdir(parents=True, exist_ok=True)
    if node.kind == "group":
        (source / METADATA_FILE).replace(target / METADATA_FILE)
    else:
        shutil.rmtree(target)
        source.rename(target)
    flush(target.parent)


def _holds(root: Path, path: str, node: Node) -> bool:
    """Return whether every file of a node is below ``root`` as the manifest describes it."""
    return not any(problem(root, str(PurePosixPath(path) / name), stored) for name, stored in node.files.items())


def _remove_unlisted(root: Path, manifest: Manifest) -> None:
    """Remove everything below ``root`` that a manifest does not list, links too."""
    listed = {root / name for name in (*manifest.files, EXTRACTION_FILE)}
    folders = {folder for file in listed for folder in file.parents}
    for entry in entries_below(root):
        if entry.is_symlink() or entry not in listed:
            remove(entry)
    for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        if folder not in folders:
            remove(folder)


def refuse_foreign_folder(path: Path, dataset: str) -> None:
    """Raise :class:`InputError` if ``path`` must not be overwritten or replaced: no cache, another's, or a mount."""
    if path.name in {"", ".."}:
        raise InputError(f"A cache needs a folder with a name, which {str(path)!r} is not. Name one with --cache.")
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not _looks_like_cache(path)):
        raise InputError(f"{path} exists and is not an OmniFuse cache. Name another place with --cache.")
    if path.is_dir() and _dataset(path) not in (None, dataset):
        raise InputError(
            f"{path} holds the data set {_dataset(path)}, not {dataset}. Name another place with --cache, or remove it."
        )
    if real_path(path).is_mount():
        raise InputError(
            f"{path} is a disk of its own, which a cache cannot replace. Name a folder in it with --cache."
        )


def _looks_like_cache(path: Path) -> bool:
    """Return whether a cache lies in a folder, maybe one whose description is damaged."""
    groups = (MODALITIES, TASKS, SPLITS)
    return _dataset(path) is not None or all((path / name / METADATA_FILE).is_file() for name in groups)


def _dataset(path: Path) -> str | None:
    """Return the data set of the cache in a folder, None if there is no cache."""
    try:
        attributes = json.loads((path / METADATA_FILE).read_text(encoding="utf-8"))["attributes"]
        return str(attributes[ATTRIBUTE]["dataset"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return None
