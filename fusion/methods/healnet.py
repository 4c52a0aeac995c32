"""HEALNet: a small learnt array reads the tokens of one modality after the other, and skips what is absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.completion.patterns import sample_patterns
from ..parts.targets import KINDS
from ..parts.tokens import token_makers
from .base import Context, Method, ModelSpec, Prediction


class HEALNet(Method):
    """Early fusion by attention: a latent array asks the rows of each modality, not an embedding of them.

    What is read of a modality is what its encoder would read, row by row; of statistics of a time series one token a
    variable, of features one a column. A sample skips the modalities that it lacks, in training as in prediction.
    """

    name = "healnet"
    family = "early fusion"
    kinds = KINDS
    source = "HEALNet, Hemker et al. 2024, arXiv 2311.09115: iterative cross-attention, skipped where data is missing"
    needs = "tokens"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.depth": ("1", "2", "3"),
        "options.latents": ("8", "16", "32"),
        "options.modality_dropout": ("0.0", "0.5"),
    }

    @dataclass(frozen=True)
    class Options:
        """Size of the array, and how often it reads."""

        latents: int = 16
        """Rows of the latent array."""
        width: int = 64
        """Width of the array and of tokens, a multiple of ``heads``."""
        depth: int = 2
        """How often the array reads all modalities, with weights of its own each time."""
        heads: int = 4
        """Heads of attention."""
        dropout: float = 0.1
        """Share dropped of attention weights and of hidden units."""
        modality_dropout: float = 0.0
        """Probability that a training sample shows only a random part of its modalities, which can be all."""

        def __post_init__(self) -> None:
            for name in ("latents", "width", "depth", "heads"):
                if getattr(self, name) < 1:
                    raise InputError(f"{name} must be 1 or more; got {getattr(self, name)}")
            if self.width % self.heads:
                raise InputError(f"width must be a multiple of heads; got {self.width} and {self.heads}")
            if not 0 <= self.dropout < 1:
                raise InputError(f"dropout must be 0 or more and less than 1; got {self.dropout}")
            if not 0 <= self.modality_dropout <= 1:
                raise InputError(f"modality_dropout must lie between 0 and 1; got {self.modality_dropout}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        o = self.options
        self.tokens = token_makers(spec.inputs, spec.encoder, o.width)
        self.latents = nn.Parameter(0.02 * torch.randn(o.latents, o.width))
        self.layers = nn.ModuleList(nn.ModuleList(Reading(o) for _ in spec.inputs) for _ in range(o.depth))
        self.norm = nn.LayerNorm(o.width)
        self.head = nn.Linear(o.width, spec.target.output_size)

    def on_fit_start(self, context: Context) -> None:
        """Keep the generator that draws the shown subsets."""
        self.generator = context.generator

    def shown(self, present: Tensor) -> Tensor:
        """Return who is read, bool [B, M]: in training a part of those ``present`` if the options say so."""
        if self.training and self.options.modality_dropout:
            return sample_patterns(present, self.generator, self.options.modality_dropout)
        return present

    def logits(self, batch: Batch) -> Tensor:
        """Return logits [B, K]; the prior for a sample without modalities."""
        shown = self.shown(batch.presence)
        array = self.latents.expand(len(batch), -1, -1)  # [B, L, W]
        who = [inputs.samples for inputs in batch.modalities.values()]
        tokens = [  # [n, T, W], and which are real, [n, T]; of nobody there are none
            make(inputs) if len(inputs.samples) else None
            for make, inputs in zip(self.tokens, batch.modalities.values(), strict=True)
        ]
        for layer in cast("list[nn.ModuleList]", list(self.layers)):
            for m, (reading, samples, told) in enumerate(zip(layer, who, tokens, strict=True)):
                if told is not None:
                    before, reads = array[samples], shown[samples, m, None, None]
                    array = array.index_copy(0, samples, torch.where(reads, reading(before, *told), before))
        logits: Tensor = self.head(self.norm(array).mean(1))
        return torch.where(batch.presence.any(1, keepdim=True), logits, self.prior)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction."""
        return {"total": self.target.loss(self.logits(batch), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities."""
        return Prediction(self.target.probabilities(self.logits(batch)))


class Reading(nn.Module):
    """Cross-attention of an array to the tokens of one modality, then a feed-forward layer; pre-norm, residual."""

    def __init__(self, options: HEALNet.Options) -> None:
        super().__init__()
        width = options.width
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.attention = nn.MultiheadAttention(width, options.heads, options.dropout, batch_first=True)
        self.forward_layer = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(options.dropout), nn.Linear(2 * width, width)
        )

    def forward(self, array: Tensor, tokens: Tensor, real: Tensor) -> Tensor:
        """Return what becomes of arrays [n, L, W] that read tokens [n, T, W], of which some are ``real`` [n, T]."""
        asked, told, hidden = self.norms
        keys = told(tokens)
        array = array + self.attention(asked(array), keys, keys, key_padding_mask=~real, need_weights=False)[0]
        read: Tensor = array + self.forward_layer(hidden(array))
        return read
