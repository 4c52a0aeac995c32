"""CT and PET series, Chinese text and the pathology of the lung."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..options import UsualOptions

if TYPE_CHECKING:
    from ...check import Check
    from ...source import DataSet

title = "CT and PET series, Chinese clinical text, and how invasive the pathology of the lung is"
sign = "a table patients.csv beside a folder for each patient"
text_encoder = "bert-base-chinese"


@dataclass(frozen=True, kw_only=True)
class Options(UsualOptions):
    """What of the patients is read."""


def open(raw: Path, options: Options) -> DataSet:
    """Return the data set in a raw folder."""
    from .data_set import LungDataSet

    return LungDataSet(raw, options.modalities, options.limit)


def look(raw: Path) -> list[Check]:
    """Check the table, and count the folders of patients."""
    from ...check import recognised
    from .data_set import LungDataSet
    from .table import TABLE

    if not (raw / TABLE).is_file():
        return []
    LungDataSet(raw).inputs()
    return [recognised("lung", raw, f"{sum(path.is_dir() for path in raw.iterdir()):,} folders of patients")]
