"""From raw values to what the encoders read, with statistics of the training rows alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...cache_schema import InputError
from .batches import Cohort, Inputs, ModalityInputs, RowStore, Vectors
from .normal_scores import QUANTILES, PrefixVectors, SummaryNormaliser
from .preparation import Prepared
from .series import Summary
from .spec import InputSpec

ROW_LIMIT = 10.0
"""Standardised bins are cut here, so that one impossible value does not outweigh everything else."""

SHARE_OF_DEVICE = 0.5
"""Of the memory of a GPU that is free, the most that the rows of one modality take there."""

CHUNK_ROWS = 1 << 8
"""Rows whose moments are taken at once: few enough to stay in the processor's cache, several times faster than many."""

FloatArray = npt.NDArray[np.float32]


def moments(rows: npt.NDArray[Any], chosen: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], ...]:
    """Return count, sum and sum of squares of the known cells of each column [d] over the chosen rows [n]."""
    count, total, squares = (torch.zeros(rows.shape[1], dtype=torch.float64) for _ in range(3))
    for first in range(0, len(chosen), CHUNK_ROWS):
        values = torch.from_numpy(rows[chosen[first : first + CHUNK_ROWS]]).double()
        each = values.new_ones(len(values))
        count += len(values)
        sums = each @ values
        if sums.isnan().any():  # looking at every cell would take as long as all the rest
            unknown = values.isnan()
            count -= unknown.sum(0)
            sums = each @ values.masked_fill_(unknown, 0.0)
        total += sums
        squares += each @ values.square_()
    return count.numpy(), total.numpy(), squares.numpy()


@dataclass(frozen=True)
class RowNormaliser:
    """Affine map of each column, ``scale * x + shift``, both [d]: zero mean, unit deviation on training rows."""

    scale: FloatArray
    shift: FloatArray

    @classmethod
    def fit(cls, prepared: Prepared, samples: npt.NDArray[np.int64]) -> RowNormaliser:
        """Take mean and deviation of the known cells of the given samples' rows; other columns stay as they are."""
        rows, standardised = prepared.rows, prepared.standardised
        assert rows is not None and standardised is not None
        count, total, squares = moments(rows, np.flatnonzero(prepared.source.rows_of(samples)))
        mean = total / np.maximum(count, 1)
        deviation = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0))
        scale = np.divide(1, deviation, out=np.ones_like(mean), where=deviation > 1e-6 * (1 + np.abs(mean)))
        scale = np.where(standardised, scale, 1)
        return cls(scale.astype(np.float32), np.where(standardised, -mean * scale, 0).astype(np.float32))

    def store(self, prepared: Prepared, device: torch.device) -> RowStore:
        """Return the rows for batches: embeddings raw with the map, the few bins of a time series mapped already.

        Unknown values of a time series become 0, the training mean.
        """
        rows, scale, shift = prepared.rows, self.scale, self.shift
        assert rows is not None
        if prepared.source.kind == "timeseries":
            rows = np.clip(np.nan_to_num(rows * scale + shift), -ROW_LIMIT, ROW_LIMIT)
            scale, shift = np.ones_like(scale), np.zeros_like(shift)
        seen = prepared.source.seen
        values, *others = map(torch.from_numpy, (rows, seen.starts, seen.lengths, scale, shift))
        if fits(values.nbytes, device):
            values = values.to(device)
        return RowStore(values, *(other.to(device) for other in others))


def fits(size: int, device: torch.device) -> bool:
    """Return whether so many bytes may lie on a device as long as a fold is trained."""
    return device.type != "cuda" or size <= SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0]


@dataclass(frozen=True)
class Normaliser:
    """All fitted maps of one fold, by modality."""

    summaries: dict[str, SummaryNormaliser]
    rows: dict[str, RowNormaliser]

    @classmethod
    def fit(cls, prepared: Mapping[str, Prepared], samples: npt.NDArray[np.int64]) -> Normaliser:
        """Fit on the training samples (positions in the cohort) and on nothing else."""
        return cls(
            {name: SummaryNormaliser.fit(p.summary, samples) for name, p in prepared.items() if p.summary is not None},
            {name: RowNormaliser.fit(p, samples) for name, p in prepared.items() if p.rows is not None},
        )

    def apply(self, cohort: Cohort, prepared: Mapping[str, Prepared], device: torch.device) -> Inputs:
        """Return the whole cohort ready for a model."""
        modalities = {name: self._modality(name, one, device) for name, one in prepared.items()}
        of_each = (cohort.y, cohort.presence, cohort.subject)
        y, presence, subject = (torch.from_numpy(array).to(device) for array in of_each)
        sample = None if cohort.queries is None else torch.from_numpy(cohort.queries.sample).to(device)
        return Inputs(y, presence, modalities, subject, sample)

    def _modality(self, name: str, prepared: Prepared, device: torch.device) -> ModalityInputs:
        summary: Tensor | Vectors | None = None
        rows = None
        if isinstance(prepared.summary, Summary):
            summary = torch.from_numpy(self.summaries[name].apply(prepared.summary)).to(device)
        elif prepared.summary is not None:
            summary = PrefixVectors(prepared.summary, self.summaries[name], device)
        if prepared.rows is not None:
            rows = self.rows[name].store(prepared, device)
        return ModalityInputs(summary, rows)

    def input_specs(self, prepared: Mapping[str, Prepared]) -> tuple[InputSpec, ...]:
        """Return the widths of every modality after normalisation."""
        return tuple(self._input_spec(name, one) for name, one in prepared.items())

    def _input_spec(self, name: str, prepared: Prepared) -> InputSpec:
        width = 0 if prepared.summary is None else sum(prepared.summary.widths)
        return InputSpec(name, prepared.source.kind, width, 0 if prepared.rows is None else prepared.rows.shape[1])

    def tensors(self) -> dict[str, Tensor]:
        """Return the fitted numbers for storing, named ``<modality>.<part>``."""
        named: dict[str, npt.NDArray[Any]] = {}
        for name, summary in self.summaries.items():
            named[f"{name}.quantiles"] = summary.quantiles
        for name, rows in self.rows.items():
            named |= {f"{name}.scale": rows.scale, f"{name}.shift": rows.shift}
        return {name: torch.from_numpy(array) for name, array in named.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], prepared: Mapping[str, Prepared]) -> Normaliser:
        """Rebuild a stored normaliser for the given modalities; raises if one is missing, superfluous or misshapen."""
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        expected = cls._expected_shapes(prepared)
        found = {name: array.shape for name, array in arrays.items()}
        if found != expected:
            raise InputError(f"The stored normaliser does not fit this cache: stored {found}, needed {expected}.")
        with_summary = [name for name, one in prepared.items() if one.summary is not None]
        with_rows = [name for name, one in prepared.items() if one.rows is not None]
        return cls(
            {n: SummaryNormaliser(arrays[f"{n}.quantiles"]) for n in with_summary},
            {n: RowNormaliser(arrays[f"{n}.scale"], arrays[f"{n}.shift"]) for n in with_rows},
        )

    @staticmethod
    def _expected_shapes(prepared: Mapping[str, Prepared]) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for name, one in prepared.items():
            if one.summary is not None:
                shapes[f"{name}.quantiles"] = (QUANTILES, one.summary.widths[0])
            if one.rows is not None:
                shapes |= {f"{name}.{part}": (one.rows.shape[1],) for part in ("scale", "shift")}
        return shapes
