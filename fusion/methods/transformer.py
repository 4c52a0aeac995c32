"""Transformer: attention among one token per modality and a token that gathers what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...cache_schema import InputError
from .base import ModelSpec
from .joint import JointFusion


class TransformerFusion(JointFusion):
    """Pre-norm Transformer encoder over [CLS] and a token per modality; the head reads [CLS].

    A token is the modality's projected embedding plus a learnt embedding of which modality it is. Nothing attends to
    the tokens of absent modalities.
    """

    name = "transformer"
    family = "joint head"
    source = "Vaswani et al. 2017, arXiv 1706.03762, encoder; pre-norm of Xiong et al. 2020, arXiv 2002.04745"
    cost = 2.5
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.width": ("32", "64", "128"),
        "options.layers": ("1", "2"),
    }

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of a joint head, and the size of the Transformer; small, for thousands of samples."""

        width: int = 64
        """Width of the tokens, a multiple of ``heads``; feed-forward layers are twice as wide."""
        layers: int = 2
        """Layers of attention and feed-forward."""
        heads: int = 4
        """Heads of attention."""
        dropout: float = 0.1
        """Share dropped of attention weights, of hidden units and of what each layer adds."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in ("width", "layers", "heads"):
                if getattr(self, name) < 1:
                    raise InputError(f"{name} must be 1 or more; got {getattr(self, name)}")
            if self.width % self.heads:
                raise InputError(f"width must be a multiple of heads; got {self.width} and {self.heads}")
            if not 0 <= self.dropout < 1:
                raise InputError(f"dropout must be 0 or more and less than 1; got {self.dropout}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        width, modalities = self.options.width, len(spec.inputs)
        # without bias: the modality's embedding is one
        self.projections = nn.ModuleList(nn.Linear(spec.encoder.dimension, width, bias=False) for _ in spec.inputs)
        self.modality = nn.Parameter(0.02 * torch.randn(modalities, width))
        self.cls = nn.Parameter(0.02 * torch.randn(width))
        self.transformer = new_transformer(self.options)
        self.head = nn.Linear(width, spec.target.output_size)

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the logits of the head on [CLS]."""
        slots = zip(self.projections, embeddings.unbind(1), strict=True)
        tokens = torch.stack([project(embedding) for project, embedding in slots], dim=1) + self.modality  # [B, M, W]
        sequence = torch.cat([self.cls.expand(len(tokens), 1, -1), tokens], dim=1)  # [B, 1 + M, W]
        ignored = F.pad(~shown, (1, 0), value=False)  # [B, 1 + M]; never [CLS], so that there is always a key
        logits: Tensor = self.head(self.transformer(sequence, src_key_padding_mask=ignored)[:, 0])
        return logits


def new_transformer(options: TransformerFusion.Options) -> nn.TransformerEncoder:
    """Return an untrained encoder of sequences [B, L, width]."""
    width = options.width
    layer = nn.TransformerEncoderLayer(
        width, options.heads, 2 * width, options.dropout, activation="gelu", batch_first=True, norm_first=True
    )
    transformer = nn.TransformerEncoder(layer, options.layers, nn.LayerNorm(width), enable_nested_tensor=False)
    for parameter in transformer.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)  # the layers are copies of one
    return transformer
