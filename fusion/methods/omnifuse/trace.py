"""How alike imputed and encoded embeddings become over the epochs, and what predictions from them are worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...parts.completion.fidelity import cosine_similarity
from ...parts.completion.patterns import sample_patterns
from ...parts.encoders import Encoded
from ...scores import metrics
from .dwfuse import DWFuse

SEED = 0
"""Seed of what is hidden; the same slots are hidden after every epoch, so that the trace shows learning alone."""


def imputation_rows(method: DWFuse, encoded: Sequence[tuple[Encoded, Tensor]]) -> list[dict[str, Any]]:
    """Hide a random part of what each sample has, impute it, and predict from that (figure 7 of the paper).

    Parameters
    ----------
    method : a method that imputes, in evaluation mode
    encoded : embeddings of some batches, with their labels [B, C]

    Returns
    -------
    A row for each ``modality``: mean ``cosine`` of its imputed and encoded embeddings over the hidden slots, and
    ``centred_cosine``, with the mean encoded embedding taken off both, so that what all samples share counts for
    nothing; None where nothing was hidden. ``auroc`` of the predictions is the same for all modalities.
    """
    generator = torch.Generator().manual_seed(SEED)
    pieces = []
    for batch, y in encoded:
        shown = sample_patterns(batch.presence, generator, dropout=1.0, patterns="proper")
        heads = method.run(batch.embeddings, batch.missing, shown)
        assert heads.imputed is not None
        probability = method.target.probabilities(method.logits(heads))
        pieces.append((heads.imputed, batch.embeddings, batch.presence & ~shown, probability, y))
    if not pieces:
        return []
    imputed, truth, hidden, probability, y = (torch.cat(parts).cpu() for parts in zip(*pieces, strict=True))
    auroc = metrics.score(*metrics.one_vs_rest(method.target.kind, y.numpy(), probability.numpy())).auroc
    plain, centred = (cosine_similarity(imputed, truth, hidden, centred=flag).tolist() for flag in (False, True))
    return [
        {"modality": name, "cosine": _defined(plain[m]), "centred_cosine": _defined(centred[m]), "auroc": auroc}
        for m, name in enumerate(method.spec.modalities)
    ]


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value
