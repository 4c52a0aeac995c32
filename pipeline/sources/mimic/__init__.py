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

    modalities: tuple[str, ...] | None = field(
        default=None,
        metadata=about("Default: all there are but those that are read by name alone, of ED and ECG.", commas=True),
    )
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
    cxr_years: bool = field(
        default=False, metadata=about("Only patients with any image in MIMIC-CXR, which ends in 2016.")
    )
    variables: tuple[str, ...] = field(
        default=(), metadata=about("Variables of a starter set, or of a YAML file of your own.", metavar="SET|FILE")
    )
    history: Literal["icu", "48h", "ed", "hospital", "all"] = field(
        default="icu", metadata=about("How far before the stay variables, images, reports and recordings reach.")
    )
    available: Literal["storetime", "charttime"] = field(
        default="storetime", metadata=about("When a value of such variables is known: when stored, or charted.")
    )
    task: tuple[str, ...] = field(
        default=(), metadata=about("A task of one's own: a YAML file, or one that comes with us.", metavar="FILE|NAME")
    )
    labels: tuple[Path, ...] = field(
        default=(), metadata=about("Labels made elsewhere, by stay_id, hadm_id or subject_id.", metavar="TABLE")
    )
    label_kind: Literal["auto", "multilabel", "regression"] = field(
        default="auto", metadata=about("What the columns of such a table are, where their values do not say it.")
    )
    slack: str = field(
        default="24h", metadata=about("How far outside its stay a time of such a table may lie.", metavar="TIME")
    )
    ignore_unknown: bool = field(default=False, metadata=about("Leave out labels of stays that are not there."))
    allow_missing_labels: bool = field(default=False, metadata=about("Take labels that most rows of a table lack."))


def open(raw: Path, options: Options) -> DataSet:
    """Return the data set in a raw folder."""
    from .data_set import MimicDataSet

    return MimicDataSet(raw, options)


def look(raw: Path) -> list[Check]:
    """Check every table by its name, and then what they hold; images and reports may be missing."""
    from .recognise import recognise

    return recognise(raw)
