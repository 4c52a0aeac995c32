"""A cohort that several processes read from one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file

from .batches import Cohort


@dataclass(frozen=True)
class SharedCohort:
    """A cohort whose rows lie in a file that processes map: memory holds them once, however many read them."""

    file: Path
    without_rows: Cohort

    @classmethod
    def write(cls, cohort: Cohort, file: Path) -> SharedCohort:
        """Write the rows of a cohort, as large as they are in memory, into a new file."""
        values = {name: source.rows.values for name, source in cohort.sources.items()}
        save_file({name: torch.from_numpy(rows) for name, rows in values.items()}, file)
        # copies: a view would keep the rows in memory
        return cls(file, _with_rows(cohort, {name: rows[:, :0].copy() for name, rows in values.items()}))

    def open(self) -> Cohort:
        """Return the cohort, with rows that are read when they are looked at and stay valid without the file."""
        return _with_rows(self.without_rows, {name: rows.numpy() for name, rows in load_file(self.file).items()})


def _with_rows(cohort: Cohort, values: Mapping[str, npt.NDArray[Any]]) -> Cohort:
    sources = {
        name: replace(source, rows=replace(source.rows, values=values[name])) for name, source in cohort.sources.items()
    }
    return replace(cohort, sources=sources)
