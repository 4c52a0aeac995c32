"""Events of a cohort -> binned tensors, with memory that does not grow with the number of events."""

import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from .....cache_schema import naming
from ....series.bins import Floats, Integers, bin_ends
from ....series.spill import EventStore, Piece, read_group
from ....source import Quarantine
from ....temporary import TemporaryFolder
from .cleaning import clean_values
from .collect import Collected, collect, events_to_read, report_counts
from .grid import Grid, grid_of, largest_at_each_time, rows_by_subject, to_columns
from .settings import EhrSettings

THREADS = 2
"""Groups of subjects that are worked on at once; each takes memory."""


@dataclass(frozen=True)
class TensorBlock:
    """Tensors of some stays.

    ``stays`` ``[n]`` and ``lengths`` ``[n]`` int64, ``values`` ``[R, 76]`` float64, ``time`` ``[R]`` float64, end of
    its bin in hours. float64 is what parity with the benchmark is measured on; a cache keeps float32.
    """

    stays: Integers
    lengths: Integers
    values: Floats
    time: Floats


class EhrTensors:
    """Tensors of a cohort, in a temporary folder that is removed with this object.

    ``first_hours`` ``[N]`` is the time of the first observation within each stay, NaN where there is none; such a stay
    has no rows. ``counts`` says how many events were read, dropped and recovered.
    """

    def __init__(self, settings: EhrSettings, stays: int) -> None:
        self.settings = settings
        temporary = TemporaryFolder()
        weakref.finalize(self, temporary.remove)  # at the latest when Python ends
        self.folder = temporary.path
        self.first_hours = np.full(stays, np.nan)
        self.counts: Counter[str] = Counter()
        self._files: list[Path] = []

    def blocks(self) -> Iterator[TensorBlock]:
        """Yield the tensors of all stays that have any, in blocks of neighbouring subjects."""
        for file in self._files:
            with np.load(file) as saved:
                grid = Grid(saved["stays"], saved["lengths"], saved["values"], saved["first_hours"])
            values = to_columns(grid, normal_values=self.settings.profile == "benchmark")
            yield TensorBlock(grid.stays, grid.lengths, values, bin_ends(grid.lengths, self.settings.bin_hours))

    def add(self, grid: Grid) -> None:
        """Take the grid of some stays."""
        self.first_hours[grid.stays] = grid.first_hours
        some = grid.lengths > 0
        if not some.any():
            return
        file = self.folder / f"grid-{len(self._files):05d}.npz"
        lengths, first_hours = grid.lengths[some], grid.first_hours[some]
        with naming(file):
            np.savez(file, stays=grid.stays[some], lengths=lengths, values=grid.values, first_hours=first_hours)
        self._files.append(file)


def extract_tensors(
    read: Callable[[pl.Expr], Iterable[pl.DataFrame]],
    stays: pl.DataFrame,
    settings: EhrSettings,
    quarantine: Quarantine,
) -> EhrTensors:
    """Return the tensors of a cohort.

    Parameters
    ----------
    read
        Yields the events for which a condition on their columns holds: subject_id, hadm_id, stay_id, itemid (Int64),
        charttime (text or time), value, unit, error (text), valuenum (text or Float64). It is called once.
    stays
        The cohort: subject_id, hadm_id, stay_id, intime and outtime (seconds), los_hours. A stay's number in the result
        is its row here.
    """
    tensors = EhrTensors(settings, len(stays))
    numbered = _numbered(stays)
    subjects = numbered["subject"].n_unique()
    collected = Collected(EventStore(tensors.folder / "events", subjects), np.zeros(subjects, dtype=bool), Counter())
    collect(read(events_to_read(numbered, settings)), numbered, settings, collected)
    report_counts(collected, settings, quarantine)
    tensors.counts.update(collected.counts)
    make_grid = partial(_make_grid, numbered, pl.Series(collected.text_subjects), settings)
    with ThreadPoolExecutor(THREADS) as pool:
        for grid, left_out in pool.map(make_grid, collected.store.groups()):
            tensors.add(grid)
            quarantine.extend(left_out.to_json())
    return tensors


def _make_grid(
    stays: pl.DataFrame, text_subjects: pl.Series, settings: EhrSettings, pieces: Sequence[Piece]
) -> tuple[Grid, Quarantine]:
    """Return the grid of a group of subjects, and the values that were left out."""
    events = read_group(pieces)
    of_group = stays.filter(pl.col("subject").is_in(events["subject"].unique().implode()))
    events = events.with_columns(text_subject=text_subjects.gather(events["subject"]))
    left_out = Quarantine()
    usable = clean_values(events, of_group, settings, left_out)
    return grid_of(_cells(usable, of_group, settings), of_group, settings.bin_hours), left_out


def _numbered(stays: pl.DataFrame) -> pl.DataFrame:
    """Add running numbers: ``stay`` by row, ``subject`` by subject id."""
    subject = pl.col("subject_id").rank("dense").cast(pl.Int32) - 1
    return stays.with_columns(subject=subject, stay=pl.int_range(pl.len(), dtype=pl.Int32))


def _cells(usable: pl.DataFrame, stays: pl.DataFrame, settings: EhrSettings) -> pl.DataFrame:
    """Return one value per stay, time and variable, in order of time."""
    if settings.uses("own_stay_only"):
        return largest_at_each_time(usable, "stay")
    return rows_by_subject(usable, stays)
