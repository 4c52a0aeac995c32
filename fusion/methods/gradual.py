"""Gradual intermediate fusion: one modality after the other, the most correlated ones first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..parts.encoders import mlp
from .base import Context, ModelSpec
from .correlation import modality_correlations
from .joint import JointFusion


class Gradual(JointFusion):
    """Merges modalities one after the other, ``h_1 = v_1``, ``h_j = F_j([h_(j-1); v_j])``, and reads ``g(h_M)``.

    ``F_j`` is a linear layer, ReLU, and the normalisation of embeddings, so that skipping it does not change the scale:
    an absent modality is skipped, ``h_j = h_(j-1)``. If the first is absent, ``h_1`` is its missing embedding.
    """

    name = "gradual"
    family = "joint head"
    source = "gradual intermediate fusion of Stahlschmidt et al. 2022, doi 10.1093/bib/bbab569"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {"default": ()}

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of every joint head, and the order."""

        order: Literal["correlation", "given"] = "correlation"
        """Order in which modalities are merged: the most correlated first, or as they are ``given``."""

    options: Options
    order: Tensor

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        encoder = spec.encoder
        self.merges = nn.ModuleList(nn.Linear(2 * encoder.dimension, encoder.dimension) for _ in spec.inputs[1:])
        self.head = mlp(encoder.dimension, encoder.hidden, spec.target.output_size, encoder.dropout)
        self.register_buffer("order", torch.arange(len(spec.inputs)))

    def on_fit_start(self, context: Context) -> None:
        """Decide the order by the training part, before anything is learnt and without its labels."""
        super().on_fit_start(context)
        if self.options.order == "correlation":
            between = modality_correlations(self.spec.inputs, context.training())
            self.order.copy_(torch.tensor(most_correlated_first(between)))

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the logits of the head on what the last merge made."""
        embeddings, shown = embeddings[:, self.order], shown[:, self.order]
        h = embeddings[:, 0]  # [B, D]
        for j, merge in enumerate(self.merges, start=1):
            merged = F.layer_norm(merge(torch.cat([h, embeddings[:, j]], dim=1)).relu(), h.shape[1:])
            h = torch.where(shown[:, j, None], merged, h)
        logits: Tensor = self.head(h)
        return logits

    def details(self) -> dict[str, Any]:
        """Return the order."""
        return {"order": [self.spec.modalities[m] for m in self.order.tolist()]}


def most_correlated_first(between: Tensor) -> list[int]:
    """Return the order of M modalities with correlations [M, M]: the closest pair, then always the one closest to it.

    How close a modality is to several is the mean of its correlations with them. Ties go to the first in model order.
    """
    others = between.clone().fill_diagonal_(-torch.inf)
    rest = list(range(len(between)))
    order = [max(rest, key=lambda m: float(others[m].max()))]
    rest.remove(order[0])
    while rest:
        closest = max(rest, key=lambda m: float(between[order, m].mean()))
        order.append(closest)
        rest.remove(closest)
    return order
