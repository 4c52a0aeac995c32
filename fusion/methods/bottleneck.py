"""Attention bottlenecks: modalities exchange what a few tokens can carry, and absent ones are skipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...cache_schema import InputError
from .base import ModelSpec
from .token_fusion import TokenFusion, Told


class Bottleneck(TokenFusion):
    """A Transformer per modality over its own tokens and a few that all modalities of a sample share.

    After each layer the shared tokens are the mean of what became of them in the modalities that a sample has. Each
    modality predicts from a token of its own, and the logits of those that are there are averaged.
    """

    name = "bottleneck"
    source = (
        "MBT, Nagrani et al. 2021, arXiv 2107.00135, with the skip of absent modalities of UMSE, Lee et al. 2023, "
        "arXiv 2305.02504"
    )
    cost = 15.0
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.bottlenecks": ("2", "4", "8"),
        "options.layers": ("2", "3"),
    }

    @dataclass(frozen=True)
    class Options(TokenFusion.Options):
        """Options of every method that reads tokens, and size of the Transformers."""

        bottlenecks: int = 4
        """Tokens that modalities share."""
        layers: int = 2
        """Layers of each Transformer, at least two: after a single one nothing has been exchanged."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name, fewest in (("bottlenecks", 1), ("layers", 2)):
                if getattr(self, name) < fewest:
                    raise InputError(f"{name} must be {fewest} or more; got {getattr(self, name)}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        o, modalities = self.options, len(spec.inputs)
        self.own = nn.Parameter(0.02 * torch.randn(modalities, o.width))
        self.shared = nn.Parameter(0.02 * torch.randn(o.bottlenecks, o.width))
        self.layers = nn.ModuleList(
            nn.ModuleList(
                nn.TransformerEncoderLayer(
                    o.width, o.heads, 2 * o.width, o.dropout, activation="gelu", batch_first=True, norm_first=True
                )
                for _ in spec.inputs
            )
            for _ in range(o.layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(o.width) for _ in spec.inputs)
        self.heads = nn.ModuleList(nn.Linear(o.width, spec.target.output_size) for _ in spec.inputs)

    def fuse(self, told: list[Told | None], samples: int) -> Tensor:
        """Return the mean logits of the modalities that are read."""
        shared = self.shared.expand(samples, -1, -1)  # [B, N, W]
        states = [
            None if one is None else torch.cat([own.expand(len(one.samples), 1, -1), one.tokens], dim=1)  # [n, 1+T, W]
            for own, one in zip(self.own, told, strict=True)
        ]
        for layer in cast("list[nn.ModuleList]", list(self.layers)):
            shared, states = self._exchange(layer, shared, states, told)
        total = shared.new_zeros(samples, self.target.output_size)
        for norm, head, state, one in zip(self.norms, self.heads, states, told, strict=True):
            if one is not None and state is not None:
                total = total.index_add(0, one.samples, head(norm(state[:, 0])) * one.read[:, None])
        return total / readers(told, samples).clamp(min=1)[:, None]

    def _exchange(
        self, layer: nn.ModuleList, shared: Tensor, states: list[Tensor | None], told: list[Told | None]
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Return shared tokens [B, N, W] and states [n, 1 + T, W] of every modality after a layer."""
        count, total, after = readers(told, len(shared)), torch.zeros_like(shared), list(states)
        for m, (block, state, one) in enumerate(zip(layer, states, told, strict=True)):
            if one is None or state is None:
                continue
            sequence = torch.cat([shared[one.samples], state], dim=1)  # [n, N + 1 + T, W]
            ignored = F.pad(~one.real, (shared.shape[1] + 1, 0), value=False)
            told_to, after[m] = block(sequence, src_key_padding_mask=ignored).split(
                [shared.shape[1], state.shape[1]], dim=1
            )
            total = total.index_add(0, one.samples, told_to * one.read[:, None, None])
        mean = total / count.clamp(min=1)[:, None, None]
        return torch.where((count > 0)[:, None, None], mean, shared), after


def readers(told: list[Told | None], samples: int) -> Tensor:
    """Return how many modalities are read of each of B ``samples``, [B]."""
    there = [one for one in told if one is not None]
    if not there:
        return torch.zeros(samples)
    count = there[0].tokens.new_zeros(samples)
    for one in there:
        count = count.index_add(0, one.samples, one.read.to(count))
    return count
