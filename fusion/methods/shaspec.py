"""ShaSpec: shared and specific features; an absent modality is the mean of what the others share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.encoders import mlp
from .base import ModelSpec
from .joint import JointFusion


class Features(NamedTuple):
    """What ShaSpec makes of embeddings: ``shared``, ``specific`` and, of both, ``fused``, [B, M, D] each."""

    shared: Tensor
    specific: Tensor
    fused: Tensor


class ShaSpec(JointFusion):
    """Concatenation of features that are a shared part and what a specific part adds to it.

    One encoder makes the shared parts of all modalities, which are taught to be alike; another for each modality makes
    a specific part, which is taught to tell whose it is. In the place of an absent modality stands the mean shared part
    of those that are there. They read the embeddings through one layer, so that the method has the same encoders as
    all others.
    """

    name = "shaspec"
    family = "joint head"
    source = "ShaSpec, Wang et al. 2023, arXiv 2307.14126"
    cost = 1.2
    fewest_modalities = 2
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "no-dropout": ("options.modality_dropout=0",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.alignment_weight": ("0.1", "1.0"),
        "options.domain_weight": ("0.02", "0.2"),
    }

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of joint fusion, under modality dropout as it is published, and weights of the losses."""

        modality_dropout: float = 0.5
        """Probability that a training sample shows only a random part of its modalities, which can be all."""
        alignment_weight: float = 0.1
        """Weight of the distance between the shared parts of two modalities of a sample."""
        domain_weight: float = 0.02
        """Weight of the cross-entropy of telling the modality by its specific part."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("alignment_weight", "domain_weight"):
                if not getattr(self, name) >= 0:
                    raise InputError(f"{name} must not be negative; got {getattr(self, name)}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        encoder, count = spec.encoder, len(spec.inputs)
        width = encoder.dimension
        self.adapt = nn.ModuleList(nn.Linear(width, width) for _ in spec.inputs)
        self.to_shared = nn.Linear(width, width)
        self.to_specific = nn.ModuleList(nn.Linear(width, width) for _ in spec.inputs)
        self.add = nn.Linear(2 * width, width)
        self.domain = nn.Linear(width, count)
        self.head = mlp(count * width, encoder.hidden, spec.target.output_size, encoder.dropout)

    def features(self, embeddings: Tensor, shown: Tensor) -> Features:
        """Return the features of embeddings [B, M, D]; the fused ones of slots that are not ``shown`` are borrowed."""
        read = torch.stack([F.relu(adapt(embeddings[:, m])) for m, adapt in enumerate(self.adapt)], dim=1)
        shared = self.to_shared(read)
        specific = torch.stack([encode(read[:, m]) for m, encode in enumerate(self.to_specific)], dim=1)
        own = shared + self.add(torch.cat([shared, specific], dim=-1))
        there = shown[:, :, None]
        mean = (shared * there).sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp(min=1)  # [B, 1, D]
        return Features(shared, specific, torch.where(there, own, mean))

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the logits of the head on all fused features."""
        logits: Tensor = self.head(self.features(embeddings, shown).fused.flatten(1))
        return logits

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction (``ce``), and the terms that the options weigh."""
        encoded = self.encode(batch)
        embeddings, shown = self.complete(encoded)
        features = self.features(embeddings, shown)
        logits = torch.where(encoded.presence.any(1, keepdim=True), self.head(features.fused.flatten(1)), self.prior)
        ce = self.target.loss(logits, batch.y)
        terms = {
            "alignment": alignment(features.shared, shown),
            "domain": told_apart(self.domain(features.specific), shown),
        }
        weighted = torch.stack([getattr(self.options, f"{name}_weight") * term for name, term in terms.items()])
        return {"total": ce + weighted.sum(), "ce": ce, **terms}


def alignment(shared: Tensor, shown: Tensor) -> Tensor:
    """Mean absolute difference of shared parts [B, M, D], over units and the pairs of modalities that samples have."""
    first, second = torch.tensor(list(combinations(range(shared.shape[1]), 2)), device=shared.device).T
    distance = (shared[:, first] - shared[:, second]).abs().mean(-1)  # [B, P]
    both = shown[:, first] & shown[:, second]
    return (distance * both).sum() / both.sum().clamp(min=1)


def told_apart(logits: Tensor, shown: Tensor) -> Tensor:
    """Mean cross-entropy of telling modalities by logits [B, M, M] of the slots that are ``shown`` [B, M]."""
    own = logits.log_softmax(-1).diagonal(dim1=1, dim2=2)  # [B, M]
    return -(own * shown).sum() / shown.sum().clamp(min=1)
