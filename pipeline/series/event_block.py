"""Timed events of any variables as rows of bins: the last value of each, carried forward, and what was seen."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import Column
from ..source import LARGEST, TOO_LARGE, Block, Quarantine
from ..temporary import TemporaryFolder
from .bins import bin_ends, bin_index, carry_forward
from .spill import EventStore, read_group

STAGE = "events"

CELLS = 2_000_000
"""Of a matrix that is made at once: there are a few copies of it in memory."""


def event_columns(variables: Iterable[tuple[str, str]]) -> tuple[Column, ...]:
    """Return the columns of :func:`event_block` for variables (name, unit): their values, then their masks."""
    named = list(variables)
    values = [Column(name, unit, name) for name, unit in named]
    return (*values, *(Column(f"mask->{name}", "", name, "mask") for name, _ in named))


def event_block(
    samples: npt.NDArray[Any],
    events: pl.DataFrame,
    width: int,
    bin_hours: float,
    quarantine: Quarantine,
    hours: float | None = None,
) -> Block:
    """Return values and masks ``[R, 2 * width]`` of ``samples`` (sorted ids ``[n]``) from events in order of time.

    ``events`` has sample (one of ``samples``), hours since t0 (not negative), column (below ``width``) and value. A
    sample with any event has rows from t0 to ``hours``, or without that to its last event, the others have none.
    Before the first observation stands NaN. Values that a cache cannot hold are left out and counted.
    """
    events = _storable(events, quarantine)
    place = np.searchsorted(samples, events["sample"].to_numpy())
    bins = bin_index(events["hours"].to_numpy(), bin_hours)
    lengths = np.zeros(len(samples), dtype=np.int64)
    np.maximum.at(lengths, place, bins + 1 if hours is None else int(hours / bin_hours))
    seen = np.full((int(lengths.sum()), width), np.nan)  # [R, V]
    row = (np.cumsum(lengths) - lengths)[place] + bins
    seen[row, events["column"].to_numpy()] = events["value"].to_numpy()  # the later overwrites
    values = np.concatenate([carry_forward(seen, lengths), ~np.isnan(seen)], axis=1)  # [R, 2 V]
    return Block(samples, lengths, values.astype(np.float32), bin_ends(lengths, bin_hours).astype(np.float32))


def _storable(events: pl.DataFrame, quarantine: Quarantine) -> pl.DataFrame:
    """Leave values out that would be infinite in a cache, and then be carried forward."""
    fits = events["value"].is_between(-LARGEST, LARGEST)
    if count := int((~fits).sum()):
        quarantine.add(STAGE, "events", "", "", TOO_LARGE, count)
    return events.filter(fits) if count else events


def by_subject(batches: Iterable[pl.DataFrame], subjects: int) -> Iterator[pl.DataFrame]:
    """Yield events in groups, all events of a subject in one, with memory that does not grow with their number.

    ``batches`` have a column ``subject`` (running number below ``subjects``). Events of a subject keep their order.
    """
    folder = TemporaryFolder()
    try:
        store = EventStore(folder.path / "events", subjects)
        for batch in batches:
            store.add(batch)
        for pieces in store.groups():
            yield read_group(pieces)
    finally:
        folder.remove()


def portions(
    events: pl.DataFrame, cells: npt.NDArray[np.int64] | int
) -> Iterator[tuple[npt.NDArray[np.int64], pl.DataFrame]]:
    """Yield samples (sorted ``[n]``) and their events, so many at a time that their matrix has about `CELLS` cells.

    ``events`` are in order of ``sample``; ``cells`` is what each of these samples needs, in that order, or all alike.
    """
    samples, first = np.unique(events["sample"].to_numpy(), return_index=True)
    edges = np.append(first, len(events))
    portion = np.cumsum(np.broadcast_to(cells, len(samples))) // CELLS
    for start, stop in pairwise(np.flatnonzero(np.diff(portion, prepend=-1, append=-1))):
        yield samples[start:stop], events[int(edges[start]) : int(edges[stop])]
