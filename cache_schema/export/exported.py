"""Reading an export again: what a modality is, and its rows with the ids of their samples."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from ..elements import Column, ModalityKind, ModalitySpec
from ..errors import InputError
from ..layout import ATTRIBUTE, MODALITIES, SAMPLES, modality_path
from ..packages import require
from ..ragged import RaggedArray
from .guarded import Npz, check_claim, open_hdf5, open_npz, to_dense
from .parquet import ROW_COLUMNS

HDF5_ENDINGS = (".h5", ".hdf5")


@dataclass(frozen=True)
class ExportedRows:
    """Rows of one modality: the id of the sample of each, ``[R]``, values ``[R, D]`` and ``time`` ``[R]`` in hours."""

    sample_ids: pl.Series
    values: npt.NDArray[Any]
    time: npt.NDArray[np.float32]


class Export(Protocol):
    """A file or folder that :func:`.export_cache` wrote."""

    @property
    def path(self) -> Path:
        """The file or folder."""
        ...

    def files(self, name: str) -> tuple[Path, ...]:
        """Return the files that hold a modality."""
        ...

    def modalities(self) -> tuple[str, ...]:
        """Return the names of the modalities; none if this is no export."""
        ...

    def spec(self, name: str) -> ModalitySpec:
        """Return what the rows of a modality are."""
        ...

    def rows(self, name: str) -> ExportedRows:
        """Read a modality."""
        ...


def find_export(path: Path) -> Export | None:
    """Return the export at a path, None if what lies there is something else.

    Raises
    ------
    InputError
        If the package that reads such a file is missing.
    OSError, ValueError, KeyError, polars.exceptions.PolarsError, zipfile.BadZipFile
        If the file is damaged; here, or when the export is read.
    """
    kinds: dict[str, type[_Arrays | _Tables | _MuData]] = {
        ".npz": _Arrays,
        ".parquet": _Tables,
        ".h5mu": _MuData,
        **dict.fromkeys(HDF5_ENDINGS, _Arrays),
    }
    kind = _Tables if path.is_dir() else kinds.get(path.suffix.lower())
    export = kind(path) if kind else None
    return export if export and export.modalities() else None


@dataclass(frozen=True)
class _OneFile:
    path: Path

    def files(self, name: str) -> tuple[Path, ...]:  # noqa: ARG002  (of any modality)
        return (self.path,)


class _Arrays(_OneFile):
    """HDF5 or NPZ."""

    def modalities(self) -> tuple[str, ...]:
        with self._open() as file:
            names = {path.split("/")[1] for path in _names(file) if path.startswith(f"{MODALITIES}/")}
            return tuple(sorted(name for name in names if f"{modality_path(name)}/kind" in file))

    def spec(self, name: str) -> ModalitySpec:
        """Return what the file says of a modality beside its rows."""
        path = modality_path(name)
        with self._open() as file:
            kind, meaning, recipe = (str(_array(file, f"{path}/{key}")) for key in ("kind", "row_meaning", "recipe"))
            described = ("columns", "units", "variables", "roles") if f"{path}/columns" in file else ()
            columns = zip(*(_array(file, f"{path}/{key}").tolist() for key in described), strict=True)
            return _spec(name, kind, meaning, json.loads(recipe), [Column(*column) for column in columns])

    def rows(self, name: str) -> ExportedRows:
        """Read a modality; raises :class:`InputError` if it describes other samples than the file has."""
        path = modality_path(name)
        with self._open() as file:
            ids = pl.Series(_array(file, f"{SAMPLES}/sample_id").tolist())
            values, offsets, time = (_array(file, f"{path}/{key}") for key in ("values", "offsets", "time"))
        rows = RaggedArray(values, offsets, time)
        if len(rows) != len(ids):
            raise InputError(f"{self.path} has {len(ids)} samples, but {name!r} describes {len(rows)}.")
        return ExportedRows(ids[np.repeat(np.arange(len(ids)), rows.lengths)], values, time)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        with (open_npz if self.path.suffix.lower() == ".npz" else open_hdf5)(self.path) as file:
            yield file


class _MuData(_OneFile):
    """MuData; rows that were taken out, put in another order or added since the export are read as they are now."""

    def modalities(self) -> tuple[str, ...]:
        with open_hdf5(self.path) as file:
            return tuple(name for name in file["mod"] if f"mod/{name}/uns/{ATTRIBUTE}/kind" in file)

    def spec(self, name: str) -> ModalitySpec:
        """Return what the file says of a modality beside its rows."""
        require("anndata", f"Reading {self.path.name}")
        from anndata.io import read_elem

        with open_hdf5(self.path) as file:
            described = read_elem(file[f"mod/{name}/uns/{ATTRIBUTE}"])
            var = read_elem(file[f"mod/{name}/var"])
        fields = [var[field].tolist() for field in ("name", "unit", "variable", "role") if "role" in var]
        columns = [Column(*column) for column in zip(*fields, strict=True)]
        return _spec(name, described["kind"], described["row_meaning"], json.loads(described["recipe"]), columns)

    def rows(self, name: str) -> ExportedRows:
        """Read a modality, sparse values in full."""
        from anndata.io import read_elem

        with open_hdf5(self.path) as file:
            values = read_elem(file[f"mod/{name}/X"])
            obs = read_elem(file[f"mod/{name}/obs"])
        check_claim(self.path, name, math.prod(values.shape) * values.dtype.itemsize)
        return ExportedRows(pl.Series(obs["sample_id"].tolist()), to_dense(values), obs["time"].to_numpy())


@dataclass(frozen=True)
class _Tables:
    """Parquet: the folder of an export, or the table of one modality."""

    path: Path

    def files(self, name: str) -> tuple[Path, ...]:
        return (self.path / MODALITIES / f"{name}.parquet",) if self.path.is_dir() else (self.path,)

    def modalities(self) -> tuple[str, ...]:
        tables = sorted((self.path / MODALITIES).glob("*.parquet")) if self.path.is_dir() else [self.path]
        return tuple(table.stem for table in tables if "columns" in self._described(table))

    def spec(self, name: str) -> ModalitySpec:
        (path,) = self.files(name)
        described = self._described(path)
        columns = [Column(**column) for column in described["columns"]]
        return _spec(name, described["kind"], described["row_meaning"], described["recipe"], columns)

    def rows(self, name: str) -> ExportedRows:
        (path,) = self.files(name)
        table = pl.read_parquet(path, glob=False)
        ids, time = (table[column] for column in ROW_COLUMNS)
        return ExportedRows(ids, table.drop(ROW_COLUMNS).to_numpy(), time.to_numpy())

    @staticmethod
    def _described(path: Path) -> dict[str, Any]:
        with path.open("rb") as file:
            described: dict[str, Any] = json.loads(pl.read_parquet_metadata(file).get(ATTRIBUTE, "{}"))
        return described


def _spec(name: str, kind: str, meaning: str, recipe: dict[str, Any], columns: Sequence[Column]) -> ModalitySpec:
    if kind not in get_args(ModalityKind):
        raise InputError(f"Modality {name!r} has kind {kind!r}; known kinds: {', '.join(get_args(ModalityKind))}.")
    return ModalitySpec(name, cast("ModalityKind", kind), meaning, recipe, tuple(columns))


def _names(file: Any) -> list[str]:
    """Return the paths of the arrays of an NPZ file, or of the groups of an HDF5 file as far as modalities go."""
    if isinstance(file, Npz):
        return file.names
    return [f"{group}/{name}" for group in file for name in (file[group] if hasattr(file[group], "keys") else ())]


def _array(file: Any, path: str) -> npt.NDArray[Any]:
    node = file[path]
    return np.asarray(node.asstr()[()] if node.dtype.kind == "O" else node[()])
