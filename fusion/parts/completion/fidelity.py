"""How near imputed embeddings are to the true ones."""

import torch
from torch import Tensor
from torch.nn import functional as F


def explained_variance(imputed: Tensor, truth: Tensor, slots: Tensor) -> Tensor:
    """Share of each modality's variance over samples that its imputation explains: float [M] in [0, 1].

    Parameters
    ----------
    imputed, truth : float [N, M, D]
    slots : bool [N, M], the slots that count; a modality without any gets 0
    """
    error, spread = (
        torch.where(slots.unsqueeze(-1), difference, 0.0).square().sum((0, 2))
        for difference in (imputed - truth, truth - _mean(truth, slots))
    )
    return (1 - error / spread).nan_to_num(0.0).clamp(0.0, 1.0)


def cosine_similarity(imputed: Tensor, truth: Tensor, slots: Tensor, centred: bool) -> Tensor:
    """Mean cosine of imputed and true embeddings of each modality: float [M] in [-1, 1].

    Parameters
    ----------
    imputed, truth : float [N, M, D]
    slots : bool [N, M], the slots that count; a modality without any gets NaN
    centred : take the mean true embedding of the slots off both first. All embeddings of a modality have much in
        common, so that its mean alone is similar to every one of them; with the mean taken off it is worth 0.
    """
    origin = _mean(truth, slots) if centred else torch.zeros_like(truth[0])
    cosine = F.cosine_similarity(imputed - origin, truth - origin, dim=-1)  # [N, M]
    return torch.where(slots, cosine, 0.0).sum(0) / slots.sum(0)


def _mean(embeddings: Tensor, slots: Tensor) -> Tensor:
    """Mean over the slots that count, [M, D]; 0 without any."""
    counted = slots.unsqueeze(-1)
    return torch.where(counted, embeddings, 0.0).sum(0) / counted.sum(0).clamp(min=1)
