"""From usable events to a grid of the 17 variables: ties, rows of a stay, bins, and the 76 columns."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from .....cache_schema import offsets_of
from ....series.bins import Floats, Integers, bin_count, bin_index, carry_forward, inside
from .variables import Variable, columns, first_columns, variables


@dataclass(frozen=True)
class Grid:
    """Observed values of some stays: ``values`` ``[R, 17]`` float64, NaN where nothing was observed in the bin.

    ``stays`` ``[n]`` are running numbers of stays, ``lengths`` ``[n]`` their bins (0 without any observation) and
    ``first_hours`` ``[n]`` the time of the first observation (NaN without one).
    """

    stays: Integers
    lengths: Integers
    values: Floats
    first_hours: Floats


def largest_at_each_time(events: pl.DataFrame, owner: str) -> pl.DataFrame:
    """Keep of each owner, time and variable the event with the largest ``order``; sorted by owner and time."""
    key = _key(events, owner)
    rows = np.argsort(key)
    same = np.diff(key[rows]) == 0  # as the next
    tied = np.append(same, False) | np.append(False, same)
    among = rows[tied[: len(rows)]]
    rows[tied[: len(rows)]] = among[np.lexsort((events["order"].to_numpy()[among], key[among]))]
    last = ~np.append(same, False)[: len(rows)]
    return events.select(pl.all().gather(rows[last]))


def _key(events: pl.DataFrame, owner: str) -> Integers:
    """Return one integer per event that sorts by owner, second and variable."""
    second = events["second"].to_numpy()
    key: Integers = _moment(events[owner], second, second) * len(variables()) + events["variable"].to_numpy()
    return key


def _moment(owner: pl.Series, second: Integers, seconds: Integers) -> Integers:
    """Return one integer per row that sorts by owner and second; ``seconds`` are those of all rows in question."""
    first, last = (seconds.min(), seconds.max()) if len(seconds) else (0, 0)
    since: Integers = np.clip(second, first - 1, last + 1) - (first - 1)
    moment: Integers = owner.to_numpy().astype(np.int64) * (last - first + 3) + since
    return moment


def rows_by_subject(events: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Return stay, second, variable, number as the benchmark assigns them to stays.

    Values are those of the subject at each time. A stay receives every time between its admission and discharge, also
    of events that belong to another stay, and the times of its own events. Times before admission are left out: they
    are in no bin.
    """
    cells = largest_at_each_time(events, "subject")
    second = cells["second"].to_numpy()
    moments = _moment(cells["subject"], second, second)
    start = np.searchsorted(moments, _moment(stays["subject"], stays["intime"].to_numpy(), second), "left")
    stop = np.searchsorted(moments, _moment(stays["subject"], _ends(stays), second), "right")
    length = np.maximum(stop - start, 0)
    rows = np.repeat(start - offsets_of(length)[:-1], length) + np.arange(length.sum())
    owner = stays["stay"].gather(np.repeat(np.arange(len(stays)), length))
    between = cells.select(pl.all().gather(rows)).with_columns(stay=owner)
    return pl.concat([between, _after_discharge(events, cells, stays).select(between.columns)])


def _ends(stays: pl.DataFrame) -> Integers:
    """Return the second of discharge ``[n]``; where it is unknown one that leaves nothing in between."""
    ends: Integers = stays["outtime"].fill_null(stays["intime"] - 1).to_numpy()
    return ends


def _place(stays: pl.DataFrame) -> Integers:
    """Return for each running number of a stay its row in ``stays``."""
    numbers = stays["stay"].to_numpy()
    place = np.zeros(numbers.max(initial=-1) + 1, dtype=np.int64)
    place[numbers] = np.arange(len(stays))
    return place


def _after_discharge(events: pl.DataFrame, cells: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Return the subject's cells at times of a stay's own events after its discharge, in order of time.

    The length of a stay and its times need not agree.
    """
    end_of_own = _ends(stays)[_place(stays)[events["stay"].to_numpy()]]
    late = events.filter(events["second"].to_numpy() > end_of_own)
    times = late.select("subject", "second", "stay").unique()
    return cells.drop("stay").join(times, on=["subject", "second"]).sort("second")


def grid_of(cells: pl.DataFrame, stays: pl.DataFrame, bin_hours: float) -> Grid:
    """Return the grid of ``stays`` (stay, intime, los_hours) from cells in order of time.

    The last value in a bin wins.
    """
    los_hours = stays["los_hours"].fill_null(np.nan).to_numpy()
    bins = bin_count(los_hours, bin_hours)
    place = _place(stays)[cells["stay"].to_numpy()]
    hours = (cells["second"].to_numpy() - stays["intime"].to_numpy()[place]) / 60 / 60
    used = inside(hours, los_hours[place]) & (bins[place] > 0)
    place, hours = place[used], hours[used]
    first_hours = np.full(len(stays), np.inf)
    np.minimum.at(first_hours, place, hours)
    observed = np.isfinite(first_hours)
    lengths = np.where(observed, bins, 0)
    row = offsets_of(lengths)[place] + np.minimum(bin_index(hours, bin_hours), lengths[place] - 1)
    values = np.full((int(lengths.sum()), len(variables())), np.nan)  # [R, 17]
    values[row, cells["variable"].to_numpy()[used]] = cells["number"].to_numpy()[used]  # the later overwrites
    return Grid(stays["stay"].to_numpy(), lengths, values, np.where(observed, first_hours, np.nan))


def to_columns(grid: Grid, *, normal_values: bool) -> Floats:
    """Return the 76 columns ``[R, 76]``: carried-forward values and categories (one-hot), then masks.

    Before the first observation of a variable stands its normal value, or NaN without ``normal_values``.
    """
    filled = carry_forward(grid.values, grid.lengths)
    masks = len(columns()) - len(variables())
    matrix = np.empty((len(filled), len(columns())))  # [R, 76]
    matrix[:, masks:] = ~np.isnan(grid.values)
    for number, (variable, first) in enumerate(zip(variables(), first_columns(), strict=True)):
        value = filled[:, number]
        if normal_values:
            value = np.where(np.isnan(value), variable.normal, value)
        matrix[:, first : first + variable.width] = _one_hot(value, variable) if variable.categories else value[:, None]
    return matrix


def _one_hot(index: Floats, variable: Variable) -> Floats:
    """Return ``[R, categories]``, NaN in the rows where the index is NaN."""
    hot: Floats = (index[:, None] == np.arange(variable.width)).astype(np.float64)
    hot[np.isnan(index)] = np.nan
    return hot
