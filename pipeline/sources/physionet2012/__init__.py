"""PhysioNet/CinC Challenge 2012."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..options import BinnedOptions, about

if TYPE_CHECKING:
    from ...check import Check
    from ...source import DataSet

title = "PhysioNet/CinC Challenge 2012: 48 hours of vital signs and laboratory values"
sign = "a folder set-a, set-b or set-c with records such as 132539.txt"


@dataclass(frozen=True, kw_only=True)
class Options(BinnedOptions):
    """What of the records is read, and how."""

    labels: tuple[Path, ...] = field(
        default=(), metadata=about("Labels made elsewhere, by sample_id, the number of the record.", metavar="TABLE")
    )


def open(raw: Path, options: Options) -> DataSet:
    """Return the data set in a raw folder."""
    from ...tables.outside_labels import LabelledDataSet
    from .data_set import Physionet2012DataSet

    records = Physionet2012DataSet(raw, options.modalities, options.bin_hours, options.limit)
    return LabelledDataSet(records, options.labels) if options.labels else records


def look(raw: Path) -> list[Check]:
    """Count the records and name the tables of outcomes."""
    from ...check import Check, recognised
    from .records import find_outcomes, find_records

    checks = [recognised("physionet2012", raw, f"{len(find_records(raw)):,} records")]
    outcomes = ", ".join(path.name for path in find_outcomes(raw))
    without = Check("outcomes", "note", "no Outcomes-a.txt or another, so that no record has a label")
    return [*checks, Check("outcomes", "ok", outcomes) if outcomes else without]
