"""Tables in zarr: one array a column, with a ``<name>__valid`` array where values are missing."""

import numpy as np
import numpy.typing as npt
import polars as pl
import zarr

from .errors import InputError
from .layout import ATTRIBUTE, ELEMENT_VERSION, check_name, create_array

VALID_SUFFIX = "__valid"

STORED_TYPES: dict[type[pl.DataType], npt.DTypeLike | type[str]] = {
    pl.Boolean: np.bool_,
    pl.Int32: np.int32,
    pl.Int64: np.int64,
    pl.Float32: np.float32,
    pl.Float64: np.float64,
    pl.String: str,
}

FILL = {pl.Boolean: False, pl.Int32: 0, pl.Int64: 0, pl.Float32: float("nan"), pl.Float64: float("nan"), pl.String: ""}


def write_table(parent: zarr.Group, name: str, frame: pl.DataFrame) -> zarr.Group:
    """Write a table as a group of column arrays of length ``frame.height``.

    Raises
    ------
    InputError
        For a column type that the format does not know, or a name that is reserved.
    """
    group = parent.create_group(name)
    group.attrs[ATTRIBUTE] = {
        "element": "table",
        "element_version": ELEMENT_VERSION,
        "columns": frame.columns,
        "rows": frame.height,
    }
    for column in frame.iter_columns():
        _write_column(group, column)
    return group


def _write_column(group: zarr.Group, column: pl.Series) -> None:
    dtype = column.dtype.base_type()
    if dtype not in STORED_TYPES:
        known = ", ".join(str(known) for known in STORED_TYPES)
        raise InputError(f"Column {column.name!r} has type {column.dtype}, which a cache cannot hold; known: {known}.")
    check_name(column.name, "Column")
    if column.name.endswith(VALID_SUFFIX):
        raise InputError(f"Column {column.name!r}: names ending in {VALID_SUFFIX!r} are reserved.")
    array = create_array(group, column.name, (len(column),), STORED_TYPES[dtype])
    array[:] = column.fill_null(FILL[dtype]).to_numpy()
    if column.null_count():
        valid = create_array(group, column.name + VALID_SUFFIX, (len(column),), np.bool_)
        valid[:] = column.is_not_null().to_numpy()


def column_frame(name: str, values: npt.NDArray[np.generic], valid: npt.NDArray[np.bool_] | None) -> pl.Series:
    """Return a column as polars holds it: stored values, null where ``valid`` ``[rows]`` does not hold."""
    data = values.tolist() if values.dtype.kind in "OT" else values
    column = pl.Series(name, data, dtype=pl.String if values.dtype.kind in "OTU" else None)
    if valid is None:
        return column
    return pl.select(pl.when(pl.Series(valid)).then(column).alias(name)).to_series()
