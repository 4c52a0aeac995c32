"""One vector per modality, straight from the cache: what methods without encoders of their own fuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..inputs.batches import Batch, ModalityBatch
from ..inputs.spec import InputSpec
from .pooling import weighted_sum

Array = npt.NDArray[np.floating[Any]]


def pooled_vectors(specs: Sequence[InputSpec], batch: Batch) -> list[Array]:
    """Return one table [B, columns] per modality: statistics of a time series, features themselves, means of rows.

    NaN where something is unknown, and in all columns where the modality is missing.
    """
    tables = []
    for spec, inputs in zip(specs, batch.modalities.values(), strict=True):
        table = np.full((len(batch), spec.summary or spec.rows), np.nan, dtype=np.float32)
        table[inputs.samples.cpu().numpy()] = pooled_vector(inputs).cpu().numpy()
        tables.append(table)
    return tables


def pooled_vector(inputs: ModalityBatch) -> Tensor:
    """Return one vector a sample, [n, columns]: its summary, or the mean of its rows."""
    if inputs.summary is not None:
        return inputs.summary
    assert inputs.rows is not None
    share = 1 / inputs.rows.lengths.float()
    return weighted_sum(inputs.rows, torch.repeat_interleave(share, inputs.rows.lengths))
