"""MIMIC-III and MIMIC-IV with MIMIC-CXR: one sample is one ICU stay."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..options import BinnedOptions, about

if TYPE_CHECKING:
    from ...check import Check
    from ...source import DataSet

title = "MIMIC-III or MIMIC-IV, with notes and MIMIC-CXR images and reports where the folder holds them"
sign = "a table icustays, flat (MIMIC-III) or below icu/ beside hosp/ (MIMIC-IV)"


@dataclass(frozen=True, kw_only=True)
class Options(BinnedOptions):
    """How events become bins."""

    profile: Literal["clean", "benchmark"] = field(
        default="clean",
        metadata=about("Mended values, or those of the published MIMIC-III benchmark, oddities included."),
    )
    without_rule: tuple[str, ...] = field(
        default=(), metadata=about("Switch a rule of the clean profile off.", metavar="NAME")
    )
    note_categories: tuple[str, ...] | None = field(
        default=None, metadata=about("Which notes; default: those of radiology, nurses and physicians.", commas=True)
    )
    note_history_hours: float = field(
        default=0.0, metadata=about("Also the notes that were known so many hours before the stay.")
    )
    select: tuple[str, ...] = field(
        default=(),
        metadata=about("Which items tasks see, such as cxr=all:8 or notes=last:5.", metavar="MODALITY=ROWS[:N]"),
    )


def open(raw: Path, options: Options) -> DataSet:
    """Return the data set in a raw folder."""
    from .data_set import MimicDataSet
    from .note_tables import NoteSettings

    return MimicDataSet(
        raw, options.modalities, options.profile, options.bin_hours, options.limit, options.without_rule,
        NoteSettings(options.note_categories, options.note_history_hours), options.select,
    )  # fmt: skip


def look(raw: Path) -> list[Check]:
    """Check every table by its name, and then what they hold; images and reports may be missing."""
    from .recognise import recognise

    return recognise(raw)
