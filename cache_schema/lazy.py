"""A modality that is read when it is needed: as a Dask array and as an xarray data set."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .packages import require

if TYPE_CHECKING:
    import dask.array
    import xarray

    from .read import StoredCache

CHUNKS_A_TASK = 16
"""Stored chunks of one Dask chunk: some 64 MiB, which Dask schedules without noticeable cost."""

CF_CONVENTIONS = "CF-1.11"


def dask_values(cache: "StoredCache", name: str) -> "dask.array.Array":
    """Return the rows ``[R, D]`` of a modality, read chunk by chunk through :meth:`FeatureCache.rows`.

    The chunks are whole stored chunks, so that none is read twice.
    """
    import dask.array

    rows, dim, dtype = int(cache.offsets(name)[-1]), cache.dim(name), cache.rows(name, 0, 0).dtype
    step = CHUNKS_A_TASK * cache.chunk_rows(name)
    lengths = tuple(min(step, rows - first) for first in range(0, rows, step)) or (0,)
    return dask.array.map_blocks(
        _read_block,
        cache,
        name,
        chunks=(lengths, (dim,)),
        dtype=dtype,
        meta=np.empty((0, 0), dtype),
        name=f"{name}-{cache.digest}",
    )


def _read_block(cache: "StoredCache", name: str, block_info: dict[Any, Any]) -> npt.NDArray[Any]:
    first, end = block_info[None]["array-location"][0]
    return cache.rows(name, first, end)


def xarray_dataset(cache: "StoredCache", name: str) -> "xarray.Dataset":
    """Return a modality as a contiguous ragged array of the CF conventions (9.3.3), its values lazily.

    ``values`` has the dimensions row and column, ``row_size`` (the count variable) the dimension sample: the rows of
    sample i come after those of the samples before it. ``time`` is the time of each row in hours since t0.
    """
    require("xarray", "An xarray data set")
    import xarray

    spec = cache.modality_spec(name)
    samples = cache.samples
    names = [column.name for column in spec.columns] or np.arange(cache.dim(name))
    described = {
        field: ("column", np.array([getattr(column, field) for column in spec.columns], dtype=object))
        for field in ("unit", "variable", "role")
        if spec.columns
    }
    coordinates = {key: ("sample", samples[key].to_numpy()) for key in ("sample_id", "subject_id")}
    return xarray.Dataset(
        {
            "values": (("row", "column"), dask_values(cache, name)),
            "row_size": ("sample", np.diff(cache.offsets(name)), {"sample_dimension": "row"}),
        },
        coords={
            **coordinates,
            "time": ("row", cache.times(name), {"units": "h", "long_name": "hours since the beginning of the record"}),
            "column": ("column", np.asarray(names, dtype=object if spec.columns else np.int64)),
            **described,
        },
        attrs={
            "Conventions": CF_CONVENTIONS,
            "kind": spec.kind,
            "row_meaning": spec.row_meaning,
            "recipe": json.dumps(spec.recipe),
        },
    )
