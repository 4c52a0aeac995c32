"""How much two tables about the same samples have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..inputs.batches import Batch
from ..inputs.spec import InputSpec
from ..parts.pooled import pooled_vectors

ROUNDING = 1e-12
"""What is left of a constant table of about unit size once its mean is subtracted is less."""


def debiased_cka(x: Tensor, y: Tensor) -> Tensor:
    """Return the linear centred kernel alignment of x [n, p] and y [n, q], debiased, between -1 and 1.

    It is the cosine between the samples' inner products in x and those in y, of different samples alone and centred so
    that its mean over unrelated tables is 0 (Kornblith et al. 2019, arXiv 1905.00414, with the unbiased estimate of
    Song et al. 2007, arXiv 0704.2668). So chance does not raise it where columns are more than samples, unlike
    canonical correlations. 0 if a table is constant, or for fewer than four samples.
    """
    n = len(x)
    if n < 4:
        return x.new_zeros((), dtype=torch.float64)
    x, y = (table.double() - table.double().mean(0) for table in (x, y))

    def product(a: Tensor, b: Tensor) -> Tensor:
        own_a, own_b = a.square().sum(1), b.square().sum(1)  # [n], products of samples with themselves
        correction = own_a.sum() * own_b.sum() / (n - 1) - n * (own_a @ own_b)
        return (a.T @ b).square().sum() + correction / (n - 2)

    scale = (product(x, x).clamp(min=0) * product(y, y).clamp(min=0)).sqrt()
    return torch.where(scale > ROUNDING, product(x, y) / scale, 0.0)


def modality_correlations(specs: Sequence[InputSpec], batches: Iterable[Batch]) -> Tensor:
    """Return what the pooled vectors of each pair of modalities have in common, [M, M] with ones on the diagonal.

    It is the :func:`debiased_cka` over the samples that have both; what is unknown counts as the mean.
    """
    batches = list(batches)
    tables = [
        torch.from_numpy(np.nan_to_num(np.concatenate(parts)))
        for parts in zip(*(pooled_vectors(specs, batch) for batch in batches), strict=True)
    ]
    present = torch.cat([batch.presence for batch in batches]).cpu()
    between = torch.eye(len(specs), dtype=torch.float64)
    for i, x in enumerate(tables):
        for j, y in enumerate(tables[:i]):
            both = present[:, i] & present[:, j]
            between[i, j] = between[j, i] = debiased_cka(x[both], y[both])
    return between
