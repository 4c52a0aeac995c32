"""Reading a cache strictly: only what the manifest lists, every byte compared with it, whole or not at all."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import zarr

from .checked_store import CheckedStore
from .chunks import RowChunks
from .consistency import check_items, check_modality, check_samples, check_split, check_task
from .elements import Column, ModalitySpec, Task
from .errors import CacheChangedError, CacheError, CorruptCacheError, InputError, UnknownVersionError, unknown
from .files import MEND
from .layout import (
    ATTRIBUTE,
    COUNTS,
    ELEMENT_VERSION,
    MANIFEST_FILE,
    MODALITIES,
    QUARANTINE,
    QUARANTINE_COUNTS,
    SAMPLES,
    SPLITS,
    TASKS,
    modality_path,
    task_path,
)
from .manifest import Manifest, check_version, manifest_bytes, parse_manifest
from .ragged import Modality, check_offsets
from .selection import input_rows
from .table import VALID_SUFFIX, column_frame

UNREADABLE = (
    ValueError, LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError, MemoryError, OSError,
    pl.exceptions.PolarsError,
)  # fmt: skip
"""What zarr, its codecs and polars raise where metadata or a chunk means nothing."""


class StoredCache:
    """The content of a cache, compared with its manifest whenever it is read; see :class:`.FeatureCache`."""

    def __init__(self, path: Path, manifest: Manifest, digest: str) -> None:
        self.path = path
        self.manifest = manifest
        self.digest = digest
        """sha256 of the manifest: equal digests mean equal caches."""
        self._modalities: dict[str, tuple[ModalitySpec, zarr.Array]] = {}
        with self._reading(""):
            self._store = CheckedStore(path, manifest.files)
            self._root = zarr.open_group(self._store, mode="r", zarr_format=3)
        self._attributes("", "cache")

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a complete cache.

        Raises
        ------
        CacheNotFoundError
            If there is none, or its extraction has not finished.
        UnknownVersionError
            If it was written in a version of the format that this OmniFuse does not read.
        CorruptCacheError
            If its description differs from what was written. What is read later is compared then.
        """
        path = Path(path)
        content = manifest_bytes(path)
        return cls(path, parse_manifest(content, path / MANIFEST_FILE), hashlib.sha256(content).hexdigest())

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return str(self._attributes("", "cache").get("dataset"))

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the tools that made it."""
        return dict(self._attributes("", "cache").get("versions", {}))

    @property
    def samples(self) -> pl.DataFrame:
        """The cohort: sample_id, subject_id and descriptive columns, one row a sample."""
        samples = self._table(SAMPLES)
        with self._reading(SAMPLES):
            check_samples(samples)
        return samples

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities."""
        return self._children(MODALITIES)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks."""
        return self._children(TASKS)

    @property
    def splits(self) -> dict[str, pl.DataFrame]:
        """Splits that came with the data: tables of sample_id and part."""
        return {name: self._split(name) for name in self._children(SPLITS)}

    @property
    def quarantine(self) -> pl.DataFrame:
        """Rows and items that were left out: stage, source, row or item, value, reason."""
        return self._table(QUARANTINE)

    @property
    def quarantine_counts(self) -> pl.DataFrame:
        """How many rows and items were left out for each reason; complete where ``quarantine`` is cut."""
        return self._table(QUARANTINE_COUNTS)

    @property
    def counts(self) -> pl.DataFrame:
        """What every step left: scope, step, unit, count, published, source; no columns where there are no counts."""
        return self._table(COUNTS) if COUNTS in self.manifest.nodes else pl.DataFrame()

    def modality_spec(self, name: str) -> ModalitySpec:
        """Return the description of a modality without reading its rows."""
        return self._described(name)[0]

    def offsets(self, name: str) -> npt.NDArray[np.int64]:
        """Return the offsets ``[N + 1]`` of a modality without reading its rows."""
        path, values = f"{modality_path(name)}/offsets", self._described(name)[1]
        offsets = self._array(path)
        with self._reading(path):
            check_offsets(offsets, values.shape[0])
        return offsets

    def dim(self, name: str) -> int:
        """Return the number of columns of a modality without reading its rows."""
        return int(self._described(name)[1].shape[1])

    def chunk_rows(self, name: str) -> int:
        """Return how many rows of a modality are stored, and so read, together."""
        return int(self._described(name)[1].chunks[0])

    def modality(self, name: str) -> Modality:
        """Read a modality into memory.

        Raises
        ------
        InputError
            If the cache has no such modality; the message lists those it has.
        CorruptCacheError
            If stored bytes are missing or damaged.
        """
        return replace(self.row_numbers(name), values=self.rows(name))

    def row_numbers(self, name: str) -> Modality:
        """Return a modality with the number of each row, ``[R, 1]`` int64, in place of its values.

        To choose rows before any is read; raises as :meth:`modality`.
        """
        spec, items, offsets = self.modality_spec(name), self.items(name), self.offsets(name)
        numbers = np.arange(offsets[-1], dtype=np.int64)[:, None]
        return Modality(values=numbers, offsets=offsets, time=self.times(name), spec=spec, items=items)

    def items(self, name: str) -> pl.DataFrame | None:
        """Return what was encoded for a modality (see :class:`Modality`) without reading its rows."""
        self._described(name)
        path = f"{modality_path(name)}/items"
        if path not in self.manifest.nodes:
            return None
        items, offsets = self._table(path), self.offsets(name)
        with self._reading(path):
            check_items(name, items, offsets)
        return items

    def rows(self, name: str, first: int = 0, end: int | None = None) -> npt.NDArray[Any]:
        """Return the rows ``[first:end, D]`` of a modality; raises :class:`CorruptCacheError` as :meth:`modality`."""
        values = self._described(name)[1]
        numbers = np.arange(values.shape[0])[first:end]
        with self._reading(f"{modality_path(name)}/values"):
            rows = np.empty((len(numbers), self.dim(name)), values.dtype)
        for _ in self.fill(name, numbers, rows):
            pass
        return rows

    def fill(self, name: str, numbers: npt.NDArray[np.int64], into: npt.NDArray[Any]) -> Iterator[slice]:
        """Read the rows of a modality that have the given rising numbers ``[n]`` into ``into`` ``[n, D]``.

        Yields the parts of ``into`` as they come, one after the other. Chunks without any of the rows are not read;
        raises :class:`CorruptCacheError` as :meth:`modality`.
        """
        path, values = f"{modality_path(name)}/values", self._described(name)[1]
        with self._reading(path):
            yield from RowChunks(self._store, path, values).fill(numbers, into)
        self._refuse_change()

    def times(self, name: str) -> npt.NDArray[np.float32]:
        """Return the time ``[R]`` of each row of a modality, in hours since t0, NaN for a row without time."""
        self._described(name)
        return self._array(f"{modality_path(name)}/time")

    def task(self, name: str) -> Task:
        """Read a task's labels; an unknown name raises :class:`InputError` that lists the known ones."""
        self._require(name, self.tasks, "task")
        path = task_path(name)
        attributes = self._attributes(path, "task")
        y = self._array(f"{path}/y")
        long = f"{path}/sample" in self.manifest.nodes
        sample, time = (self._array(f"{path}/{part}") if long else None for part in ("sample", "time"))
        with self._reading(path):
            task = Task(
                name=name,
                kind=attributes["kind"],
                labels=tuple(attributes["labels"]),
                y=y,
                window_hours=attributes["window_hours"],
                select=attributes["select"],
                counts=tuple((step, count) for step, count in attributes["counts"]),
                sample=sample,
                time=time,
                title=_title(attributes),
                history_hours=attributes.get("history_hours", 0.0),
                unit=str(attributes.get("unit", "")),
            )
            check_task(task, self._number)
        return task

    def task_inputs(self, task: Task | str, modalities: Sequence[str] | None = None) -> dict[str, Modality]:
        """Return what a model may see for a task: rows inside its window, of the items that it selects."""
        if isinstance(task, str):
            task = self.task(task)
        return {name: input_rows(self.modality(name), task) for name in modalities or self.modalities}

    @cached_property
    def _number(self) -> int:
        """Number of samples."""
        attributes = self._attributes(SAMPLES, "table")
        with self._reading(SAMPLES):
            return int(attributes["rows"])

    def _described(self, name: str) -> tuple[ModalitySpec, zarr.Array]:
        """Return what a modality is, and the array of its values; once checked, they are kept."""
        if name not in self._modalities:
            self._require(name, self.modalities, "modality")
            path = modality_path(name)
            attributes = self._attributes(path, "modality")
            arrays = {part: self._node(f"{path}/{part}") for part in ("offsets", "values", "time")}
            with self._reading(path):
                columns = tuple(Column(**column) for column in attributes["columns"])
                spec = ModalitySpec(
                    name,
                    attributes["kind"],
                    attributes["row_meaning"],
                    attributes["recipe"],
                    columns,
                    _title(attributes),
                )
                check_modality(spec, self._number, *(array.shape for array in arrays.values()))
            self._modalities[name] = spec, arrays["values"]
        return self._modalities[name]

    def _split(self, name: str) -> pl.DataFrame:
        path = f"{SPLITS}/{name}"
        parts, samples = self._table(path), self.samples
        with self._reading(path):
            check_split(name, parts, samples["sample_id"])
        return parts

    def _array(self, path: str) -> npt.NDArray[Any]:
        array = self._node(path)
        with self._reading(path):
            values = np.asarray(array[:])
        self._refuse_change()
        return values

    def _table(self, path: str) -> pl.DataFrame:
        attributes = self._attributes(path, "table")
        columns = []
        with self._reading(path):
            for name in attributes["columns"]:
                valid = f"{path}/{name}{VALID_SUFFIX}"
                mask = self._array(valid) if valid in self.manifest.nodes else None
                columns.append(column_frame(name, self._array(f"{path}/{name}"), mask))
            if any(len(column) != attributes["rows"] for column in columns):
                raise ValueError("its columns are not of one length")
        return pl.DataFrame(columns)

    def _attributes(self, path: str, element: str) -> dict[str, Any]:
        attributes = dict((self._node(path) if path else self._root).attrs).get(ATTRIBUTE)
        if not isinstance(attributes, dict) or attributes.get("element") != element:
            raise CorruptCacheError(f"{self.path / path} does not describe itself as a {element} of OmniFuse.")
        if element == "cache":
            check_version(attributes.get("schema_version"), self.path)
        elif (version := attributes.get("element_version")) != ELEMENT_VERSION:
            raise UnknownVersionError(
                f"{self.path / path} is a {element} of version {version!r:.20}; this OmniFuse reads "
                f"version {ELEMENT_VERSION}. Update OmniFuse, or extract the cache again."
            )
        return attributes

    def _node(self, path: str) -> Any:
        """Open a group or an array, whose metadata are compared with the manifest."""
        node = self.manifest.nodes.get(path)
        if node is None:
            raise CorruptCacheError(f"The manifest of {self.path} does not list {path}. {MEND}")
        with self._reading(path):
            opened = self._root[path]
            if isinstance(opened, zarr.Array) != (node.kind == "array"):
                raise ValueError(f"it is no {node.kind}")
            if node.kind == "array" and opened.nchunks != len(node.files) - 1:  # all but its metadata
                raise ValueError(f"it claims {opened.nchunks} chunks and has {len(node.files) - 1}")
        return opened

    @contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        """Turn whatever goes wrong while a node is read into what is wrong with the cache."""
        try:
            yield
        except CacheError:
            self._refuse_change()
            raise
        except UNREADABLE as error:
            self._refuse_change()
            raise CorruptCacheError(
                f"{self.path / path} cannot be read: {str(error)[:200].rstrip('.')}. {MEND}"
            ) from error

    def _children(self, path: str) -> tuple[str, ...]:
        inside = (name.split("/") for name in self.manifest.nodes)
        return tuple(sorted(parts[1] for parts in inside if len(parts) == 2 and parts[0] == path))

    def _require(self, name: str, known: tuple[str, ...], what: str) -> None:
        if name not in known:
            raise InputError(f"{self.path}: {unknown(what, name, known)}")

    def _refuse_change(self) -> None:
        manifest = self.path / MANIFEST_FILE
        if not manifest.is_file() or hashlib.sha256(manifest.read_bytes()).hexdigest() != self.digest:
            raise CacheChangedError(f"The cache {self.path} was changed after it was opened. Open it again.")


def _title(attributes: Mapping[str, Any]) -> str | None:
    """Return the title of a modality or task; caches without titles are as good."""
    title = attributes.get("title")
    return None if title is None else str(title)
