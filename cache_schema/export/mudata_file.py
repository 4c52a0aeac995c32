"""MuData: an AnnData for each modality, whose observations are its rows, in one .h5mu file."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..layout import ATTRIBUTE
from ..packages import require
from ..ragged import Modality
from ..read import StoredCache
from .arrays import Entry, description_entries, entries
from .cohort import cohort_table
from .hdf5_file import hdf5_target

if TYPE_CHECKING:
    import anndata
    import mudata


def write_mudata(cache: StoredCache, path: Path, modalities: Sequence[str]) -> None:
    """Write a MuData file; memory holds all modalities at once.

    An observation is a row, with ``sample_id`` and ``time`` in ``obs``. Where no sample has two rows it has the name of
    its sample, by which MuData joins modalities, elsewhere ``<sample>/<modality>/<row>``. The cohort is in the ``obs``
    of the whole, for each observation that of its sample; every sample, the tasks and splits are in ``uns``.
    """
    require("mudata", "The format mudata")
    import mudata

    ids = cache.samples["sample_id"]
    read = [cache.modality(name) for name in modalities]
    names = [name for modality in read for name in _column_names(modality)]
    unique = len(set(names)) == len(names)
    with mudata.set_options(pull_on_update=False):  # what will be the default
        data = mudata.MuData({modality.name: _observations(modality, ids, prefix=not unique) for modality in read})
        for name, column in _cohort(cache, data).items():
            data.obs[name] = column
        data.uns[ATTRIBUTE] = _nested(entries(cache, ()))
        with hdf5_target(path) as target:
            mudata.write_h5mu(target, data)


def _observations(modality: Modality, ids: pl.Series, *, prefix: bool) -> "anndata.AnnData":
    """Return the rows of a modality; ``prefix``: columns are named ``<modality>:<column>``."""
    import anndata
    import pandas as pd

    sample = np.repeat(np.arange(len(modality)), modality.lengths)
    names = ids[sample].cast(pl.String)
    if modality.lengths.max(initial=0) > 1:
        within = pl.Series(np.arange(len(sample)) - modality.offsets[sample], dtype=pl.String)
        names = names + f"/{modality.name}/" + within
    columns = _column_names(modality)
    obs = {"sample_id": _pandas(ids[sample]), "time": modality.time}
    var = {"name": columns}
    for field in ("unit", "variable", "role") if modality.columns else ():
        var[field] = [getattr(column, field) for column in modality.columns]
    labels = [f"{modality.name}:{name}" for name in columns] if prefix else columns
    return anndata.AnnData(
        modality.values,
        obs=pd.DataFrame(obs, index=pd.Index(names.to_list(), dtype=str)),
        var=pd.DataFrame(var, index=pd.Index(labels, dtype=str), dtype=str),
        uns={ATTRIBUTE: _nested(description_entries("", modality))},
    )


def _column_names(modality: Modality) -> list[str]:
    return [column.name for column in modality.columns] or [str(place) for place in range(modality.dim)]


def _cohort(cache: StoredCache, data: "mudata.MuData") -> dict[str, Any]:
    """Return the columns of the cohort, for each observation those of its sample."""
    cohort = cohort_table(cache)
    sample_of: dict[str, Any] = {}
    for rows in data.mod.values():
        sample_of.update(zip(rows.obs_names, rows.obs["sample_id"], strict=True))
    ids = pl.Series("sample_id", [sample_of[name] for name in data.obs_names], dtype=cohort["sample_id"].dtype)
    joined = ids.to_frame().join(cohort, on="sample_id", how="left", maintain_order="left")
    return {column.name.replace("/", "|"): _pandas(column) for column in joined.iter_columns()}


def _pandas(column: pl.Series) -> Any:
    """Return a column as pandas and AnnData hold it: texts as categories, numbers with NaN where null."""
    import pandas as pd

    if column.dtype == pl.String:
        return pd.Categorical(column.to_list())
    if column.dtype == pl.Boolean:
        return pd.array(column.to_list(), dtype="boolean")
    return column.to_numpy()


def _nested(flat: Iterable[Entry]) -> dict[str, Any]:
    """Return arrays with paths as dicts in dicts."""
    tree: dict[str, Any] = {}
    for path, array in flat:
        *groups, name = path.strip("/").split("/")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = array
    return tree
