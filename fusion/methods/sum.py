"""Sum fusion: the mean embedding of what a sample has into one head, or the sum of linear logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ..parts.encoders import mlp
from .base import ModelSpec
from .joint import JointFusion


class Sum(JointFusion):
    """Adds modalities up, of embeddings the mean, so that its scale does not depend on how many a sample has.

    ``embeddings``: ``y = g(sum_m a_m v_m / sum_m a_m)``; ``logits``: ``y = sum_m a_m (W_m v_m + b_m)``, where ``a_m``
    says whether the sample has modality m.
    """

    name = "sum"
    family = "joint head"
    source = "the OmniFuse paper's Sum baseline; of logits, the sum fusion of Peng et al. 2022, arXiv 2203.15332"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {"default": (), "logits": ("options.level=logits",)}

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of every joint head, and what is added up."""

        level: Literal["embeddings", "logits"] = "embeddings"
        """What is added up: ``embeddings``, for a head on their mean, or the ``logits`` of a linear head for each."""

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        encoder, outputs = spec.encoder, spec.target.output_size
        if self.options.level == "embeddings":
            self.head = mlp(encoder.dimension, encoder.hidden, outputs, encoder.dropout)
        else:
            self.heads = nn.ModuleList(nn.Linear(encoder.dimension, outputs) for _ in spec.inputs)

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the logits of the mean embedding, or the sum of the modalities' logits."""
        there = shown[:, :, None]  # [B, M, 1]
        if self.options.level == "embeddings":
            mean = (embeddings * there).sum(1) / there.sum(1).clamp(min=1)  # [B, D]
            logits: Tensor = self.head(mean)
            return logits
        said = [head(embeddings[:, m]) for m, head in enumerate(self.heads)]
        return (torch.stack(said, dim=1) * there).sum(1)  # [B, K] of [B, M, K]
