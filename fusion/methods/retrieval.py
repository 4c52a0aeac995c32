"""How well one modality of a sample finds another among those of many samples."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

CUTOFFS = (1, 5, 10)
QUERIES = 1024
"""Queries that are compared with the gallery at once."""


def ranks(queries: Tensor, gallery: Tensor, subject: Tensor) -> tuple[Tensor, Tensor]:
    """Rank the partner of each query in the gallery by cosine similarity.

    Parameters
    ----------
    queries, gallery : float [n, d], two modalities of the same n samples
    subject : int64 [n]; other samples of the query's subject are taken out of its gallery

    Returns
    -------
    rank : float [n], 1 is best; embeddings of equal similarity share the mean of their ranks, so that embeddings
        that are all the same have the ranks of chance
    size : int64 [n], of the gallery, the partner included
    """
    gallery = F.normalize(gallery, dim=1)
    rank, size = [], []
    for rows in torch.split(torch.arange(len(queries), device=queries.device), QUERIES):
        similarity = F.normalize(queries[rows], dim=1) @ gallery.T  # [q, n]
        own = similarity.gather(1, rows[:, None])
        rivals = subject[rows, None] != subject
        better, as_good = ((rivals & found).sum(1) for found in (similarity > own, similarity == own))
        rank.append(1 + better + as_good / 2)
        size.append(1 + rivals.sum(1))
    return torch.cat(rank), torch.cat(size)


def measures(rank: Tensor, size: Tensor) -> dict[str, float]:
    """Return recall at 1, 5 and 10, median rank and mean reciprocal rank, and what each would be by chance.

    Parameters
    ----------
    rank : float [n], n > 0
    size : int64 [n], of each gallery; by chance every rank in it is equally likely
    """
    size = size.double()
    ordinals = torch.arange(1, int(size.max()) + 1, device=size.device)
    reciprocal = ordinals.double().reciprocal().cumsum(0)[size.long() - 1] / size  # [n]
    found: dict[str, tuple[Tensor, Tensor]] = {
        f"recall_at_{k}": ((rank <= k).double().mean(), (k / size).clamp(max=1).mean()) for k in CUTOFFS
    }
    found["median_rank"] = rank.double().quantile(0.5), ((size + 1) / 2).quantile(0.5)
    found["mean_reciprocal_rank"] = (1 / rank.double()).mean(), reciprocal.mean()
    return {
        name: value.item()
        for measure, pair in found.items()
        for name, value in zip((measure, f"{measure}_by_chance"), pair, strict=True)
    }


def retrieval(
    embeddings: Tensor, present: Tensor, subject: Tensor, modalities: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return one row of :func:`measures` for each ordered pair of modalities that some sample has.

    Parameters
    ----------
    embeddings : float [n, M, d]
    present : bool [n, M]
    subject : int64 [n]
    modalities : names of the M modalities
    """
    rows = []
    for query, target in permutations(range(len(modalities)), 2):
        both = present[:, query] & present[:, target]
        if both.any():
            rank, size = ranks(embeddings[both, query], embeddings[both, target], subject[both])
            names = {"query": modalities[query], "target": modalities[target], "samples": int(both.sum())}
            rows.append({**names, **measures(rank, size)})
    return rows
