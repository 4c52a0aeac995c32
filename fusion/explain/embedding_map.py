"""Maps of embeddings in a plane, to see whether imputed ones lie among encoded ones.

(Wu et al. 2025, figure 8.)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from ...cache_schema import InputError
from ..methods.fitting import EVALUATION_BATCH
from ..parts.completion.fidelity import cosine_similarity
from ..runs.replay import Replay
from ..training.folds import torch_threads

FOLD = 0
"""The fold whose model and test samples are shown; those of different models share no coordinates."""
FEWEST = 5
"""Fewer samples than this make no map."""
PERPLEXITY = 30.0
"""Number of neighbours that t-SNE attends to, as far as there are enough points."""


class EmbeddingMap(NamedTuple):
    """Points of the maps, one map a modality, and how alike the two kinds of embeddings are.

    ``points``: ``modality``, ``sample`` (order number; the same for both embeddings of a sample), ``kind``
    (``encoded`` or ``imputed``), ``x``, ``y``. ``similarity``: ``modality``, ``samples``, mean ``cosine`` and
    ``centred_cosine`` over all test samples of the fold that have the modality beside another, mapped or not.
    """

    points: pl.DataFrame
    similarity: pl.DataFrame


def embedding_map(replay: Replay, modality: str | None = None, samples: int = 400, seed: int = 0) -> EmbeddingMap:
    """Lay encoded embeddings, and those imputed from the sample's other modalities, out in a plane by t-SNE.

    Both kinds of one modality share a map; modalities have maps of their own. Only test samples of the first fold are
    used, and of these at most ``samples`` that have the modality beside another. A modality that fewer than five such
    samples have is left out.

    Raises
    ------
    InputError
        If the run's method imputes nothing, if there is no such modality, or if there is nothing to map.
    """
    names = replay.modalities
    if modality not in (None, *names):
        raise InputError(f"There is no modality {modality!r} in {replay.run.path}; there are: {', '.join(names)}.")
    encoded, imputed, there = _embeddings(replay)
    who = {name: np.flatnonzero(there[:, m].numpy()) for m, name in enumerate(names) if modality in (None, name)}
    mapped = {name: positions for name, positions in who.items() if len(positions) >= FEWEST}
    if not mapped:
        raise InputError(
            f"Fold {FOLD} of {replay.run.path} tests fewer than {FEWEST} samples with {' or '.join(who)} and another "
            "modality: too few for a map. Train with fewer folds, or on more samples."
        )
    cosine, centred = (cosine_similarity(imputed, encoded, there, centred=flag) for flag in (False, True))
    points, similarity = [], []
    for name, positions in mapped.items():
        m = names.index(name)
        drawn = np.sort(np.random.default_rng(seed).permutation(positions)[:samples])
        points.append(_points(name, encoded[drawn, m].numpy(), imputed[drawn, m].numpy(), seed))
        similarity.append((name, len(positions), float(cosine[m]), float(centred[m])))
    columns = ["modality", "samples", "cosine", "centred_cosine"]
    return EmbeddingMap(pl.concat(points), pl.DataFrame(similarity, schema=columns, orient="row"))


def _embeddings(replay: Replay) -> tuple[Tensor, Tensor, Tensor]:
    """Return the encoded and the imputed embeddings [n, M, D] of n test samples, and which of them exist [n, M]."""
    fold, pieces = replay.model(FOLD), []
    with torch_threads(replay.run.config.threads), torch.no_grad():
        for batch in fold.inputs.batches(fold.tested, EVALUATION_BATCH):
            pair = fold.method.imputed_embeddings(batch)
            if pair is None:
                raise InputError(
                    f"{replay.run.path} imputes no embeddings along with its training: give a run whose method, with "
                    "its options, does."
                )
            pieces.append((*pair, batch.presence))
    encoded, imputed, present = (torch.cat(parts).cpu() for parts in zip(*pieces, strict=True))
    return encoded, imputed, present & (present.sum(1, keepdim=True) > 1)


def _points(
    modality: str, encoded: npt.NDArray[np.floating[Any]], imputed: npt.NDArray[np.floating[Any]], seed: int
) -> pl.DataFrame:
    from sklearn.manifold import TSNE  # late: seconds to import, and most commands draw no map

    together = np.concatenate([encoded, imputed])  # [2 * n, D]
    perplexity = min(PERPLEXITY, (len(together) - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(together)
    return pl.DataFrame(
        {
            "modality": [modality] * len(together),
            "sample": np.tile(np.arange(len(encoded)), 2),
            "kind": ["encoded"] * len(encoded) + ["imputed"] * len(imputed),
            "x": plane[:, 0].astype(np.float64),
            "y": plane[:, 1].astype(np.float64),
        }
    )
