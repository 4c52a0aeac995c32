"""Reading a cache strictly: only what the manifest lists, whole or not at all."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import zarr

from .elements import Column, ModalityKind, ModalitySpec, Task
from .errors import CacheChangedError, CorruptCacheError, InputError, UnknownVersionError
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
from .manifest import Manifest, check_version, read_manifest
from .ragged import RaggedArray
from .selection import input_rows
from .table import VALID_SUFFIX, column_frame
from .verify import MEND, Verification, size_problem, verify_cache

if TYPE_CHECKING:
    import dask.array
    import xarray

    from .torch_dataset import TaskDataset


@dataclass(frozen=True)
class Modality(RaggedArray):
    """The rows of one modality of all samples, with the description of what they are.

    ``items`` lists what was encoded (item_id, sample, first_row, rows, time, digest, attributes); None where rows do
    not come from items, and after rows were selected for a task.
    """

    spec: ModalitySpec
    items: pl.DataFrame | None = None

    @property
    def name(self) -> str:
        """Name of the modality."""
        return self.spec.name

    @property
    def kind(self) -> ModalityKind:
        """What the rows are: embedding, timeseries or features."""
        return self.spec.kind

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the rows; empty for embeddings."""
        return self.spec.columns

    @property
    def recipe(self) -> dict[str, Any]:
        """How the rows were made."""
        return self.spec.recipe


