"""Everything that is known of a sample in one row, for early fusion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..inputs.batches import Batch
from ..inputs.spec import InputSpec
from .encoders import ScoreEncoder, score_terms
from .pooled import pooled_vector


def table_columns(specs: Sequence[InputSpec]) -> int:
    """Return how many columns :func:`pooled_table` has."""
    return sum(_terms(spec) * (spec.summary or spec.rows) for spec in specs) + len(specs)


def pooled_table(specs: Sequence[InputSpec], batch: Batch) -> Tensor:
    """Return [B, columns]: the pooled vectors of all modalities side by side, and which of them a sample has.

    Of normal scores it has the terms that encoders read, :func:`score_terms`. A modality that is missing is zeros, what
    encoders read then as well; nothing is NaN.
    """
    blocks = []
    for spec, inputs in zip(specs, batch.modalities.values(), strict=True):
        vectors = pooled_vector(inputs)
        known = score_terms(vectors) if _terms(spec) > 1 else vectors
        blocks.append(known.new_zeros(len(batch), known.shape[1]).index_copy(0, inputs.samples, known))
    return torch.cat([*blocks, batch.presence], dim=1)


def _terms(spec: InputSpec) -> int:
    """Return how many columns of the table come from one column of a pooled vector."""
    return ScoreEncoder.terms if spec.summary and spec.kind != "embedding" else 1
