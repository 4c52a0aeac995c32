"""Dynamic affine feature map transform: the other modalities scale and shift the embedding of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..parts.encoders import mlp
from .base import ModelSpec
from .joint import JointFusion

SCALES = {"linear": nn.Identity, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


class DAFT(JointFusion):
    """Head on one modality's embedding after a scale and a shift of its channels that all modalities decide.

    The transform was made for feature maps of an image and tabular data; here it acts on the embedding, which an
    encoder has pooled. As in the original, the head sees the target alone, and the others speak through the transform.
    So they do where the target is missing: then they scale and shift its missing embedding. Where all of them are
    missing, the target stays as it is.
    """

    name = "daft"
    family = "joint head"
    source = "Pölsterl et al. 2021, arXiv 2107.05990: a * v + b, with a and b of [v; others]; FiLM, Perez et al. 2018"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }
    fewest_modalities = 2
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.bottleneck": ("3.0", "7.0", "14.0"),
    }

    @dataclass(frozen=True)
    class Options(JointFusion.Options):
        """Options of a joint head, and of the transform."""

        target: str | None = None
        """The modality that is transformed and predicts; the first by default."""
        scale: Literal["linear", "tanh", "sigmoid"] = "linear"
        """Function that the scales pass through."""
        bottleneck: float = 7.0
        """The network that decides scales and shifts has ``M * D / bottleneck`` hidden units."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.bottleneck > 0:
                raise InputError(f"bottleneck must be positive; got {self.bottleneck}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        names, encoder = spec.modalities, spec.encoder
        chosen = names[0] if self.options.target is None else self.options.target
        if chosen not in names:
            raise InputError(f"options.target = {chosen!r} is no modality of this training: {', '.join(names)}.")
        self.position = names.index(chosen)
        width = encoder.dimension * len(names)
        units = max(1, int(width / self.options.bottleneck))
        self.auxiliary = nn.Sequential(
            nn.Linear(width, units, bias=False), nn.ReLU(), nn.Linear(units, 2 * encoder.dimension, bias=False)
        )
        self.squash = SCALES[self.options.scale]()
        self.head = mlp(encoder.dimension, encoder.hidden, spec.target.output_size, encoder.dropout)

    def transform(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the target's embedding [B, D], scaled and shifted where another modality is ``shown`` [B, M]."""
        target = embeddings[:, self.position]
        scale, shift = self.auxiliary(embeddings.flatten(1)).chunk(2, dim=1)  # [B, D] each
        others = torch.arange(shown.shape[1], device=shown.device) != self.position
        conditioned = (shown & others).any(1, keepdim=True)
        return torch.where(conditioned, self.squash(scale) * target + shift, target)

    def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
        """Return the logits of the head on the transformed target."""
        logits: Tensor = self.head(self.transform(embeddings, shown))
        return logits
