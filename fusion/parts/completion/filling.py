"""What goes into the slots of modalities that a sample lacks: the rivals of the cascade residual autoencoder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from ....cache_schema.packages import require
from ..encoders import Encoded
from .completion import Completion
from .factors import PACKAGE, FactorModel
from .ridge import RidgeImputation

Filling = Literal["none", "zero", "mean", "ridge", "mofa"]

FACTORS = 10
"""Factors of the filling by factor analysis."""


class NoFilling(Completion):
    """The missing embeddings stay."""

    @property
    def fills(self) -> bool:
        """Never."""
        return False

    def end(self, encoded: Iterable[Encoded]) -> None:
        """Learn nothing, and read nothing for it."""


class MeanFilling(Completion):
    """The mean embedding of each modality over the training samples that have it."""

    mean: Tensor

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(modalities, width))

    def fit(self, embeddings: Tensor, present: Tensor) -> None:
        """Take the means of embeddings [n, M, D]; slots that are not ``present`` [n, M] are not read."""
        shown = present[:, :, None]
        self.mean.copy_(torch.where(shown, embeddings, 0.0).sum(0) / shown.sum(0).clamp(min=1))

    def forward(self, embeddings: Tensor, used: Tensor) -> Tensor:
        """Return embeddings [B, M, D] with the means in the slots that are not ``used`` [B, M]."""
        return torch.where(used[:, :, None], embeddings, self.mean)


class ZeroFilling(MeanFilling):
    """Zeros, whatever the training samples are."""

    def fit(self, embeddings: Tensor, present: Tensor) -> None:
        """Learn nothing."""


class FactorFilling(Completion):
    """What the factors of multi-omics factor analysis, estimated from what a sample has, make of the rest."""

    def __init__(self, modalities: int, width: int) -> None:
        require(PACKAGE, "Imputation by 'mofa'")
        super().__init__()
        self.model = FactorModel([width] * modalities, FACTORS)

    def fit(self, embeddings: Tensor, present: Tensor) -> None:
        """Fit the factors to embeddings [n, M, D]; slots that are not ``present`` [n, M] are not read."""
        self.model.fit(embeddings.unbind(1), present, seed=0)

    def forward(self, embeddings: Tensor, used: Tensor) -> Tensor:
        """Return embeddings [B, M, D] with estimates in the slots that are not ``used`` [B, M]."""
        estimates = self.model.reconstruct(self.model(embeddings.unbind(1), used))
        return torch.where(used[:, :, None], embeddings, torch.stack(estimates, dim=1))


def new_completion(name: Filling, modalities: int, width: int) -> Completion:
    """Return what fills in [B, modalities, width] embeddings, not fitted yet."""
    if name == "none":
        return NoFilling()
    kinds: dict[str, type[MeanFilling | RidgeImputation | FactorFilling]] = {
        "zero": ZeroFilling,
        "mean": MeanFilling,
        "ridge": RidgeImputation,
        "mofa": FactorFilling,
    }
    return kinds[name](modalities, width)
