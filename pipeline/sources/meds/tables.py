"""The modalities of a MEDS data set: bins of numbers, counts of codes, and what does not change."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ....cache_schema import Column
from ....progress import progress
from ...series.event_block import by_subject, event_block, event_columns, portions
from ...source import Block, Quarantine, TableModality
from ...tables.feature_files import feature_block, reading
from .rows import BIRTH, readers

ROWS_AT_ONCE = 150_000
AGE = Column("age", "a", "age")


@dataclass(frozen=True)
class Windows:
    """What samples may see: files of events, the samples' ids, ``rows`` and ``static`` as in :mod:`.rows`."""

    files: Sequence[Path]
    sample_ids: pl.Series
    rows: pl.DataFrame
    static: pl.DataFrame
    hours: float

    @property
    def numbers(self) -> frozenset[str]:
        """The codes without a time that have numbers."""
        return frozenset(self.static.filter("number")["code"])


TITLES = {
    "ehr": "vital signs and laboratory values over time",
    "codes": "how often each code occurs",
    "static": "age, sex and other constants",
}
"""What each modality is called for a reader."""


def table_modality(
    name: str, codes: Sequence[str], windows: Windows, bin_hours: float, recipe: dict[str, Any], inputs: Sequence[Path]
) -> TableModality:
    """Return the modality ``ehr``, ``codes`` or ``static`` whose columns are these codes."""
    if name == "static":
        numbers = windows.numbers.intersection(codes)
        columns = tuple(
            AGE if code == BIRTH else Column(code, "", code, "value" if code in numbers else "onehot") for code in codes
        )
        recipe = {**recipe, "numbers": sorted(numbers)}
        blocks = partial(_static, codes, windows)
        meaning = "the subject at prediction"
        return TableModality(name, "features", columns, meaning, recipe, tuple(inputs), blocks, TITLES[name])
    recipe = {**recipe, "window_hours": windows.hours}
    if name == "codes":
        columns, meaning = tuple(Column(code, "", code) for code in codes), "how often each code occurs in the window"
        blocks = partial(_counts, codes, windows)
        return TableModality(name, "features", columns, meaning, recipe, tuple(inputs), blocks, TITLES[name])
    recipe |= {"bin_hours": bin_hours, "value": "last of the bin, carried forward"}
    columns, meaning = event_columns((code, "") for code in codes), f"{bin_hours:g} hours of the window"
    blocks = partial(_series, codes, windows, bin_hours)
    return TableModality(name, "timeseries", columns, meaning, recipe, tuple(inputs), blocks, TITLES[name])


def _series(codes: Sequence[str], windows: Windows, bin_hours: float, quarantine: Quarantine) -> Iterator[Block]:
    ids = windows.sample_ids.to_numpy()
    for samples, events in _events("ehr", codes, windows, int(windows.hours / bin_hours)):
        block = event_block(samples, events, len(codes), bin_hours, quarantine, windows.hours)
        yield replace(block, sample_ids=ids[samples])


def _counts(codes: Sequence[str], windows: Windows, _: Quarantine) -> Iterator[Block]:
    for samples, events in _events("codes", codes, windows):
        counts = np.zeros((len(samples), len(codes)), dtype=np.float32)
        np.add.at(counts, (np.searchsorted(samples, events["sample"].to_numpy()), events["column"].to_numpy()), 1)
        yield feature_block(windows.sample_ids[samples], counts)


def _static(codes: Sequence[str], windows: Windows, _: Quarantine) -> Iterator[Block]:
    """Yield one row a sample: the age, the last number of a code with numbers, and 1 or 0 for each other code.

    It is 0 if the subject has any row without a time, unknown if not.
    """
    is_code = np.array([code != BIRTH for code in codes])
    is_category = is_code & np.array([code not in windows.numbers for code in codes])
    for samples, events in _events("static", codes, windows):
        place, column = np.searchsorted(samples, events["sample"].to_numpy()), events["column"].to_numpy()
        values = np.full((len(samples), len(codes)), np.nan, dtype=np.float32)
        described = np.unique(place[is_code[column]])
        values[np.ix_(described, is_category)] = 0
        values[place, column] = events["value"].to_numpy()
        yield feature_block(windows.sample_ids[samples], values)


def _events(
    name: str, codes: Sequence[str], windows: Windows, rows_per_sample: int = 1
) -> Iterator[tuple[npt.NDArray[np.int64], pl.DataFrame]]:
    """Yield samples (sorted, ``[n]``) and all their events of a modality in order of time, some samples at a time."""
    column = pl.LazyFrame({"code": codes}, schema={"code": pl.String}).with_row_index("column")

    def batches() -> Iterator[pl.DataFrame]:
        for path in progress(windows.files, name, unit="files"):
            rows = readers(windows.static)[name](path, windows.rows).join(column, on="code").drop("code")
            with reading(path):
                yield from rows.collect_batches(chunk_size=ROWS_AT_ONCE)

    for events in by_subject(batches(), windows.rows["subject"].n_unique()):
        ordered = events.sort("sample", "hours", "row", maintain_order=True)
        yield from portions(ordered, rows_per_sample * len(codes))
