"""PhysioNet/CinC Challenge 2012."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..options import BinnedOptions

if TYPE_CHECKING:
    from ...check import Check
    from ...source import DataSet

title = "PhysioNet/CinC Challenge 2012: 48 hours of vital signs and laboratory values"
sign = "a folder set-a, set-b or set-c with records such as 132539.txt"


@dataclass(frozen=True, kw_only=True)
class Options(BinnedOptions):
    """What of the records is read, and how."""


def open(raw: Path, options: Options) -> DataSet:
    """Return the data set in a raw folder."""
    from .data_set import Physionet2012DataSet

    return Physionet2012DataSet(raw, options.modalities, options.bin_hours, options.limit)


def look(raw: Path) -> list[Check]:
    """Count the records and name the tables of outcomes."""
    from ...check import Check, recognised
    from .records import find_outcomes, find_records

    checks = [recognised("physionet2012", raw, f"{len(find_records(raw)):,} records")]
    outcomes = ", ".join(path.name for path in find_outcomes(raw))
    without = Check("outcomes", "note", "no Outcomes-a.txt or another, so that no record has a label")
    return [*checks, Check("outcomes", "ok", outcomes) if outcomes else without]
