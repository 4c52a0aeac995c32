"""Times of the tables as whole seconds: text in the usual formats, or the time types of Parquet."""

import polars as pl

FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")


def seconds(times: pl.Series) -> pl.Series:
    """Return seconds since 1970 (Int64, local time as written); null where there is no readable time.

    Dates without a time are midnight. Times with a zone are not readable: those of MIMIC are local and shifted.
    """
    if times.dtype.is_temporal():
        return times.cast(pl.Datetime("us")).dt.epoch("s")
    moments = times.str.to_datetime(FORMATS[0], time_unit="us", strict=False, cache=False)
    for form in FORMATS[1:]:
        unread = moments.is_null() & times.is_not_null()
        if not unread.any():
            break
        moments = moments.zip_with(~unread, times.str.to_datetime(form, time_unit="us", strict=False, cache=False))
    return moments.dt.epoch("s")
