"""Matrices that a user brings, each row with the id of its sample: NPY, HDF5, AnnData and MuData files, as tables."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ....cache_schema import InputError, MissingInputError
from ....cache_schema.export.guarded import open_hdf5
from ....cache_schema.packages import require
from ...tables.feature_files import SAMPLE_ID, matrix_table, reading

IDS = (SAMPLE_ID, "ids")
VALUES = ("values", "features", "feats")
MATRIX = "X"
MUDATA = ".h5mu"


def read_matrix(path: Path, part: str = "", rows: int | None = None) -> pl.DataFrame:
    """Return a matrix as a table of sample_id and its columns, or only the first rows of it.

    Parameters
    ----------
    part
        Which matrix of the file: a dataset of HDF5, ``obsm/KEY`` or ``layers/KEY`` of AnnData, ``MODALITY`` or
        ``MODALITY/obsm/KEY`` of MuData.

    Raises
    ------
    InputError
        If the file is damaged, has no such matrix (the message says what it has), no ids, or a package is missing.
    """
    with reading(path):
        return READERS[path.suffix.lower()](path, part, rows)


def ids_beside(path: Path) -> Path:
    """Return the file with the ids of the rows of an NPY file."""
    return path.with_suffix(".ids.txt")


def mudata_modalities(path: Path) -> tuple[str, ...]:
    """Return the names of the modalities of a MuData file."""
    with reading(path), open_hdf5(path) as file:
        return tuple(group_of(file, "mod", path))


def _read_npy(path: Path, part: str, rows: int | None) -> pl.DataFrame:
    ids = ids_beside(path)
    if part:
        raise InputError(f"{path} has no part {part!r}; an NPY file is one matrix.")
    if not ids.is_file():
        raise MissingInputError(
            f"{path} does not say whose its rows are. Write their sample ids, a line each, to {ids}."
        )
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    with reading(ids):
        names = ids.read_text(encoding="utf-8-sig").splitlines()
    return matrix_table(names, values, None, path, rows)


def _read_hdf5(path: Path, part: str, rows: int | None) -> pl.DataFrame:
    with open_hdf5(path) as file:
        folder, _, dataset = part.rpartition("/")
        group = group_of(file, folder, path)
        values = dataset_of(group, [dataset] if dataset else VALUES, path)
        ids = strings(dataset_of(group, IDS, path))
        names = strings(group["columns"]) if "columns" in group else None
        return matrix_table(ids, values, names, path, rows)


def _read_anndata(path: Path, part: str, rows: int | None) -> pl.DataFrame:
    with open_hdf5(path) as file:
        return _annotated(file, part or MATRIX, path, rows)


def _read_mudata(path: Path, part: str, rows: int | None) -> pl.DataFrame:
    with open_hdf5(path) as file:
        modality, _, inside = part.partition("/")
        if modality == "obsm":  # of all modalities together
            return _annotated(file, part, path, rows)
        held = group_of(file, "mod", path)
        if modality not in held:
            raise InputError(f"{path} has no modality {modality!r}; it has {', '.join(held)[:80]}.")
        return _annotated(group_of(held, modality, path), inside or MATRIX, path, rows)


def _annotated(group: Any, part: str, path: Path, rows: int | None) -> pl.DataFrame:
    """Return a matrix of what AnnData wrote to a group; its ids are the names of the observations."""
    require("anndata", f"Reading {path.name}")
    from anndata.io import read_elem, sparse_dataset

    held = [MATRIX] if MATRIX in group else []
    held += [f"{folder}/{key}" for folder in ("layers", "obsm") for key in group.get(folder, ())]
    if part not in held:
        raise InputError(f"{path} has no matrix {part!r}; it has {', '.join(held)[:80] or 'none'}.")
    node = group[part]
    ids = _names(group, "obs", path)
    kind = node.attrs.get("encoding-type", "array" if _is_dataset(node) else "group")
    if kind == "dataframe":
        frame = read_elem(node)
        return matrix_table(ids, frame.to_numpy(), frame.columns, path, rows)
    if kind not in ("array", "csr_matrix", "csc_matrix"):
        raise InputError(f"{path}: {part} is a {str(kind)[:80]}, not a matrix.")
    names = None if part.startswith("obsm/") else _names(group, "var", path)
    return matrix_table(ids, node if kind == "array" else sparse_dataset(node), names, path, rows)


def _names(group: Any, table: str, path: Path) -> list[str]:
    """Return the names of observations or variables without reading the columns beside them."""
    from anndata.io import read_elem

    node = group[table]
    if _is_dataset(node):  # as AnnData wrote it before 0.7
        fields = node.dtype.names or ()
        if "index" not in fields:
            raise InputError(
                f"{path} was written before AnnData 0.7, and its {table} has no names. Read it with the package "
                "anndata and write it again."
            )
        return [name.decode() if isinstance(name, bytes) else str(name) for name in node.fields("index")[()]]
    return list(map(str, read_elem(node[node.attrs["_index"]])))


def _is_dataset(node: Any) -> bool:
    return hasattr(node, "dtype")


def group_of(file: Any, name: str, path: Path) -> Any:
    """Return a group of an HDF5 file, the file itself for no name."""
    if name and (name not in file or not hasattr(file[name], "keys")):
        raise InputError(f"{path} has no group {name!r}; it has {', '.join(file)[:80] or 'nothing'}.")
    return file[name] if name else file


def dataset_of(group: Any, names: Sequence[str], path: Path) -> Any:
    """Return the first dataset of a group that has one of the names."""
    found = next((group[name] for name in names if name in group and _is_dataset(group[name])), None)
    if found is None:
        raise InputError(f"{path} has no dataset {' or '.join(names)}; it has {', '.join(group)[:80] or 'nothing'}.")
    return found


def strings(dataset: Any) -> list[str]:
    """Return ids or names as text, whether they are stored as text or as whole numbers."""
    import h5py

    kind = dataset.dtype.kind
    if dataset.ndim == 1 and (kind == "S" or h5py.check_string_dtype(dataset.dtype)):
        return list(dataset.asstr()[()])
    if dataset.ndim != 1 or kind not in "iu":
        raise InputError(
            f"{dataset.file.filename}: {dataset.name} is {str(dataset.dtype)[:80]}, neither texts nor whole numbers."
        )
    return list(map(str, dataset[()]))


READERS: dict[str, Callable[[Path, str, int | None], pl.DataFrame]] = {
    ".npy": _read_npy,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
    ".h5ad": _read_anndata,
    MUDATA: _read_mudata,
}
