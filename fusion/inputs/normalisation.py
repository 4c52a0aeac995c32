"""From raw values to what the encoders read, with statistics of the training rows alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtri
from torch import Tensor

from ...cache_schema import InputError
from .batches import Cohort, Inputs, ModalityInputs, RowStore, Vectors
from .prefixes import Prefixes
from .preparation import Prepared
from .series import Summary
from .spec import InputSpec

QUANTILES = 200
CLIP = 3.5
"""Normal scores end here: further out 200 quantiles say nothing."""

ROW_LIMIT = 10.0
"""Standardised bins are cut here, so that one impossible value does not outweigh everything else."""

SHARE_OF_DEVICE = 0.5
"""Of the memory of a GPU that is free, the most that the rows of one modality take there."""

MOST_FITTED = 20_000
"""Predictions of a task with several a sample whose vectors give the quantiles."""

CHUNK_ROWS = 1 << 8
"""Rows whose moments are taken at once: few enough to stay in the processor's cache, several times faster than many."""

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SummaryNormaliser:
    """Quantile-to-normal map of each quantity: ``quantiles`` [200, F]."""

    quantiles: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, summary: Summary | Prefixes, samples: npt.NDArray[np.int64]) -> SummaryNormaliser:
        """Take quantiles of the known values of the given samples; all NaN for a column without any.

        Of many predictions whose vectors have to be made for it `MOST_FITTED` are enough, drawn once and for all.
        """
        if not isinstance(summary, Summary) and len(samples) > MOST_FITTED:
            samples = np.sort(np.random.default_rng(0).choice(samples, MOST_FITTED, replace=False))
        training = summary.of(samples).quantities.astype(np.float64)  # [n, F]
        levels = np.linspace(0, 1, QUANTILES)
        quantiles = np.full((QUANTILES, training.shape[1]), np.nan)
        unknown = np.isnan(training)
        for column in np.flatnonzero(~unknown.all(axis=0)):
            quantiles[:, column] = np.quantile(training[~unknown[:, column], column], levels)
        return cls(quantiles)

    def apply(self, summary: Summary) -> FloatArray:
        """Return [N, F + G] float32: normal scores (NaN where unknown) and shares."""
        scores = np.full_like(summary.quantities, np.nan, dtype=np.float32)
        for column in np.flatnonzero(~np.isnan(self.quantiles[0])):
            scores[:, column] = normal_scores(summary.quantities[:, column], self.quantiles[:, column])
        return np.concatenate([scores, summary.shares], axis=1, dtype=np.float32)


def normal_scores(values: npt.NDArray[Any], quantiles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Map values [N] to the normal quantiles of their ranks among the training values, NaN where NaN.

    A value that many training rows share gets the middle of its ranks, as the mean of interpolating from below and
    from above.
    """
    levels = np.linspace(0, 1, len(quantiles))
    from_below = np.interp(values, quantiles, levels)
    from_above = 1 - np.interp(-values, -quantiles[::-1], levels)
    rank = (from_below + from_above) / 2
    scores: npt.NDArray[np.float64] = np.clip(ndtri(rank), -CLIP, CLIP)
    return scores


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


class PrefixVectors:
    """Vectors of what is known at each prediction, made and normalised when a batch asks for them.

    The scores are those of :meth:`SummaryNormaliser.apply`, of all columns at once: for few predictions and many
    columns that is several times faster.
    """

    def __init__(self, prefixes: Prefixes, normaliser: SummaryNormaliser, device: torch.device) -> None:
        self.prefixes, self.device = prefixes, device
        self.known = np.flatnonzero(~np.isnan(normaliser.quantiles[0]))  # [K]
        self.quantiles = torch.from_numpy(np.ascontiguousarray(normaliser.quantiles.T[self.known]))  # [K, 200]
        self.first = torch.searchsorted(self.quantiles, self.quantiles)  # [K, 200], of those with the same value

    def __getitem__(self, samples: Tensor) -> Tensor:
        """Return those of some predictions [n], [n, F] float32."""
        made = self.prefixes.of(samples.cpu().numpy())
        quantities, shares = torch.from_numpy(made.quantities), torch.from_numpy(made.shares)
        scores = torch.full_like(quantities, torch.nan)
        if len(self.known):
            scores[:, self.known] = self._scores(quantities[:, self.known].T.double().contiguous()).T
        return torch.cat([scores, shares], dim=1).to(self.device)

    def _scores(self, values: Tensor) -> Tensor:
        """Return the normal scores of values [K, n], NaN where NaN."""
        last = QUANTILES - 1
        reached = torch.searchsorted(self.quantiles, values, right=True) - 1  # the last quantile that is not above
        place = reached.clamp(0, last - 1)
        low, high = self.quantiles.gather(1, place), self.quantiles.gather(1, place + 1)
        share = torch.where(high > low, (values - low) / (high - low), (values >= high).double()).clamp(0, 1)
        from_below = place + share
        reached = reached.clamp(0, last)
        tied = self.quantiles.gather(1, reached) == values
        from_above = torch.where(tied, self.first.gather(1, reached).double(), from_below)
        rank = (from_below + from_above) / (2 * last)
        scores = torch.from_numpy(np.clip(ndtri(rank.numpy()), -CLIP, CLIP))
        return torch.where(values.isnan(), torch.nan, scores).float()


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
