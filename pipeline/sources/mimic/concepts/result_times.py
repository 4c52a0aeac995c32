"""Times that a table does not say to the second: dates, and when a culture has a result."""

from collections.abc import Sequence

import polars as pl

from ....series.times import seconds

DAY_SECONDS = 86_400
RESULT_SECONDS = 5 * DAY_SECONDS
"""After which the result of a culture counts as known where no time says it: blood is incubated for five days."""


def end_of_day(times: pl.Series) -> pl.Series:
    """Return the last second of the days of times: by then whatever happened on a day has."""
    return times // DAY_SECONDS * DAY_SECONDS + DAY_SECONDS - 1


def is_whole_day(time: pl.Expr) -> pl.Expr:
    """Return whether times are days of which the hour is not known, as :func:`end_of_day` gives them."""
    return time % DAY_SECONDS == DAY_SECONDS - 1


def until_result(rows: pl.DataFrame, time: pl.Series, of_results: Sequence[int]) -> pl.Series:
    """Return at which ``time`` the rows are what their concepts look at: with a result, for those ``of_results``.

    A result is there at STORETIME, or at the end of STOREDATE, else five days after the culture was taken.
    """
    if not of_results:
        return time
    stored = seconds(rows["storetime"])
    stored = stored.zip_with(stored.is_not_null(), end_of_day(seconds(rows["storedate"])))
    known = stored.zip_with(stored.is_not_null(), time + RESULT_SECONDS)
    later = rows["concept"].is_in(list(of_results)) & (known > time).fill_null(False)
    return known.zip_with(later, time)
