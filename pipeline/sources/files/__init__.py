"""A user's own table of texts, images, numbers and events."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..options import BinnedOptions, Files, TableOptions, about

if TYPE_CHECKING:
    from ...source import DataSet

title = "your own table of texts, image files, numbers and events, named by --samples"
has_folder = False


@dataclass(frozen=True, kw_only=True)
class Options(TableOptions, BinnedOptions):
    """Which tables, and what their columns are."""

    columns: Path | None = field(default=None, metadata=about("What the columns of --samples are.", metavar="YAML"))
    events: Files = field(
        default_factory=dict, metadata=about("A long table of events beside --samples.", metavar="NAME=FILE")
    )


def open(raw: Path, options: Options) -> DataSet:
    """Return the data set that the tables are."""
    from ...tables.sample_table import SampleColumns
    from .data_set import FilesDataSet

    columns = SampleColumns(options.label, options.split, options.keep)
    return FilesDataSet(
        options.samples, options.columns, columns, options.modalities, options.limit, options.events, options.bin_hours
    )
