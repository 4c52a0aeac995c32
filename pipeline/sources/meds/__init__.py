"""A MEDS folder of events with a table of labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..options import BinnedOptions, about

if TYPE_CHECKING:
    from ...check import Check
    from ...source import DataSet

VALUES = ("boolean_value", "integer_value", "float_value", "categorical_value")
"""Columns that may hold a label."""
COLUMNS = f"subject_id, prediction_time and one of {', '.join(VALUES)}"
WINDOW_HOURS = 48.0

title = "a MEDS folder of events, with labels named by --samples"
sign = "events in data/**/*.parquet"


@dataclass(frozen=True, kw_only=True)
class Options(BinnedOptions):
    """Which labels are predicted, and from what."""

    samples: Path = field(
        metadata=about(f"A table of labels, of which MEDS has none of its own: {COLUMNS}.", metavar="TABLE")
    )
    columns: Path | None = field(default=None, metadata=about("The codes to use, ehr: [CODE, CODE].", metavar="YAML"))
    window_hours: float = field(
        default=WINDOW_HOURS, metadata=about("How far back from a prediction a sample is seen.")
    )


def open(raw: Path, options: Options) -> DataSet:
    """Return the data set in a raw folder."""
    from .data_set import MedsDataSet

    return MedsDataSet(
        raw, options.samples, options.columns, options.modalities,
        options.bin_hours, options.window_hours, options.limit,
    )  # fmt: skip


def look(raw: Path) -> list[Check]:
    """Count the files of events."""
    from ...check import recognised
    from .folder import data_files

    return [recognised("meds", raw, f"{len(data_files(raw)):,} files of events", " --samples TABLE")]
