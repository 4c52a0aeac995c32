"""A cache in the formats of other tools: all of it or nothing, and never over something that is there."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from ..errors import InputError, OmniFuseError, system_reason, unknown
from ..files import flush
from ..lock import cache_lock
from ..read import StoredCache
from .arrays import write_hdf5, write_npz
from .mudata_file import write_mudata
from .parquet import write_parquet
from .xarray_store import write_xarray

FORMATS: dict[str, Callable[[StoredCache, Path, Sequence[str]], None]] = {
    "hdf5": write_hdf5,
    "npz": write_npz,
    "parquet": write_parquet,
    "mudata": write_mudata,
    "xarray": write_xarray,
}


def export_cache(cache: StoredCache, form: str, out: Path, modalities: Sequence[str] | None = None) -> None:
    """Write samples, the named modalities (None: all), tasks and splits to ``out`` in one of ``FORMATS``.

    Raises
    ------
    InputError
        If ``out`` exists or cannot be written, format or modality is unknown, the format cannot hold the cache, or its
        package is missing.
    CacheLockedError
        If another export to ``out`` is under way.
    """
    if form not in FORMATS:
        raise unknown("export format", form, FORMATS)
    if out.exists():
        raise InputError(f"{out} exists already. Name another place to export to, or remove it.")
    names = tuple(modalities) if modalities else cache.modalities
    for name in names:
        cache.modality_spec(name)  # refuses an unknown one before anything is written
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with cache_lock(out):
            _export(cache, form, out, names)
    except (OSError, pl.exceptions.PolarsError) as error:
        if isinstance(error, OmniFuseError) or (reason := system_reason(error)) is None:
            raise
        raise InputError(f"{out} cannot be written: {reason}. Nothing is left of it.") from error


def _export(cache: StoredCache, form: str, out: Path, names: Sequence[str]) -> None:
    """Write to a place beside ``out``, and give it the name of that when everything is on the disk."""
    partial = out.with_name(out.name + ".partial")
    _remove(partial)
    try:
        FORMATS[form](cache, partial, names)
        for written in (partial, *partial.rglob("*")):
            flush(written)
        partial.rename(out)
        flush(out.parent)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
