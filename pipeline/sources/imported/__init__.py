"""A user's own features, joined by sample id."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..options import TableOptions, about

if TYPE_CHECKING:
    from ...source import DataSet

title = "vectors of your own, joined by sample_id; what `omnifuse cache import` reads"
has_folder = False


@dataclass(frozen=True, kw_only=True)
class Options(TableOptions):
    """Which tables and matrices."""

    features: tuple[str, ...] = field(
        metadata=about(
            "Numbers with sample ids, one modality. FILE alone: every modality of a MuData file or an export.",
            metavar="NAME=FILE[#PART]|FILE",
        )
    )


def open(raw: Path, options: Options) -> DataSet:
    """Return the data set that the tables and matrices are."""
    from ..pairs import named_files
    from .data_set import ImportedDataSet, with_every_modality

    files = named_files("--features", with_every_modality(options.features))
    return ImportedDataSet(options.samples, files, options.label, options.split, options.keep)
