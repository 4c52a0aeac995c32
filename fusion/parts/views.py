"""One short vector per modality for statistical methods: pooled, standardised, and reduced by principal components."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ..inputs.batches import Batch
from ..inputs.spec import InputSpec
from .pooled import pooled_vectors


class View(nn.Module):
    """Standardisation of one modality's F columns, and their first ``width`` principal components if F is larger.

    What is unknown is taken for the mean. Where training samples are fewer than components, the last ones are zero.
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor | None

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.width = min(columns, width)
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("scale", torch.ones(columns))
        self.register_buffer("axes", torch.zeros(columns, width) if columns > width else None)

    def fit(self, vectors: Tensor) -> None:
        """Take means, scales and components of vectors [n, F], NaN where unknown."""
        known = ~vectors.isnan()
        count = known.sum(0).clamp(min=1)
        values = vectors.nan_to_num(0.0).double()
        mean = values.sum(0) / count
        centred = torch.where(known, values - mean, 0.0)
        scale = ((centred**2).sum(0) / count).sqrt()
        scale = torch.where(scale > 1e-6 * (mean.abs() + 1e-6), scale, torch.inf)  # a constant column says nothing
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        if self.axes is not None:
            standardised = centred / scale
            size, direction = torch.linalg.eigh(standardised.T @ standardised)  # of growing size
            spanned = size.flip(0)[: self.width] > 1e-9 * size[-1]
            self.axes.copy_(direction.flip(1)[:, : self.width] * spanned)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return vectors [n, width] of vectors [n, F]."""
        standardised = ((vectors - self.mean) / self.scale).nan_to_num(0.0)
        return standardised if self.axes is None else standardised @ self.axes


class Views(nn.ModuleList):
    """The views of all modalities, in model order; ``components`` is their largest width."""

    def __init__(self, specs: Sequence[InputSpec], components: int) -> None:
        super().__init__(View(spec.summary or spec.rows, components) for spec in specs)
        self.specs = tuple(specs)

    @property
    def widths(self) -> list[int]:
        """Width of each view."""
        return [view.width for view in self._each()]

    def fit(self, batches: Iterable[Batch]) -> None:
        """Fit each view to the samples of the training part that have its modality."""
        tables = [[vectors[shown] for vectors, shown in self._vectors(batch)] for batch in batches]
        for view, parts in zip(self._each(), zip(*tables, strict=True), strict=True):
            view.fit(torch.cat(parts))

    def forward(self, batch: Batch) -> list[Tensor]:
        """Return a table [B, width] for each modality; zeros, its mean, where ``batch.presence`` says it is absent."""
        return [view(vectors) for view, (vectors, _) in zip(self._each(), self._vectors(batch), strict=True)]

    def _vectors(self, batch: Batch) -> list[tuple[Tensor, Tensor]]:
        """Return the vectors [B, F] of each modality and who has it, bool [B]."""
        tables = pooled_vectors(self.specs, batch)
        return [
            (torch.from_numpy(table).to(batch.y.device), shown)
            for table, shown in zip(tables, batch.presence.T, strict=True)
        ]

    def _each(self) -> list[View]:
        return cast("list[View]", list(self))
