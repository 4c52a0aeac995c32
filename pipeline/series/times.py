"""Times of tables: text in the usual formats, or the time types of Parquet."""

from datetime import datetime

import polars as pl

FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S%.f",
)  # fmt: skip

FIRST = datetime(1000, 1, 1)


def seconds(times: pl.Series) -> pl.Series:
    """Return whole seconds since 1970 (Int64, local time as written); null where there is no readable time."""
    return moments(times).dt.epoch("s")


def moments(times: pl.Series) -> pl.Series:
    """Return times to the microsecond, local as written; null where there is no readable time.

    Dates without a time are midnight. Times with a zone are not readable: those of MIMIC are local and shifted. Nor are
    years of fewer than four digits: 01-02-20 is the first of February, or else the second of January, and no year 1.
    """
    if times.dtype.is_temporal():
        zone = getattr(times.dtype, "time_zone", None)
        return pl.Series(times.name, [None] * len(times), pl.Datetime("us")) if zone else times.cast(pl.Datetime("us"))
    read = times.str.to_datetime(FORMATS[0], time_unit="us", strict=False, cache=False)
    for form in FORMATS[1:]:
        unread = read.is_null() & times.is_not_null()
        if not unread.any():
            break
        read = read.zip_with(~unread, times.str.to_datetime(form, time_unit="us", strict=False, cache=False))
    return read.zip_with(read >= FIRST, pl.Series([None], dtype=read.dtype))
