"""HEALNet: a small learnt array reads the tokens of one modality after the other, and skips what is absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from .base import ModelSpec
from .token_fusion import TokenFusion, Told


class HEALNet(TokenFusion):
    """Early fusion by attention: a latent array asks the rows of each modality, not an embedding of them.

    What is read of a modality is what its encoder would read, row by row; of statistics of a time series one token a
    variable, of features one a column. A sample skips the modalities that it lacks, in training as in prediction.
    """

    name = "healnet"
    source = "HEALNet, Hemker et al. 2024, arXiv 2311.09115: iterative cross-attention, skipped where data is missing"
    cost = 11.0
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.depth": ("1", "2", "3"),
        "options.latents": ("8", "16", "32"),
    }

    @dataclass(frozen=True)
    class Options(TokenFusion.Options):
        """Options of every method that reads tokens, size of the array, and how often it reads."""

        latents: int = 16
        """Rows of the latent array, as wide as tokens."""
        depth: int = 2
        """How often the array reads all modalities, with weights of its own each time."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("latents", "depth"):
                if getattr(self, name) < 1:
                    raise InputError(f"{name} must be 1 or more; got {getattr(self, name)}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        o = self.options
        self.latents = nn.Parameter(0.02 * torch.randn(o.latents, o.width))
        self.layers = nn.ModuleList(nn.ModuleList(Reading(o) for _ in spec.inputs) for _ in range(o.depth))
        self.norm = nn.LayerNorm(o.width)
        self.head = nn.Linear(o.width, spec.target.output_size)

    def fuse(self, told: list[Told | None], samples: int) -> Tensor:
        """Return the logits of the head on the mean row of the array."""
        array = self.latents.expand(samples, -1, -1)  # [B, L, W]
        for layer in cast("list[nn.ModuleList]", list(self.layers)):
            for reading, one in zip(layer, told, strict=True):
                if one is not None:
                    before = array[one.samples]
                    after = reading(before, one.tokens, one.real)
                    array = array.index_copy(0, one.samples, torch.where(one.read[:, None, None], after, before))
        logits: Tensor = self.head(self.norm(array).mean(1))
        return logits


class Reading(nn.Module):
    """Cross-attention of an array to the tokens of one modality, then a feed-forward layer; pre-norm, residual."""

    def __init__(self, options: HEALNet.Options) -> None:
        super().__init__()
        width = options.width
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.attention = nn.MultiheadAttention(width, options.heads, options.dropout, batch_first=True)
        self.forward_layer = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width), nn.Dropout(options.dropout)
        )

    def forward(self, array: Tensor, tokens: Tensor, real: Tensor) -> Tensor:
        """Return what becomes of arrays [n, L, W] that read tokens [n, T, W], of which some are ``real`` [n, T]."""
        asked, told, hidden = self.norms
        keys = told(tokens)
        array = array + self.attention(asked(array), keys, keys, key_padding_mask=~real, need_weights=False)[0]
        read: Tensor = array + self.forward_layer(hidden(array))
        return read