class FeatureCache:
    """A feature cache opened for reading.

    Examples
    --------
    >>> cache = FeatureCache.open("cache")                      # doctest: +SKIP
    >>> cache.modality("rep")[0].shape                          # doctest: +SKIP
    (74, 768)
    """

    def __init__(self, path: Path, manifest: Manifest, digest: str) -> None:
        self.path = path
        self.manifest = manifest
        self.digest = digest
        """sha256 of the manifest: equal digests mean equal caches."""
        self._root = zarr.open_group(path, mode="r", zarr_format=3)
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
            If its description cannot be read.
        """
        path = Path(path)
        manifest = read_manifest(path)
        return cls(path, manifest, _manifest_digest(path))

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return str(self._attributes("", "cache")["dataset"])

    @property
    def samples(self) -> pl.DataFrame:
        """The cohort: sample_id, subject_id and descriptive columns, one row a sample."""
        return self._table(SAMPLES)

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
        return {name: self._table(f"{SPLITS}/{name}") for name in self._children(SPLITS)}

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
        self._require(name, self.modalities, "modality")
        attributes = self._attributes(modality_path(name), "modality")
        columns = tuple(Column(**column) for column in attributes["columns"])
        return ModalitySpec(name, attributes["kind"], attributes["row_meaning"], attributes["recipe"], columns)

    def offsets(self, name: str) -> npt.NDArray[np.int64]:
        """Return the offsets ``[N + 1]`` of a modality without reading its rows."""
        self._require(name, self.modalities, "modality")
        return self._array(f"{modality_path(name)}/offsets")

    def dim(self, name: str) -> int:
        """Return the number of columns of a modality without reading its rows."""
        self._require(name, self.modalities, "modality")
        return int(self._root[f"{modality_path(name)}/values"].shape[1])

    def chunk_rows(self, name: str) -> int:
        """Return how many rows of a modality are stored, and so read, together."""
        self._require(name, self.modalities, "modality")
        return int(self._root[f"{modality_path(name)}/values"].chunks[0])

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
        self._require(name, self.modalities, "modality")
        path = f"{modality_path(name)}/items"
        return self._table(path) if path in self.manifest.nodes else None

    def rows(self, name: str, first: int = 0, end: int | None = None) -> npt.NDArray[Any]:
        """Return the rows ``[first:end, D]`` of a modality; raises :class:`CorruptCacheError` as :meth:`modality`."""
        self._require(name, self.modalities, "modality")
        return self._array(f"{modality_path(name)}/values", slice(first, end))

    def times(self, name: str) -> npt.NDArray[np.float32]:
        """Return the time ``[R]`` of each row of a modality, in hours since t0, NaN for a row without time."""
        self._require(name, self.modalities, "modality")
        return self._array(f"{modality_path(name)}/time")

    def task(self, name: str) -> Task:
        """Read a task's labels; an unknown name raises :class:`InputError` that lists the known ones."""
        self._require(name, self.tasks, "task")
        path = task_path(name)
        attributes = self._attributes(path, "task")
        long = f"{path}/sample" in self.manifest.nodes
        return Task(
            name=name,
            kind=attributes["kind"],
            labels=tuple(attributes["labels"]),
            y=self._array(f"{path}/y"),
            window_hours=attributes["window_hours"],
            select=attributes["select"],
            counts=tuple((step, count) for step, count in attributes["counts"]),
            sample=self._array(f"{path}/sample") if long else None,
            time=self._array(f"{path}/time") if long else None,
        )

    def task_inputs(self, task: Task | str, modalities: Sequence[str] | None = None) -> dict[str, Modality]:
        """Return what a model may see for a task: rows inside its window, of the items that it selects."""
        if isinstance(task, str):
            task = self.task(task)
        return {name: input_rows(self.modality(name), task) for name in modalities or self.modalities}

    def to_torch(self, task: str, modalities: Sequence[str] | None = None) -> "TaskDataset":
        """Return a ``torch.utils.data.Dataset`` of the samples with a known label; the only method that needs torch."""
        from .torch_dataset import TaskDataset

        return TaskDataset.from_cache(self, task, modalities)

    def to_dask(self, modality: str) -> "dask.array.Array":
        """Return the rows ``[R, D]`` of a modality, read when they are computed; see :func:`.lazy.dask_values`."""
        from .lazy import dask_values

        return dask_values(self, modality)

    def to_xarray(self, modality: str) -> "xarray.Dataset":
        """Return a modality with its ids and times, values read when needed; see :func:`.lazy.xarray_dataset`."""
        from .lazy import xarray_dataset

        return xarray_dataset(self, modality)

    def export(self, form: str, out: str | Path, modalities: Sequence[str] | None = None) -> None:
        """Write the cache in one of the formats :data:`.export.FORMATS`; see :func:`.export.export_cache`."""
        from .export import export_cache

        export_cache(self, form, Path(out), modalities)

    def verify(self) -> Verification:
        """Compare every stored byte with the manifest."""
        return verify_cache(self.path)

    def _array(self, path: str, rows: slice = slice(None)) -> npt.NDArray[Any]:
        """Read rows of one array. Missing chunks, wrong sizes and failed checksums raise."""
        node = self.manifest.nodes.get(path)
        if node is None:
            raise CorruptCacheError(f"The manifest of {self.path} does not list the array {path}.")
        for name, stored in node.files.items():
            file = self.path / path / name
            if problem := size_problem(file, stored):
                self._refuse_change()
                raise CorruptCacheError(f"{file} {problem}. {MEND}")
        try:
            values = np.asarray(self._root[path][rows])
        except (ValueError, RuntimeError, OSError) as error:
            self._refuse_change()
            raise CorruptCacheError(f"{self.path / path} cannot be read: {error}. {MEND}") from error
        self._refuse_change()
        return values

    def _table(self, path: str) -> pl.DataFrame:
        attributes = self._attributes(path, "table")
        columns = []
        for name in attributes["columns"]:
            valid = f"{path}/{name}{VALID_SUFFIX}"
            mask = self._array(valid) if valid in self.manifest.nodes else None
            columns.append(column_frame(name, self._array(f"{path}/{name}"), mask))
        return pl.DataFrame(columns)

    def _attributes(self, path: str, element: str) -> dict[str, Any]:
        group = self._root if path == "" else self._root.get(path)
        if group is None:
            raise CorruptCacheError(f"{self.path / path} is missing. {MEND}")
        attributes = dict(group.attrs).get(ATTRIBUTE)
        if not isinstance(attributes, dict) or attributes.get("element") != element:
            raise CorruptCacheError(f"{self.path / path} does not describe itself as a {element} of OmniFuse.")
        if element == "cache":
            check_version(attributes["schema_version"], self.path)
        elif attributes["element_version"] != ELEMENT_VERSION:
            raise UnknownVersionError(
                f"{self.path / path} is a {element} of version {attributes['element_version']!r}; this OmniFuse reads "
                f"version {ELEMENT_VERSION}. Update OmniFuse, or extract the cache again."
            )
        return attributes

    def _children(self, path: str) -> tuple[str, ...]:
        inside = (name.split("/") for name in self.manifest.nodes)
        return tuple(sorted(parts[1] for parts in inside if len(parts) == 2 and parts[0] == path))

    def _require(self, name: str, known: tuple[str, ...], what: str) -> None:
        if name not in known:
            raise InputError(f"{self.path} has no {what} {name!r}; it has: {', '.join(known) or 'none'}.")

    def _refuse_change(self) -> None:
        if not (self.path / MANIFEST_FILE).is_file() or _manifest_digest(self.path) != self.digest:
            raise CacheChangedError(f"The cache {self.path} was changed after it was opened. Open it again.")


def _manifest_digest(path: Path) -> str:
    return hashlib.sha256((path / MANIFEST_FILE).read_bytes()).hexdigest()
