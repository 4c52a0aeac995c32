"""Contrast between modalities: the embeddings of one sample are alike, those of different samples are not."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F


def info_nce(anchors: Tensor, others: Tensor, scale: Tensor | float, rivals: Tensor) -> Tensor:
    """InfoNCE of van den Oord et al. 2018 (arXiv 1807.03748, Eq. 4): how hard each anchor's own partner is to tell.

    Parameters
    ----------
    anchors, others : float [n, d] of length one, of the same n samples
    scale : 1 / temperature
    rivals : bool [n, n], whether ``others[j]`` can be mistaken for the partner of ``anchors[i]``; of the diagonal,
        which are the partners, nothing is read

    Returns
    -------
    float [n], ``-log softmax`` of the partner among itself and its rivals; 0 without rivals
    """
    similarity = scale * anchors @ others.T  # [n, n]
    partner = torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
    return similarity.masked_fill(~(rivals | partner), -torch.inf).logsumexp(1) - similarity.diagonal()


def alignment_losses(
    embeddings: Tensor, present: Tensor, subject: Tensor, scale: Tensor | float, weight: float = 0.5
) -> dict[tuple[int, int], Tensor]:
    """Return InfoNCE for each pair of modalities, over the samples that have both.

    Samples of one subject are no rivals: what they have in common would be unlearnt.

    Parameters
    ----------
    embeddings : float [B, M, d]
    present : bool [B, M]
    subject : int64 [B]
    scale : 1 / temperature
    weight : of finding the second modality of a pair by the first; the way back has ``1 - weight``

    Returns
    -------
    scalars by positions of the modalities; exactly 0 with a gradient of 0 where no sample has both
    """
    directions = F.normalize(embeddings, dim=-1)
    losses = {}
    for one, other in combinations(range(embeddings.shape[1]), 2):
        both = present[:, one] & present[:, other]
        first, second, whose = directions[both, one], directions[both, other], subject[both]
        rivals = whose[:, None] != whose  # [n, n]
        there, back = info_nce(first, second, scale, rivals), info_nce(second, first, scale, rivals)
        losses[one, other] = (weight * there + (1 - weight) * back).sum() / both.sum().clamp(min=1)
    return losses
